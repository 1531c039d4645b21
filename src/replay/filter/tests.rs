use super::*;
use crate::expression::LONGEST;
use crate::record::samples;

/// Asked by 10.0.0.1 at noon, answered with 200.
fn exchange() -> Box<Exchange> {
    let request =
        "POST /orders/7?debug=1&x=y HTTP/1.1\r\nHost: shop:8000\r\nX-Team: blue\r\nx-team: green\r\n\r\n";
    samples::row(request, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n").exchange
}

#[test]
fn a_filter_sees_method_host_path_headers_status_client_and_time() {
    for (text, admits) in [
        ("true", true),
        ("method == 'POST'", true),
        ("method in ['GET', 'HEAD']", false),
        ("host == 'shop:8000'", true),
        ("host.startsWith('shop')", true),
        ("target == '/orders/7?debug=1&x=y'", true),
        ("path == '/orders/7' && query.contains('debug')", true),
        ("path.matches('^/orders/[0-9]+$')", true),
        ("path.matches('^/users')", false),
        ("header('X-TEAM') == 'blue, green'", true),
        ("header('x-none') == ''", true),
        ("header('x-none') != '' || status >= 500", false),
        ("status >= 200 && status < 300", true),
        ("client == '10.0.0.1' && server == '10.0.0.2'", true),
        ("time >= '2026-11-22T12:00' && time < '2026-11-22T12:01'", true),
        ("time < '2026-11-22T12:00'", false),
        ("['/orders', '/carts'].exists(p, path.startsWith(p))", true),
        ("!(method == 'POST') ? false : status == 200", true),
    ] {
        assert_eq!(Filter::new(text).unwrap().admits(&exchange()), Ok(admits), "{text}");
    }
}

#[test]
fn a_request_without_an_answer_has_status_0_and_odd_bytes_are_replaced() {
    let mut exchange = exchange();
    exchange.response = None;
    assert_eq!(Filter::new("status == 0").unwrap().admits(&exchange), Ok(true));
    let raw = bytes::Bytes::from_static(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n");
    exchange.request.head = crate::http::h1::parse_head(raw).unwrap();
    assert_eq!(Filter::new("path == '/\u{fffd}'").unwrap().admits(&exchange), Ok(true));
}

#[test]
fn what_is_no_condition_is_refused_with_its_place_and_the_remedy() {
    for (text, says) in [
        ("method = 'GET'", "column 8: "),
        ("method = 'GET'", "== compares"),
        ("method == 'GET", "column 11: "),
        ("(method == 'GET'", "column 17: "),
        ("", "column 1: "),
        ("verb == 'GET'", "there is no `verb`"),
        ("path.startswith('/a')", "startswith"),
        ("path.matches('[')", "regex"),
        ("path", "string, not true or false"),
        ("status == 200 && path > 7", "(string, int)"),
        ("1 + 1 == 2 ? path : method", "not true or false"),
    ] {
        let error = Filter::new(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn expressions_that_would_exhaust_the_stack_are_refused() {
    for part in ["(", "[", "!", "-", "true ? ", "{1:"] {
        assert_eq!(
            Filter::new(&part.repeat(LONGEST / part.len())).unwrap_err(),
            ExpressionError::TooLarge,
            "{part}"
        );
    }
    assert_eq!(Filter::new(&" ".repeat(LONGEST + 1)).unwrap_err(), ExpressionError::TooLarge);
}

proptest::proptest! {
    #[test]
    fn no_expression_breaks_it(text in "[a-z()\\[\\]{}'\"!=<>&|?:.,0-9 /\\\\-]{0,60}") {
        if let Ok(mut filter) = Filter::new(&text) {
            let _ = filter.admits(&exchange());
        }
    }
}
