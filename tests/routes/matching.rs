//! Each case of `cases.yaml` finds its rule.

use shadowcap::route::{RequestFacts, RouteTable};

use crate::cases::{Case, Group, head};

/// The name that a rule was given.
fn found(table: &RouteTable, case: &Case) -> String {
    let head = head(&case.bytes());
    let search = table.search(&RequestFacts::new(&head));
    match search.hit {
        Some((_, rule, _)) => rule.name.rsplit(' ').next().unwrap().to_owned(),
        None if search.host.is_some() => "404".to_owned(),
        None => "no host".to_owned(),
    }
}

#[test]
fn each_request_finds_its_rule() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for group in Group::all() {
        assert!(!group.source.is_empty(), "{}", group.about);
        let table = group.table();
        for case in &group.requests {
            cases += 1;
            let found = found(&table, case);
            if found != case.finds() {
                wrong.push(format!("{}: {case:?} finds {found}", group.about));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases >= 120, "{cases}");
}

#[test]
fn half_of_the_cases_can_be_put_to_a_real_envoy() {
    let groups = Group::all();
    let cases = |of_envoy: bool| -> usize {
        groups.iter().filter(|group| group.envoy || !of_envoy).map(|group| group.requests.len()).sum()
    };
    assert!(2 * cases(true) >= cases(false), "{} of {}", cases(true), cases(false));
}
