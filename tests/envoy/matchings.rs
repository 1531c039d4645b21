//! Requests and the rules that they meet: which one is theirs. Each row was put to Envoy.

/// One request before some rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matching {
    pub(crate) name: &'static str,
    /// In YAML, without the brackets.
    pub(crate) hosts: &'static str,
    /// The value of `match` of each rule, in order, in YAML without the brackets; empty for a rule without any.
    pub(crate) rules: &'static [&'static str],
    /// The request line without the version, and the header fields, with a bar between them.
    pub(crate) request: &'static str,
    /// The rule that is taken, counted from 0; `None` for 404.
    pub(crate) taken: Option<usize>,
}

const fn of(
    name: &'static str,
    rules: &'static [&'static str],
    request: &'static str,
    taken: Option<usize>,
) -> Matching {
    Matching { name, hosts: "'*'", rules, request, taken }
}

const fn for_hosts(name: &'static str, hosts: &'static str, host: &'static str, taken: bool) -> Matching {
    let taken = if taken { Some(0) } else { None };
    Matching { name, hosts, rules: &[""], request: host, taken }
}

const EXACT: &[&str] = &["{uri: {exact: /get}}"];
const PREFIX: &[&str] = &["{uri: {prefix: /api}}"];
const REGEX: &[&str] = &["{uri: {regex: '/api/v[0-9]+'}}"];
const FOLDED: &[&str] =
    &["{uri: {exact: /Get}, ignoreUriCase: true}", "{uri: {prefix: /Api}, ignoreUriCase: true}"];
const METHODS: &[&str] =
    &["{method: {exact: GET}}", "{method: {prefix: PO}}", "{method: {regex: 'PU.|DELETE'}}"];
const VALUE: &[&str] = &["{headers: {x-v: {exact: two}}}"];
const PRESENT: &[&str] = &["{headers: {x-v: {}}}"];
const BEGINS: &[&str] = &["{headers: {x-v: {prefix: tw}}}"];
const PATTERN: &[&str] = &["{headers: {x-v: {regex: 't.o'}}}"];
const WITHOUT: &[&str] = &["{withoutHeaders: {x-v: {exact: two}}}"];
const ABSENT: &[&str] = &["{withoutHeaders: {x-v: {}}}"];
const QUERY: &[&str] = &["{queryParams: {a: {exact: '1'}}}"];
const AUTHORITY: &[&str] =
    &["{authority: {exact: 'shop:8000'}}", "{authority: {prefix: cart}}", "{authority: {regex: '.*test'}}"];
const SCHEME: &[&str] = &["{scheme: {exact: https}}", "{scheme: {exact: http}}"];
const BOTH: &[&str] = &["{uri: {prefix: /a}, method: {exact: POST}, headers: {x-v: {exact: two}}}"];
const EITHER: &[&str] = &["{uri: {exact: /a}}, {uri: {exact: /b}}, {headers: {x-v: {}}}"];
const ORDER: &[&str] = &["{uri: {prefix: /a/b}}", "{uri: {prefix: /a}}", "{uri: {exact: /a/b/c}}", ""];

