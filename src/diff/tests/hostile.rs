//! Bodies made to hurt: all end soon, in bounded memory, with something said.

use super::super::findings::MAX_LISTED;
use super::*;

fn object(n: usize, value: impl Fn(usize) -> String) -> String {
    let members: Vec<_> = (0..n).map(|i| format!("\"k{i}\":{}", value(i))).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn a_million_members_are_compared_in_any_order() {
    let v1 = object(1_000_000, |i| i.to_string());
    let members: Vec<_> =
        (0..1_000_000).rev().map(|i| format!("\"k{i}\":{}", if i == 7 { 8 } else { i })).collect();
    let v2 = format!("{{{}}}", members.join(","));
    assert_eq!(json_facts(&v1, &v2), [("$['k7']".to_owned(), Kind::ValueChanged)]);
}

#[test]
fn a_name_that_is_there_a_million_times_is_one_difference() {
    let v1 = format!("{{{}}}", vec!["\"a\":1"; 300_000].join(","));
    assert_eq!(json_facts(&v1, r#"{"a":1}"#), [("$['a']".to_owned(), Kind::DuplicateKey)]);
}

#[test]
fn more_differences_than_are_listed_are_counted() {
    let found = compare(
        &json(object(5000, |i| i.to_string())),
        &json(object(5000, |i| (i + 1).to_string())),
        &mirrored(),
    );
    assert_eq!(found.len(), MAX_LISTED + 1);
    let last = found.last().unwrap();
    assert_eq!((last.kind, last.class), (Kind::Unlisted, Class::Unverified));
    assert_eq!(last.v2.as_deref(), Some("4000 more differences"));
}

#[test]
fn an_unlisted_difference_that_counts_is_not_hidden_by_listed_ones_that_do_not() {
    let hosts = |host: &str, last: u32| {
        let hosts = vec![format!("\"http://{host}/\""); MAX_LISTED + 5];
        json(format!("{{\"hosts\":[{}],\"last\":{last}}}", hosts.join(",")))
    };
    let found = compare(&hosts("httpbin:8000", 1), &hosts("httpbin-shadow:8000", 2), &mirrored());
    assert!(found[..MAX_LISTED].iter().all(|d| d.class == Class::Shadow));
    assert_eq!(found[MAX_LISTED].class, Class::Unverified);
    let v1 = hosts("httpbin:8000", 1);
    assert_eq!(judge(Some(&v1), Some(&v1), &found), Verdict::Different);
}

#[test]
fn deep_nesting_is_left_to_the_comparison_as_text() {
    let deep = |leaf: &str| format!("{}{leaf}{}", "[".repeat(100_000), "]".repeat(100_000));
    let found = compare(&json(deep("1")), &json(deep("2")), &mirrored());
    assert_eq!(found.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["line 1"]);
    assert!(found[0].v1.as_ref().unwrap().chars().count() < 250);
}

#[test]
fn long_arrays_take_no_quadratic_time() {
    let array = |f: &dyn Fn(u64) -> u64| {
        json(format!("[{}]", (0..100_000).map(|n| f(n).to_string()).collect::<Vec<_>>().join(",")))
    };
    let shuffled = array(&|n| n * 7919 % 100_003);
    let found = facts(&array(&|n| n % 3), &array(&|n| n / 3 % 3));
    assert!(!found.is_empty());
    assert_eq!(facts(&shuffled, &shuffled), []);
    assert!(!facts(&array(&|n| n), &array(&|n| n + 200_000)).is_empty());
    let keyed = |step: usize| {
        let order =
            (0..100_000).map(|n| n * step % 100_003).map(|n| format!("{{\"id\":{n},\"v\":{}}}", n * 2));
        json(format!("[{}]", order.collect::<Vec<_>>().join(",")))
    };
    assert_eq!(facts(&keyed(1), &keyed(1)), []);
}

#[test]
fn invalid_utf8_and_huge_numbers_are_compared_as_they_are() {
    let raw = |bytes: &[u8]| response(200, &["Content-Type: application/json"], bytes.to_vec());
    assert_eq!(facts(&raw(b"[\"\xff\"]"), &raw(b"[\"\xfe\"]"))[0].0, "$[0]");
    let digits = |last: char| json(format!("[{}{last}]", "9".repeat(1_000_000)));
    let found = compare(&digits('1'), &digits('2'), &mirrored());
    assert_eq!(found[0].kind, Kind::ValueChanged);
    assert!(found[0].v1.as_ref().unwrap().ends_with("1 (1000001 bytes)"));
}

#[test]
fn long_names_do_not_make_long_reports() {
    let name = "n".repeat(1_000_000);
    let members = |value: u32| {
        let inner: Vec<_> = (0..500).map(|i| format!("\"{i}\":{value}")).collect();
        json(format!("{{\"{name}\":{{{}}}}}", inner.join(",")))
    };
    let found = compare(&members(1), &members(2), &mirrored());
    assert_eq!(found.len(), 500);
    assert!(found.iter().all(|d| d.path.len() < 1200));
}
