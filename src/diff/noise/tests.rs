//! Simulated services with fixed seeds: answers of a few members, judged as the pipeline does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bytes::Bytes;

use super::*;
use crate::anomaly::AnomalySet;
use crate::diff::compare;
use crate::diff::tests::response;
use crate::http::h1::parse_head;
use crate::http::{Body, Completeness, Framing};
use crate::time::Timestamp;

/// Marsaglia's xorshift64* generator.
struct Random(u64);

impl Random {
    fn chance(&mut self, share: f64) -> bool {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let unit = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64;
        unit < share
    }

    fn number(&mut self) -> u64 {
        self.chance(0.5);
        self.0 >> 20
    }
}

/// One service: the share of noise of each member, and which requests v2 answers wrongly in the first one.
struct Model<'m> {
    noise: &'m [f64],
    /// Noise with many values instead of two.
    many: bool,
    wrong: &'m dyn Fn(usize, &mut Random) -> bool,
    /// What it answers then, to which request.
    fault: fn(usize) -> usize,
}

/// A fault with one value.
const SEVEN: fn(usize) -> usize = |_| 7;

impl Model<'_> {
    fn answer(&self, side: Side, n: usize, random: &mut Random) -> Response {
        let mut body = String::from("{");
        for (member, share) in self.noise.iter().enumerate() {
            let noisy = random.chance(*share);
            let other = if self.many { 1000 + random.number() % 1_000_000 } else { 1 };
            let mut value = if noisy { other } else { 0 };
            if member == 0 && side == Side::V2 && (self.wrong)(n, random) {
                value = (self.fault)(n) as u64;
            }
            _ = write!(body, "{}\"m{member}\":{value}", if member > 0 { "," } else { "" });
        }
        response(200, &["Content-Type: application/json\r\n"], body + "}")
    }
}

struct Row {
    request: Request,
    v1: Response,
    v2: Response,
    differences: Vec<Difference>,
    again: Vec<(Side, Response)>,
    /// A second answer of v1, as Diffy asks for.
    secondary: Response,
}

pub(super) fn request() -> Request {
    Request {
        head: parse_head(Bytes::from_static(b"GET /x HTTP/1.1\r\nHost: api\r\n\r\n")).unwrap(),
        body: Body {
            framing: Framing::None,
            len: 0,
            lost: 0,
            wire: None,
            entity: None,
            sha256: None,
            elsewhere: crate::http::Elsewhere::Nowhere,
        },
        first_byte: Timestamp::default(),
        last_byte: Timestamp::default(),
        completeness: Completeness::Complete,
        anomalies: AnomalySet::default(),
    }
}

/// Requests whose answers differ are asked again four times of each side, of the others one in a hundred is.
fn rows(seed: u64, requests: usize, model: &Model<'_>) -> Vec<Row> {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    (0..requests)
        .map(|n| {
            let [v1, secondary] = [(); 2].map(|()| model.answer(Side::V1, n, &mut random));
            let v2 = model.answer(Side::V2, n, &mut random);
            let differences = compare(&v1, &v2, &Context::default());
            let rounds = if differences.is_empty() { usize::from(n % 100 == 0) } else { 4 };
            let sides = (0..rounds).flat_map(|_| [Side::V2, Side::V1]);
            let again = sides.map(|side| (side, model.answer(side, n, &mut random))).collect();
            Row { request: request(), v1, v2, differences, again, secondary }
        })
        .collect()
}

fn seen<'a>(row: &'a Row, context: &'a Context<'a>, rules: &'a Applicable<'a>) -> Seen<'a> {
    Seen {
        request: &row.request,
        v1: &row.v1,
        v2: &row.v2,
        differences: &row.differences,
        again: &row.again,
        context,
        rules,
    }
}

fn learn<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Learned {
    let (context, rules) = (Context::default(), Applicable::default());
    let mut learner = Learner::new(Settings::default());
    rows.into_iter().for_each(|row| learner.observe(&seen(row, &context, &rules)));
    learner.learned()
}

/// The differences of each row as they are classified.
fn classified(rows: &[Row], learned: &Learned) -> Vec<Vec<Difference>> {
    let (context, rules) = (Context::default(), Applicable::default());
    let classify = |row: &Row| {
        let mut differences = row.differences.clone();
        learned.classify(&seen(row, &context, &rules), &mut differences);
        differences
    };
    rows.iter().map(classify).collect()
}

/// The members that something is told of.
fn told(rows: &[Row]) -> BTreeSet<String> {
    let classified = classified(rows, &learn(rows));
    classified.into_iter().flatten().filter(|d| d.class.counts()).map(|d| d.path).collect()
}