/// All of them.
pub(crate) const MATCHINGS: &[Matching] = &[
    // Paths.
    of("an exact path", EXACT, "GET /get|Host: a", Some(0)),
    of("an exact path and a query", EXACT, "GET /get?x=1|Host: a", Some(0)),
    of("an exact path and a slash", EXACT, "GET /get/|Host: a", None),
    of("an exact path in another case", EXACT, "GET /Get|Host: a", None),
    of("an exact path with a letter escaped", EXACT, "GET /%67et|Host: a", Some(0)),
    of("an exact path behind dots", EXACT, "GET /x/../get|Host: a", Some(0)),
    of("an exact path in the absolute form", EXACT, "GET http://b/get|Host: a", Some(0)),
    of("a prefix", PREFIX, "GET /api/x|Host: a", Some(0)),
    of("a prefix alone", PREFIX, "GET /api|Host: a", Some(0)),
    of("a prefix within a segment", PREFIX, "GET /apis|Host: a", Some(0)),
    of("a prefix not at the beginning", PREFIX, "GET /x/api|Host: a", None),
    of("a prefix behind two slashes", PREFIX, "GET //api|Host: a", None),
    of("a prefix in the query", PREFIX, "GET /?/api|Host: a", None),
    of("a pattern", REGEX, "GET /api/v12|Host: a", Some(0)),
    of("a pattern and a query", REGEX, "GET /api/v12?x|Host: a", Some(0)),
    of("a pattern that is only a part", REGEX, "GET /api/v12/x|Host: a", None),
    of("a pattern that is only an end", REGEX, "GET /x/api/v12|Host: a", None),
    of("an exact path in any case", FOLDED, "GET /gET|Host: a", Some(0)),
    of("a prefix in any case", FOLDED, "GET /aPI/x|Host: a", Some(1)),
    of("the asterisk form and no path", &[""], "OPTIONS *|Host: a", None),
    // Methods, schemes and authorities.
    of("a method", METHODS, "GET /|Host: a", Some(0)),
    of("a method by its beginning", METHODS, "POST /|Host: a", Some(1)),
    of("a method by a pattern", METHODS, "DELETE /|Host: a", Some(2)),
    of("a method by what is not its beginning", METHODS, "OPTIONS /|Host: a", None),
    of("a method by a part of a pattern", &["{method: {regex: 'PU'}}"], "PUT /|Host: a", None),
    of("the scheme of a plain request", SCHEME, "GET /|Host: a", Some(1)),
    of("the scheme that a proxy told", SCHEME, "GET /|Host: a|X-Forwarded-Proto: https", Some(0)),
    of("an authority with its port", AUTHORITY, "GET /|Host: shop:8000", Some(0)),
    of("an authority without its port", AUTHORITY, "GET /|Host: shop", None),
    of("an authority by its beginning", AUTHORITY, "GET /|Host: cart.test:1", Some(1)),
    of("an authority by a pattern", AUTHORITY, "GET /|Host: x.test", Some(2)),
    of("an authority by a pattern, and a port", AUTHORITY, "GET /|Host: x.test:80", None),
    of("the authority of the absolute form", AUTHORITY, "GET http://shop:8000/|Host: a", Some(0)),
    // Header fields.
    of("a value", VALUE, "GET /|Host: a|x-v: two", Some(0)),
    of("a value of a name in another case", VALUE, "GET /|Host: a|X-V: two", Some(0)),
    of("a value in another case", VALUE, "GET /|Host: a|x-v: Two", None),
    of("a value and white space", VALUE, "GET /|Host: a|x-v:   two ", Some(0)),
    of("a value among several", VALUE, "GET /|Host: a|x-v: one|x-v: two", Some(0)),
    of("no value", VALUE, "GET /|Host: a", None),
    of(
        "several values as one",
        &["{headers: {x-v: {exact: 'one,two'}}}"],
        "GET /|Host: a|x-v: one|x-v: two",
        None,
    ),
    of("a field that is there", PRESENT, "GET /|Host: a|x-v: any", Some(0)),
    of("a field that is there and empty", PRESENT, "GET /|Host: a|x-v:", Some(0)),
    of("a field that is not there", PRESENT, "GET /|Host: a", None),
    of("a value by its beginning", BEGINS, "GET /|Host: a|x-v: two", Some(0)),
    of("a value by what is not its beginning", BEGINS, "GET /|Host: a|x-v: atw", None),
    of("a value by a pattern", PATTERN, "GET /|Host: a|x-v: tao", Some(0)),
    of("a value by a part of it", PATTERN, "GET /|Host: a|x-v: taoo", None),
    of("without a value", WITHOUT, "GET /|Host: a|x-v: one", Some(0)),
    of("without a value that is there", WITHOUT, "GET /|Host: a|x-v: two", None),
    of("without a value of a field that is not there", WITHOUT, "GET /|Host: a", Some(0)),
    of("without a field", ABSENT, "GET /|Host: a", Some(0)),
    of("without a field that is there", ABSENT, "GET /|Host: a|x-v: one", None),
    of(
        "without a value that begins so",
        &["{withoutHeaders: {x-v: {prefix: tw}}}"],
        "GET /|Host: a|x-v: twin",
        None,
    ),
    of("without a pattern", &["{withoutHeaders: {x-v: {regex: 't.o'}}}"], "GET /|Host: a|x-v: tea", Some(0)),
    of(
        "a cookie by a pattern",
        &["{headers: {cookie: {regex: '^(.*?;)?(user=jason)(;.*)?$'}}}"],
        "GET /|Host: a|Cookie: a=1;user=jason;b=2",
        Some(0),
    ),
    // Query parameters.
    of("a parameter", QUERY, "GET /?a=1|Host: a", Some(0)),
    of("a parameter among others", QUERY, "GET /?b=2&a=1&c|Host: a", Some(0)),
    of("a parameter with another value", QUERY, "GET /?a=11|Host: a", None),
    of("a parameter twice, the first right", QUERY, "GET /?a=1&a=2|Host: a", Some(0)),
    of("a parameter twice, the second right", QUERY, "GET /?a=2&a=1|Host: a", None),
    of("a parameter of a name in another case", QUERY, "GET /?A=1|Host: a", None),
    of("a parameter, escaped", QUERY, "GET /?a=%31|Host: a", None),
    of("a parameter whose name is escaped", QUERY, "GET /?%61=1|Host: a", None),
    of("a parameter behind a fragment's sign, escaped", QUERY, "GET /?x=%23&a=1|Host: a", Some(0)),
    of("a parameter that is there", &["{queryParams: {a: {}}}"], "GET /?b&a|Host: a", Some(0)),
    of("a parameter that is empty", &["{queryParams: {a: {exact: ''}}}"], "GET /?a=|Host: a", Some(0)),
    of("a parameter by its beginning", &["{queryParams: {a: {prefix: v}}}"], "GET /?a=v2|Host: a", Some(0)),
    of(
        "a parameter by a pattern",
        &["{queryParams: {a: {regex: '[0-9]+'}}}"],
        "GET /?a=123|Host: a",
        Some(0),
    ),
    of(
        "a parameter by a part of it",
        &["{queryParams: {a: {regex: '[0-9]+'}}}"],
        "GET /?a=123x|Host: a",
        None,
    ),
    of("two parameters", &["{queryParams: {a: {exact: '1'}, b: {exact: '2'}}}"], "GET /?a=1|Host: a", None),
    // Together.
    of("all of a match", BOTH, "POST /a/x|Host: a|x-v: two", Some(0)),
    of("all but one of a match", BOTH, "GET /a/x|Host: a|x-v: two", None),
    of("the second of several matches", EITHER, "GET /b|Host: a", Some(0)),
    of("the last of several matches", EITHER, "GET /c|Host: a|x-v: 1", Some(0)),
    of("none of several matches", EITHER, "GET /c|Host: a", None),
    of("the first rule that matches", ORDER, "GET /a/b/c|Host: a", Some(0)),
    of("the second rule that matches", ORDER, "GET /a/c|Host: a", Some(1)),
    of("the rule that takes the rest", ORDER, "GET /c|Host: a", Some(3)),
    // Hosts.
    for_hosts("a host", "shop.test", "GET /|Host: shop.test", true),
    for_hosts("a host and a port", "shop.test", "GET /|Host: shop.test:8000", true),
    for_hosts("a host in another case", "shop.test", "GET /|Host: Shop.TEST", true),
    for_hosts("a host that is longer", "shop.test", "GET /|Host: a.shop.test", false),
    for_hosts("a host with a dot at its end", "shop.test", "GET /|Host: shop.test.", false),
    for_hosts("a host under a wildcard", "'*.test'", "GET /|Host: a.b.test:1", true),
    for_hosts("the wildcard's own domain", "'*.test'", "GET /|Host: test", false),
    for_hosts("a short name", "shop", "GET /|Host: shop", true),
    for_hosts("a short name by its namespace", "shop", "GET /|Host: shop.default", true),
    for_hosts("a short name as a service", "shop", "GET /|Host: shop.default.svc:80", true),
    for_hosts("a short name in full", "shop", "GET /|Host: shop.default.svc.cluster.local", true),
    for_hosts("a short name in another namespace", "shop", "GET /|Host: shop.other", false),
    for_hosts("a full name by its short form", "shop.default.svc.cluster.local", "GET /|Host: shop", true),
    for_hosts("any host", "'*'", "GET /|Host: whatever:1", true),
    for_hosts("an address", "'10.0.0.7'", "GET /|Host: 10.0.0.7:80", true),
    for_hosts("the second of two hosts", "one.test, two.test", "GET /|Host: two.test", true),
];
