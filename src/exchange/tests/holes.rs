//! Which pairs are sure behind holes that may have swallowed whole messages.

use super::{
    Client, ClientGap, End, Exchange, Server, ServerGap, Step, Unknowing, get, ok, play, play_from_middle,
    summary,
};
use crate::anomaly::Anomaly;

/// Requests and answers by turns.
fn turns(count: usize) -> Vec<(String, String)> {
    (0..count).map(|n| (get(&format!("/{n}")), ok(&n.to_string()))).collect()
}

fn steps(turns: &[(String, String)]) -> Vec<Step<'_>> {
    turns.iter().flat_map(|(request, answer)| [Client(request), Server(answer)]).collect()
}

fn is_marked(exchange: &Exchange) -> bool {
    exchange.anomalies.contains(Anomaly::StreamGap)
}

/// The exchanges, those in doubt with a question mark.
fn told(steps: &[Step<'_>]) -> String {
    let (exchanges, _) = play(steps, End::Fin);
    let one = |exchange: &Exchange| {
        let mark = if is_marked(exchange) { "?" } else { "" };
        format!("{}{mark}", summary(std::slice::from_ref(exchange)))
    };
    exchanges.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_numbers_pair_what_a_hole_in_one_direction_left() {
    let (a, b, c) = (get("/a"), get("/b"), get("/c"));
    let (to_a, to_b, to_c) = (ok("A"), ok("B"), ok("C"));
    for (why, steps, expected) in [
        (
            "the request of an answer is lost",
            [Client(&a), Server(&to_a), ClientGap(40), Server(&to_b), Client(&c), Server(&to_c)],
            "/a 200 A, /c 200 C",
        ),
        (
            "the answer to a request is lost",
            [Client(&a), Server(&to_a), Client(&b), ServerGap(40), Client(&c), Server(&to_c)],
            "/a 200 A, /b -?, /c 200 C",
        ),
        (
            "the first request is lost",
            [ClientGap(40), Server(&to_a), Client(&b), Server(&to_b), Client(&c), Server(&to_c)],
            "/b 200 B, /c 200 C",
        ),
        (
            "two answers and the request between them are lost",
            [Client(&a), ServerGap(40), ClientGap(40), ServerGap(40), Client(&c), Server(&to_c)],
            "/a -?, /c 200 C?",
        ),
    ] {
        assert_eq!(told(&steps), expected, "{why}");
    }
}

#[test]
fn behind_holes_in_both_directions_a_client_must_have_taken_turns() {
    for (before, sure) in [(1, false), (4, false), (7, true)] {
        let (known, after) = (turns(before), turns(9));
        let mut all = steps(&known);
        all.extend([ClientGap(40), ServerGap(40)]);
        all.extend(steps(&after));
        let (exchanges, account) = play(&all, End::Fin);
        assert_eq!((exchanges.len(), account.orphans), (before + 9, 0));
        assert!(exchanges.iter().all(|exchange| exchange.response.is_some()));
        assert_eq!(!is_marked(&exchanges[before]), sure, "after {before} turns");
        assert!(!is_marked(exchanges.last().unwrap()), "it has taken turns since");
    }
}

#[test]
fn behind_a_hole_a_client_that_pipelined_before_is_not_believed() {
    let both = get("/a") + &get("/b");
    let answers = ok("A") + &ok("B");
    let (d, to_d, e, to_e) = (get("/d"), ok("D"), get("/e"), ok("E"));
    let steps = [
        Client(&both),
        Server(&answers),
        Client(&d),
        Server(&to_d),
        ServerGap(40),
        Client(&e),
        Server(&to_e),
    ];
    assert_eq!(told(&steps), "/a 200 A, /b 200 B, /d 200 D, /e 200 E?");
}

#[test]
fn a_request_in_a_hole_without_an_answer_of_its_own_was_pipelined() {
    let (a, to_a, c, to_c) = (get("/a"), ok("A"), get("/c"), ok("C"));
    // No byte of the server lies between the answer to /a and the request /c, and a request does.
    let steps = [Client(&a), Server(&to_a), ClientGap(40), Client(&c), Server(&to_c)];
    assert_eq!(told(&steps), "/a 200 A, /c 200 C?");
}

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

#[test]
fn an_answer_is_exact_only_where_no_hole_may_have_swallowed_an_interim_one() {
    let (a, b, to_a, to_b) = (get("/a"), get("/b"), ok("A"), ok("B"));
    let (cut, rest) = CONTINUE.split_at(9);
    for (why, steps, expected) in [
        ("the only interim answer is lost", vec![Client(&a), ServerGap(25), Server(&to_a)], "/a 200 A?"),
        (
            "the second one is lost",
            vec![Client(&a), Server(CONTINUE), ServerGap(25), Server(&to_a)],
            "/a 200 A?",
        ),
        (
            "the head of the second one is torn",
            vec![Client(&a), Server(CONTINUE), Server(cut), ServerGap(7), Server(&rest[7..]), Server(&to_a)],
            "/a 200 A?",
        ),
        (
            "the first one is lost, the second is read",
            vec![Client(&a), ServerGap(25), Server(CONTINUE), Server(&to_a)],
            "/a 200 A?",
        ),
        (
            "the hole ends before the request was sent",
            vec![Client(&a), Server(&to_a), ServerGap(25), Client(&b), Server(CONTINUE), Server(&to_b)],
            "/a 200 A, /b 200 B",
        ),
        ("nothing is lost", vec![Client(&a), Server(CONTINUE), Server(CONTINUE), Server(&to_a)], "/a 200 A"),
    ] {
        assert_eq!(told(&steps), expected, "{why}");
    }
}

/// The anomalies of each pair of a connection that the capture comes into the middle of.
fn told_from_middle(steps: &[Step<'_>]) -> Vec<(String, bool)> {
    let (exchanges, _) = play_from_middle(steps);
    let marked = |exchange: &Exchange| exchange.anomalies.contains(Anomaly::MidConnection);
    exchanges.iter().map(|exchange| (summary(std::slice::from_ref(exchange)), marked(exchange))).collect()
}

#[test]
fn what_came_before_the_capture_is_in_doubt_until_the_client_has_taken_a_turn() {
    let (a, to_a, b, to_b) = (get("/a"), ok("A"), get("/b"), ok("B"));
    let told = told_from_middle(&[Client(&a), Server(&to_a), Client(&b), Server(&to_b)]);
    assert_eq!(told, [("/a 200 A".into(), true), ("/b 200 B".into(), false)]);
    // The first byte of the capture need not be that of the request.
    let told = told_from_middle(&[Client(&a[1..]), Server(&to_a), Client(&b), Server(&to_b)]);
    assert_eq!(told, [("/a 200 A".into(), true), ("/b 200 B".into(), false)]);
}

#[test]
fn what_a_server_said_before_it_knew_of_a_request_is_no_answer_to_it() {
    let (a, to_a, earlier) = (get("/a"), ok("A"), ok("earlier"));
    let unseen = i32::try_from(a.len()).unwrap();
    let told = told_from_middle(&[Client(&a), Unknowing(&earlier, unseen), Server(&to_a)]);
    assert_eq!(told, [("/a 200 A".into(), true)]);
}
