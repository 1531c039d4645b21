//! The redactor on whole rows.

use super::secrets::Sets;
use super::*;
use crate::record::samples;

const KEY: [u8; 32] = [7; 32];

fn text(row: &Row) -> String {
    format!("{row:?}").replace("\\\"", "\"")
}

#[test]
fn no_secret_of_a_row_survives_and_equal_ones_stay_equal() {
    let request = "POST http://bob:hunter22@h/x?api_key=QUERYSECRET&q=1 HTTP/1.1\r\nHost: h\r\n\
                   Authorization: Bearer TOPSECRET1\r\nCookie: sid=COOKIESECRET; theme=dark\r\n\r\n";
    let v1 = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=COOKIESECRET; Path=/\r\n\
              Location: /y?access_token=QUERYSECRET\r\n\r\n";
    let mut row = samples::row(request, v1, v1);
    samples::set_bodies(
        &mut row,
        br#"{"user":{"password":"BODYSECRET"},"pin_code":1}"#,
        br#"{"headers":{"Authorization":"Bearer TOPSECRET1"},"token":123456,"note":"you sent BODYSECRET"}"#,
        b"<p>you sent BODYSECRET with TOPSECRET1</p>",
    );
    Redactor::with_key(KEY).row(&mut row);
    let all = text(&row);
    for secret in ["hunter22", "QUERYSECRET", "TOPSECRET1", "COOKIESECRET", "BODYSECRET", "123456"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    let head = String::from_utf8_lossy(row.exchange.request.head.raw()).into_owned();
    assert!(head.contains("Bearer redacted:") && head.contains("; theme=redacted:"), "{head}");
    let of_request = head.split("api_key=").nth(1).unwrap().split('&').next().unwrap();
    let v1_head = &row.exchange.response.as_ref().unwrap().head;
    let location = std::str::from_utf8(v1_head.headers.get("location").unwrap()).unwrap();
    assert_eq!(location, format!("/y?access_token={of_request}"));
}

#[test]
fn redacting_twice_changes_nothing_more() {
    let mut row = samples::row(
        "GET /?token=abcdefgh HTTP/1.1\r\nHost: h\r\nCookie: a=secret-value\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    );
    samples::set_bodies(&mut row, b"password=abc", br#"{"token":1}"#, b"-");
    Redactor::with_key(KEY).row(&mut row);
    let once = text(&row);
    Redactor::with_key([8; 32]).row(&mut row);
    assert_eq!(text(&row), once);
}

#[test]
fn secrets_in_coded_bodies_are_found_and_the_coding_stays() {
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
    let mut row = samples::row("GET / HTTP/1.1\r\nHost: h\r\n\r\n", head, head);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut gzip, br#"{"token":"COMPRESSED-SECRET"}"#).unwrap();
    let coded = gzip.finish().unwrap();
    samples::set_bodies(&mut row, b"", &coded, &coded);
    let Outcome::Answered { response, timing, .. } = row.outcome else { panic!("answered") };
    let mut cut = response;
    cut.completeness = crate::http::Completeness::Cut;
    cut.body = samples::body_of(&coded[..coded.len() - 9]);
    row.outcome = Outcome::Failed {
        failure: crate::replay::Failure::ClosedInAnswer,
        detail: String::new(),
        partial: Some(cut),
        timing,
    };
    Redactor::with_key(KEY).row(&mut row);
    let v1 = row.exchange.response.as_ref().unwrap();
    let text = decoded(&v1.head.headers, &v1.body).unwrap();
    assert!(text.starts_with(br#"{"token":"redacted:"#), "{text:?}");
    assert_eq!(v1.body.len, coded.len() as u64);
    let Outcome::Failed { partial: Some(cut), .. } = &row.outcome else { panic!("failed") };
    assert_eq!(cut.body.entity, None);
}

#[test]
fn a_row_without_secrets_is_left_alone() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
    let mut row = samples::row("GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n", answer, answer);
    samples::set_bodies(&mut row, b"", b"<p>same</p>", b"<p>other</p>");
    let before = text(&row);
    Redactor::with_key(KEY).row(&mut row);
    assert_eq!(text(&row), before);
}

#[test]
fn secrets_of_every_form_leave_json_that_is_json() {
    let redactor =
        Redactor::with_key(KEY).also(Also::parse(["customer", r"acct-(\d+)", "77[0-9]{4}"]).unwrap());
    let text =
        br#"{"pan":4242424242424242,"text":"card 4242 4242 4242 4242","Customer":"Ada","a":"acct-123456",
        "n":770001,"nested":"{\"password\":\"hunter22\"}","url":"/x?next=%2Fy%3Ftoken%3Dtok12345"}"#;
    let redacted = redactor.redacted(text, Part::Body, &mut Secrets::default()).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&redacted).unwrap();
    let all = value.to_string();
    for secret in ["4242424242", "4242 4242", "Ada", "123456\"", "770001", "hunter22", "tok12345"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    assert!(value["pan"].as_str().unwrap().ends_with(":number"));
    assert!(value["a"].as_str().unwrap().starts_with("acct-redacted:"));
    assert!(redactor.redacted(&redacted, Part::Body, &mut Secrets::default()).is_none(), "{all}");
}

#[test]
fn what_follows_a_private_key_stays() {
    let redactor = Redactor::with_key(KEY);
    let pem = |kind: &str, key: &str| {
        format!(r"-----BEGIN {kind}PRIVATE KEY-----\n{key}\n-----END {kind}PRIVATE KEY-----\n")
    };
    let (one, two) = (pem("", "MIIone1one1one1"), pem("RSA ", "MIItwo2two2two2"));
    for text in [
        format!(r#"{{"key":"{one}","price":12}}"#),
        format!(r#"{{"keys":["{one}","{two}"],"price":12}}"#),
        // Cut off: the string ends before the key does.
        r#"{"key":"-----BEGIN PRIVATE KEY-----\nMIIone1one1one1","price":12,"x":"-----END"}"#.to_owned(),
        r#"{"key":"{\"k\":\"-----BEGIN PRIVATE KEY-----\\nMIIone1one1one1\"}","price":12}"#.to_owned(),
    ] {
        let redacted = redactor.redacted(text.as_bytes(), Part::Body, &mut Secrets::default()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&redacted).unwrap();
        assert_eq!(value["price"], 12, "{value}");
        let all = value.to_string();
        assert!(!all.contains("MIIone") && !all.contains("MIItwo") && all.contains("redacted:"), "{all}");
    }
    let text = format!("{one}\nprice 12").replace(r"\n", "\n");
    let redacted = redactor.redacted(text.as_bytes(), Part::Body, &mut Secrets::default()).unwrap();
    assert!(redacted.ends_with(b"-----END PRIVATE KEY-----\n\nprice 12"), "{redacted:?}");
}

#[test]
fn the_echo_of_every_secret_of_a_row_is_found() {
    let answer = "HTTP/1.1 200 OK\r\n\r\n";
    let with = |secrets: usize| {
        let mut row = samples::row("POST / HTTP/1.1\r\nHost: h\r\n\r\n", answer, answer);
        let member = |n| format!(r#"{{"token":"secret-number-{n:06}"}}"#);
        let all: Vec<_> = (0..secrets).map(member).collect();
        let echo = format!("<p>you sent secret-number-{:06}</p>", secrets - 1);
        samples::set_bodies(&mut row, format!("[{}]", all.join(",")).as_bytes(), b"", echo.as_bytes());
        Redactor::with_key(KEY).row(&mut row);
        row
    };
    for secrets in [1, 65, 3000] {
        let all = text(&with(secrets));
        assert!(!all.contains("secret-number") && all.contains("you sent redacted:"), "{secrets}");
    }
    // More than are looked for: what may echo them is not kept.
    assert!(!text(&with(40_000)).contains("secret-number"));
}

#[test]
fn the_users_own_words_lose_their_secrets_too() {
    for (text, shown) in [
        ("http://me:pw@host/a.pcap?token=abc&x=1", "http://redacted@host/a.pcap?token=redacted&x=1"),
        ("captures/day.pcap", "captures/day.pcap"),
    ] {
        assert_eq!(without_secrets(text), shown);
    }
}

#[test]
fn keys_are_random() {
    let (one, two) = (Redactor::random().unwrap(), Redactor::random().unwrap());
    assert_ne!(one.replacement(b"x", Form::Bare), two.replacement(b"x", Form::Bare));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, json in "[\\[{\"token:,1\\\\ }\\]]{0,60}") {
        for part in [Part::Head, Part::Body] {
            let redactor = Redactor::with_key(KEY);
            redactor.redacted(&bytes, part, &mut Secrets::default());
            redactor.redacted(json.as_bytes(), part, &mut Secrets::default());
        }
    }
}

#[test]
fn a_head_stays_a_head_whatever_in_it_looks_like_a_secret() {
    for (request, answer) in [
        // As httpbin's `/bearer` is asked: the scheme's name in the path is followed by the version.
        ("GET /bearer HTTP/1.1\r\nAuthorization: Bearer s3cr3t-token\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        ("GET /a?=bearer HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        // A hostile client names as secrets what every head needs.
        (
            "OPTIONS * HTTP/1.1\r\nCookie: a=HTTP/1.1; b=OPTIONS; c=1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
        ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nSet-Cookie: a=HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        let mut row = samples::row(request, answer, answer);
        let line = |raw: &[u8]| String::from_utf8_lossy(raw).lines().next().unwrap_or_default().to_owned();
        Redactor::with_key(KEY).row(&mut row);
        assert_eq!(line(row.exchange.request.head.raw()), line(request.as_bytes()));
        assert_eq!(line(row.sent_head.as_ref().unwrap()), line(request.as_bytes()));
        assert_eq!(line(row.exchange.response.as_ref().unwrap().head.raw()), "HTTP/1.1 200 OK");
        assert!(!text(&row).contains("s3cr3t-token"), "{}", text(&row));
    }
}

/// Texts in which secrets, what only looks like them, and what they stand in are joined at random.
fn texts() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let secret = prop_oneof![
        Just(jwt.to_owned()),
        "[a-zA-Z0-9+/=._~-]{4,40}",
        Just("4242 4242 4242 4242".to_owned()),
        Just("AKIAIOSFODNN7EXAMPLE".to_owned()),
        "(ghp_|sk_live_|glpat-|SG\\.)[A-Za-z0-9]{16,40}",
        Just("dXNlcjpwYXNzd29yZA==".to_owned()),
        Just("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----".to_owned()),
    ];
    let frame = prop_oneof![
        Just(("Authorization: Bearer ", "\r\n")),
        Just(("Cookie: a=", "; sid=12345678\r\n")),
        Just(("X-Api-Key:\t", "\r\n folded\r\n")),
        Just(("Host: ", "@example.com\r\n")),
        Just(("http://", "@h/")),
        Just(("/x?token=", "&a=b ")),
        Just(("next=%2Fy%3Fpassword%3D", "%26b%3Dc ")),
        Just(("\"api_key\":\"", "\",\"n\":1")),
        Just(("\\\"secret\\\": \\\"", "\\\"")),
        Just(("<password>", "</password>")),
        Just(("Content-Disposition: form-data; name=\"pin\"\r\n\r\n", "\r\n--b")),
        Just(("{\"password\": ", "}")),
        Just(("id=", "\n")),
        Just(("pan%3D", " ")),
        Just(("", "")),
    ];
    let piece = (frame, secret).prop_map(|((before, behind), secret)| [before, &secret, behind].concat());
    let noise = "[ -~]{0,30}(\r\n)?";
    prop::collection::vec(prop_oneof![2 => piece, 1 => noise.prop_map(|text| text)], 0..8)
        .prop_map(|pieces| pieces.concat())
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

    #[test]
    fn a_text_without_a_sign_holds_nothing_that_bears_it(text in texts()) {
        let redactor = Redactor::with_key(KEY);
        for (part, text) in [
            (Part::Body, text.clone()),
            (Part::Body, format!("{{{text}")),
            (Part::Head, format!("GET /{text} HTTP/1.1\r\n{text}\r\n")),
        ] {
            let fast = redactor.spans(text.as_bytes(), part, Signs::of(text.as_bytes()));
            proptest::prop_assert!(fast == redactor.spans(text.as_bytes(), part, Signs::ALL), "{}", text);
        }
    }

    #[test]
    fn a_head_like_another_is_found_to_hold_what_it_holds(
        (before, one, other, behind) in (texts(), texts(), texts(), texts()),
        pattern: bool,
    ) {
        let also = if pattern { Also::parse(["(?s)a.{3}"]).unwrap() } else { Also::default() };
        let redactor = Redactor::with_key(KEY).also(also);
        let head = |text: &str| format!("GET / HTTP/1.1\r\nA: {before}\r\n{text}\r\n{behind}\r\n\r\n");
        let (one, other) = (Bytes::from(head(&one)), Bytes::from(head(&other)));
        let heads = &mut HeadMemory::default();
        redactor.searched_head(heads, &one, Place::Sent);
        let found = redactor.searched_head(heads, &other, Place::Sent).spans;
        let truth = redactor.spans(&other, Part::Head, Signs::ALL);
        proptest::prop_assert!(found == truth, "{:?}", other);
    }

    #[test]
    fn what_was_met_before_changes_nothing(all in proptest::collection::vec((texts(), texts(), texts()), 1..4)) {
        let warm = Redactor::with_key(KEY);
        let redacted = |redactor: &Redactor, (target, body, answer): &(String, String, String)| {
            let request = format!("GET /{} HTTP/1.1\r\n{target}\r\n\r\n", target.len());
            let mut row = samples::row(&request, "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
            row.sent_head = Some(request.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nHost: x\r\n").into());
            samples::set_bodies(&mut row, body.as_bytes(), answer.as_bytes(), body.as_bytes());
            redactor.row(&mut row);
            text(&row)
        };
        for _ in 0..3 {
            for row in &all {
                proptest::prop_assert_eq!(redacted(&warm, row), redacted(&Redactor::with_key(KEY), row));
            }
        }
    }

    #[test]
    fn an_echo_is_found_by_any_of_its_bytes(secret in "[a-cX]{6,12}", text in "[a-cX]{0,80}", at in 0_usize..80) {
        let text = [text.get(..at).unwrap_or(&text), &secret, text.get(at..).unwrap_or_default()].concat();
        let truth: Vec<_> = memchr::memmem::find_iter(text.as_bytes(), &secret).collect();
        let mut sets = Sets::default();
        // From the second time on the search is prepared.
        for _ in 0..3 {
            let mut found = Vec::new();
            Secrets::of(sets.of(&[secret.as_bytes()])).find(text.as_bytes(), Part::Body, |span| found.push(span.start));
            proptest::prop_assert_eq!(&found, &truth, "{} {}", secret, text);
        }
    }
}

/// A line of a head, by itself or as what goes on with another.
fn line() -> impl proptest::strategy::Strategy<Value = String> {
    proptest::prop_oneof![
        "(Cookie|X-Api-Key|Host|A|Location|Content-Encoding|Authorization) ?: ?[ -~]{0,40}",
        "(Bearer|Basic|basic) [a-z0-9]{6,12}[ ,]?",
        "[ \\t][ -~]{0,20}",
        "[a-z ]{0,3}(=|%3D|: |://)(\"|a:b@)?[a-z0-9]{0,12}",
        "(token|sid|x)(=|%3D|%3d)\"?[ -~]{0,12}",
        "([4 ]|4242|-){0,12}",
        "(AKIA[A-Z0-9]{16}|eyJ[a-z.]{20,30})",
        proptest::strategy::Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        "[ -~é]{0,30}",
    ]
}

proptest::proptest! {
    #[test]
    fn a_head_holds_line_by_line_what_it_holds_as_a_whole(
        start in "(GET|CONNECT|HTTP/1.1) ?[ -~]{0,30}( HTTP/1.1)?",
        lines in proptest::collection::vec((line(), "\r?\n"), 0..6),
        changed in proptest::collection::vec((line(), "\r?\n"), 0..2),
        at in 0_usize..6,
    ) {
        let head = |lines: &[(String, String)]| {
            let lines: String = lines.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
            Bytes::from(format!("{start}\r\n{lines}\r\n"))
        };
        let redactor = Redactor::with_key(KEY);
        let known = head(&lines);
        let mut other = lines.clone();
        let at = at.min(other.len());
        other.splice(at..(at + 1).min(other.len()), changed);
        let heads = &mut HeadMemory::default();
        // Met for the first time, and then again.
        for head in [&known, &head(&other), &known, &head(&other), &known] {
            let signs = Signs::of_head(head);
            let whole = redactor.spans(head, Part::Head, signs);
            let found = redactor.searched_head(heads, head, Place::Request);
            proptest::prop_assert_eq!(&found.spans, &whole, "{:?}", head);
            proptest::prop_assert!(found.signs.has(Sign::Coding) || !signs.has(Sign::Coding));
        }
    }
}

#[test]
fn echoes_are_found_in_the_body_of_each_answer() {
    let answer = "HTTP/1.1 200 OK\r\n\r\n";
    let mut row = samples::row("GET / HTTP/1.1\r\nHost: h\r\nCookie: a=secret-value\r\n\r\n", answer, answer);
    samples::set_bodies(&mut row, b"", b"<p>secret-value</p>", b"<p>secret-value</p>");
    Redactor::with_key(KEY).row(&mut row);
    let Outcome::Answered { response, .. } = &row.outcome else { panic!("answered") };
    let v1 = &row.exchange.response.as_ref().unwrap().body.entity;
    assert_eq!(v1, &response.body.entity);
    assert!(v1.as_ref().unwrap().starts_with(b"<p>redacted:"), "{v1:?}");
}

/// Rows of one client, whose heads differ in a line or two.
fn rows_of_a_client() -> impl proptest::strategy::Strategy<Value = Vec<Row>> {
    use proptest::prelude::*;
    let lines = [
        "A: b",
        "A: first-secret",
        "A: b, first-secret\r\n first-secret",
        "Bfirst-secret",
        "C: first-\r\nA: b",
        "X-Api-Key: second-secret",
        "A: second-secret",
        "Host: other",
        "",
    ];
    let end = prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just("")];
    let line = (prop::sample::select(lines.to_vec()), end).prop_map(|(line, end)| [line, end].concat());
    let key = prop_oneof![6 => Just("first-secret"), 1 => Just("first-\r\nA: b"), 1 => Just("third-secret")];
    // Ids, of which some are numbers of cards, or as long.
    let ids =
        ["0", "1", "23", "7f4c01", "a-b", "4242424242424242", "4242-4242-4242-4242", "12345678901234567"];
    let row = (
        prop::collection::vec(line, 4),
        key,
        prop::sample::select(ids.to_vec()),
        prop::sample::select(ids.to_vec()),
    );
    let row = row.prop_map(|(lines, key, n, id)| {
        let request =
            format!("GET /{n} HTTP/1.1\r\nHost: h\r\nCookie: a=first-secret\r\n{}\r\n\r\n", lines[0]);
        let answer =
            |n: usize| format!("HTTP/1.1 200 OK\r\nServer: s\r\nX-Id: {id}\r\n{}E: f\r\n\r\n", lines[n]);
        let mut row = samples::row(&request, &answer(1), &answer(2));
        row.sent_head = Some(request.replace("Host: h", &format!("Host: {}", lines[3])).into());
        let form = format!("--b\r\nContent-Disposition: form-data; name=\"pin\"\r\n\r\n{key}\r\n--b");
        let body = lines[1].as_bytes();
        samples::set_bodies(&mut row, form.as_bytes(), body, if n == "0" { body } else { b"second-secret" });
        row
    });
    // Each several times in a row, since what is made of it is remembered only then.
    prop::collection::vec((row, 1_usize..4), 1..9)
        .prop_map(|rows| rows.into_iter().flat_map(|(row, times)| std::iter::repeat_n(row, times)).collect())
}

proptest::proptest! {
    #[test]
    fn what_became_of_a_head_before_changes_nothing(rows in rows_of_a_client()) {
        let warm = Redactor::with_key(KEY);
        for row in rows {
            let (mut one, mut other) = (row.clone(), row);
            warm.row(&mut one);
            Redactor::with_key(KEY).row(&mut other);
            proptest::prop_assert_eq!(text(&one), text(&other));
        }
    }
}

#[test]
fn a_head_that_one_row_leaves_as_it_is_may_repeat_the_secret_of_the_next() {
    let redactor = Redactor::with_key(KEY);
    for (n, secret) in
        ["first", "first", "first", "second", "second", "first", "second"].into_iter().enumerate()
    {
        let request = format!("GET /{n} HTTP/1.1\r\nHost: h\r\nCookie: a={secret}-secret\r\n\r\n");
        let answer = "HTTP/1.1 200 OK\r\nA: second-secret\r\n\r\n";
        let mut row = samples::row(&request, answer, answer);
        redactor.row(&mut row);
        let all = text(&row);
        assert_eq!(all.contains("second-secret"), secret == "first", "{n} {all}");
    }
}

#[test]
fn what_became_of_a_head_is_remembered_for_rows_with_the_same_secrets() {
    let redactor = Redactor::with_key(KEY);
    let remembered = || redactor.known().heads.as_ref().map_or(0, |heads| heads.edited_for_some());
    for n in 0..6 {
        let request = format!("GET /{n} HTTP/1.1\r\nHost: h\r\nB: c\r\nCookie: a=secret-value\r\n\r\n");
        // A head that is that of the row before needs no more than that.
        let answer = |more: &str| format!("HTTP/1.1 200 OK\r\nA: b\r\n{more}X: {n}\r\n\r\n");
        let mut row = samples::row(&request, &answer("C: d\r\n"), &answer(""));
        row.sent_head = Some(request.replace("Host: h", "Host: v2").into());
        redactor.row(&mut row);
        assert_eq!(remembered(), if n < 2 { 0 } else { 4 }, "{n}");
    }
}