/// The members of which Diffy's rule tells, with its defaults: relative threshold 20 %, absolute 0.03 %.
fn told_by_diffy(rows: &[Row]) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    for row in rows {
        let noise = compare(&row.v1, &row.secondary, &Context::default());
        for (at, differences) in [&row.differences, &noise].into_iter().enumerate() {
            for d in differences {
                counts.entry(d.path.clone()).or_default()[at] += 1.0;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let all = rows.len() as f64;
    let is_told = |[raw, noise]: [f64; 2]| {
        (raw - noise).abs() / (raw + noise) * 100.0 > 20.0 && (raw - noise).abs() / all * 100.0 > 0.03
    };
    counts.into_iter().filter(|(_, count)| is_told(*count)).map(|(path, _)| path).collect()
}

const NEVER: &dyn Fn(usize, &mut Random) -> bool = &|_, _| false;

#[test]
fn without_a_fault_next_to_nothing_is_told() {
    let noise = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0];
    let (mut ours, mut by_diffy) = (0, 0);
    for seed in 1..=20 {
        let rows = rows(seed, 150, &Model { noise: &noise, many: seed % 2 == 0, wrong: NEVER, fault: SEVEN });
        ours += told(&rows).len();
        by_diffy += told_by_diffy(&rows).len();
    }
    println!("20 seeds of {} noisy members: false {ours}, Diffy's rule {by_diffy}", noise.len());
    assert!(ours <= 1, "{ours} false ones");
    assert!(by_diffy > 10, "the same answers must be able to mislead: {by_diffy}");
}

/// A fault that is met by chance in a tenth of the answers, where three tenths differ anyway.
#[test]
fn a_fault_within_strong_noise_is_found() {
    for many in [false, true] {
        let (mut ours, mut by_diffy) = (0, 0);
        for seed in 1..=5 {
            let wrong = |_: usize, random: &mut Random| random.chance(0.1);
            let rows = rows(seed, 400, &Model { noise: &[0.3], many, wrong: &wrong, fault: SEVEN });
            ours += told(&rows).len();
            by_diffy += told_by_diffy(&rows).len();
        }
        println!("10 % within 30 %, fresh values {many}: found {ours} of 5, Diffy's rule {by_diffy}");
        assert_eq!(ours, 5);
    }
}

/// Five of a thousand requests are answered wrongly, always.
#[test]
fn a_rare_fault_is_found_whatever_the_noise() {
    let noises = [0.01, 0.3].into_iter().flat_map(|share| [(share, false), (share, true)]);
    // The wrong answers have one value, or each its own.
    let own: fn(usize) -> usize = |n| 5_000_000 + n;
    for ((share, many), fault) in
        noises.flat_map(|noise| [(noise, SEVEN), (noise, own)]).chain([((0.0, false), SEVEN)])
    {
        let wrong = |n: usize, _: &mut Random| n % 200 == 37;
        let rows = rows(3, 1000, &Model { noise: &[share], many, wrong: &wrong, fault });
        let found = classified(&rows, &learn(&rows));
        let met = (0..1000).filter(|n| n % 200 == 37);
        let confirmed = met.filter(|n| found[*n].iter().any(|d| d.class == Class::Confirmed)).count();
        println!("0.5 % within {share}: {confirmed} of 5, Diffy's rule {}", told_by_diffy(&rows).len());
        assert_eq!(confirmed, 5, "noise {share}, many values {many}, wrong ones {}", fault(37));
    }
}

#[test]
fn what_v1_now_answers_too_has_drifted() {
    let (old, new) = (response(200, &[], "a\n1"), response(200, &[], "a\n2"));
    let differences = compare(&old, &new, &Context::default());
    let again = vec![(Side::V2, new.clone()), (Side::V1, new.clone())];
    let row = Row { request: request(), v1: old.clone(), v2: new, differences, again, secondary: old };
    let rows = [row];
    let learned = learn(&rows);
    assert_eq!(classified(&rows, &learned)[0][0].class, Class::Drift);
    assert!(!learned.is_neutral());
}

#[test]
fn the_order_of_the_exchanges_does_not_matter() {
    let wrong = |n: usize, _: &mut Random| n % 50 == 7;
    let rows = rows(9, 200, &Model { noise: &[0.1, 0.3], many: true, wrong: &wrong, fault: SEVEN });
    let forth = classified(&rows, &learn(&rows));
    let back = classified(&rows, &learn(rows.iter().rev()));
    assert_eq!(forth, back);
}

#[test]
fn a_value_of_another_form_at_a_volatile_place_counts() {
    let uuid = |n: usize| format!("{{\"id\":\"123e4567-e89b-12d3-a456-4266141{n:05}\"}}");
    let answer = |body: String| response(200, &["Content-Type: application/json\r\n"], body);
    let rows: Vec<Row> = (0..20)
        .map(|n| {
            let v2 = if n == 5 { "{\"id\":\"null-null\"}".to_owned() } else { uuid(n + 100) };
            let (v1, v2) = (answer(uuid(n)), answer(v2));
            let differences = compare(&v1, &v2, &Context::default());
            let v2_now = if n == 5 { v2.clone() } else { answer(uuid(n + 300)) };
            let again = vec![(Side::V2, v2_now), (Side::V1, answer(uuid(n + 200)))];
            Row { request: request(), secondary: v1.clone(), v1, v2, differences, again }
        })
        .collect();
    let found = classified(&rows, &learn(&rows));
    assert_eq!(found[5][0].class, Class::Confirmed);
    assert_eq!(found[6][0].class, Class::Volatile);
}

/// Names that are data: what one of them has is what all have, and a fault in it is one distinct difference.
#[test]
fn members_named_by_data_are_one_place() {
    let user = |n: usize| {
        ["al", "be", "ca", "do", "er", "fo"][n % 6].to_owned()
            + ["ra", "lo", "mi", "na", "te"][n / 6 % 5]
            + ["", "s", "nne"][n / 30 % 3]
    };
    let answer = |n: usize, mail: &str, seen: usize| {
        let users =
            (0..3).map(|i| format!("\"{}\":{{\"mail\":\"{mail}\",\"seen\":{seen}}}", user(n * 3 + i)));
        let body = format!("{{\"users\":{{{}}},\"page\":1}}", users.collect::<Vec<_>>().join(","));
        response(200, &["Content-Type: application/json\r\n"], body)
    };
    let rows: Vec<Row> = (0..60)
        .map(|n| {
            let (v1, v2) = (answer(n, "a", n), answer(n, if n % 3 == 0 { "b" } else { "a" }, n + 1000));
            let differences = compare(&v1, &v2, &Context::default());
            let again = vec![
                (Side::V2, answer(n, if n % 3 == 0 { "b" } else { "a" }, n + 2000)),
                (Side::V1, answer(n, "a", n + 3000)),
            ];
            Row { request: request(), secondary: v1.clone(), v1, v2, differences, again }
        })
        .collect();
    let learned = learn(&rows);
    assert!(!learned.is_neutral());
    let found = classified(&rows, &learned);
    let distinct: BTreeSet<_> = found
        .iter()
        .flatten()
        .map(|d| {
            (d.class, learned.place(b"GET", b"api", "/x", d), learned.fingerprint(b"GET", b"api", "/x", d))
        })
        .collect();
    let distinct: Vec<_> = distinct.iter().map(|(class, place, _)| (*class, place.as_str())).collect();
    assert_eq!(
        distinct,
        [(Class::Confirmed, "$['users'][*]['mail']"), (Class::Volatile, "$['users'][*]['seen']"),]
    );
    let volatile = found[1].iter().find(|d| d.class == Class::Volatile).unwrap();
    assert!(learned.evidence(b"GET", b"api", "/x", volatile).unwrap().v1_changed > 0);
}

/// Each side's time is that of its own answer; what v2 has of another time is a finding.
#[test]
fn a_time_that_is_not_its_answers_counts() {
    let answer = |at: i64, told: i64| {
        let body = format!("{{\"at\":{}}}", told * 1000);
        let mut answer = response(200, &["Content-Type: application/json\r\n"], body);
        answer.first_byte = Timestamp::from_parts(at, 0);
        answer
    };
    let (captured, replayed) = (1_700_000_000, 1_800_000_000);
    let rows: Vec<Row> = (0..20)
        .map(|n| {
            // An hour behind, as a service in another time zone has it.
            let behind = if n == 5 { 3600 } else { 0 };
            let (v1, v2) = (answer(captured + n, captured + n), answer(replayed + n, replayed + n - behind));
            let differences = compare(&v1, &v2, &Context::default());
            let again = vec![
                (Side::V2, answer(replayed + n + 60, replayed + n + 60 - behind)),
                (Side::V1, answer(replayed + n + 60, replayed + n + 60)),
            ];
            Row { request: request(), secondary: v1.clone(), v1, v2, differences, again }
        })
        .collect();
    let learned = learn(&rows);
    let found = classified(&rows, &learned);
    assert_eq!(found[5][0].class, Class::Confirmed);
    assert!(found.iter().enumerate().all(|(n, found)| n == 5 || found[0].class == Class::Volatile));
    let evidence = learned.evidence(b"GET", b"api", "/x", &found[0][0]).unwrap();
    assert_eq!(evidence.shapes, ["time near now (epoch in ms)"]);
}

/// A row that was not asked again.
fn unasked(v1: &str, v2: &str) -> Row {
    let answer = |body: &str| response(200, &["Content-Type: application/json\r\n"], body.to_owned());
    row_of(answer(v1), answer(v2))
}

fn row_of(v1: Response, v2: Response) -> Row {
    let differences = compare(&v1, &v2, &Context::default());
    Row { request: request(), secondary: v1.clone(), v1, v2, differences, again: Vec::new() }
}

fn classes(rows: &[Row], learned: &Learned) -> Vec<Vec<Class>> {
    classified(rows, learned).into_iter().map(|found| found.into_iter().map(|d| d.class).collect()).collect()
}

#[test]
fn identical_requests_show_what_v1_never_answers_alike() {
    let uuid = |n: usize| format!("{{\"id\":\"123e4567-e89b-12d3-a456-4266141{n:05}\"}}");
    let mut rows: Vec<Row> = (0..15).map(|n| unasked(&uuid(n), &uuid(n + 100))).collect();
    // Of another form, of another type, and not there at all.
    rows.extend(["{\"id\":\"-\"}", "{\"id\":7}", "{}"].map(|v2| unasked(&uuid(50), v2)));
    let learned = learn(&rows);
    assert!(!learned.is_neutral());
    let found = classes(&rows, &learned);
    assert!(found[..15].iter().all(|found| found == &[Class::Volatile]), "{found:?}");
    assert!(found[15..].iter().all(|found| found == &[Class::Unverified]), "{found:?}");
    let evidence = learned.evidence(b"GET", b"api", "/x", &rows[0].differences[0]).unwrap();
    // All but the first are held against the first; of v2's answers two are no strings.
    assert_eq!((evidence.v1_disagreed, evidence.v2_disagreed, evidence.asked), (17, 15, 0));
}

#[test]
fn other_requests_are_not_held_against_each_other() {
    let targets = ["/x?a=1", "/x?a=2", "/x?a=3"];
    let rows: Vec<Row> = targets
        .iter()
        .enumerate()
        .map(|(n, target)| {
            let mut row = unasked(&format!("{{\"n\":{n}}}"), &format!("{{\"n\":{}}}", n + 10));
            let head = format!("GET {target} HTTP/1.1\r\nHost: api\r\n\r\n");
            row.request.head = parse_head(Bytes::from(head)).unwrap();
            row
        })
        .collect();
    let learned = learn(&rows);
    assert!(learned.is_neutral());
    assert!(classes(&rows, &learned).iter().all(|found| found == &[Class::Unverified]));
}

/// A state that v2 follows is none of noise: what v2 gets wrong in it counts.
#[test]
fn what_v2_changes_with_is_state() {
    let cart = |items: usize| format!("{{\"items\":{items}}}");
    let rows: Vec<Row> = (0..20).map(|n| unasked(&cart(n), &cart(if n == 9 { 77 } else { n }))).collect();
    let found = classes(&rows, &learn(&rows));
    assert_eq!(found[9], [Class::Unverified]);
}

/// One of v1's answers was overloaded: that excuses the same of v2 once, and neither another status nor many of them.
#[test]
fn a_status_that_v1_never_gave_or_seldom_counts() {
    let answer = |status: u16| response(status, &[], "");
    let rows = |v2: &dyn Fn(usize) -> u16| -> Vec<Row> {
        (0..30).map(|n| row_of(answer(if n == 4 { 503 } else { 200 }), answer(v2(n)))).collect()
    };
    let class_of = |rows: &[Row], n: usize| classes(rows, &learn(rows))[n].clone();
    let once = |status: u16| move |n: usize| if n == 7 { status } else { 200 };
    assert_eq!(class_of(&rows(&once(503)), 7), [Class::Volatile]);
    assert_eq!(class_of(&rows(&once(500)), 7), [Class::Unverified]);
    assert_eq!(class_of(&rows(&|n| if n % 2 == 1 { 503 } else { 200 }), 7), [Class::Unverified]);
}

/// A flag that v2 always has and v1 seldom is found without asking.
#[test]
fn repeated_requests_are_tested_as_if_asked() {
    let rows: Vec<Row> = (0..30)
        .map(|n| unasked(if n % 6 == 5 { "{\"flag\":1}" } else { "{\"flag\":0}" }, "{\"flag\":1}"))
        .collect();
    let learned = learn(&rows);
    let evidence = learned.evidence(b"GET", b"api", "/x", &rows[0].differences[0]).unwrap();
    assert!(evidence.significant, "{evidence:?}");
    assert_eq!(classes(&rows, &learned)[0], [Class::Unverified]);
}
