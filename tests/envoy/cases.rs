//! The requests and rules that go through both, and where the program keeps what Envoy changes.

use std::fmt::Write as _;

use serde_json::Value;

use crate::gateway::virtual_service;
use crate::pilot::Version;

/// Why a shadow differs from Envoy's, by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A proxy gives these fields to every request that it forwards, mirrored or not. A capture behind a proxy has
    /// them, and one before it has v1 answer without them.
    OfEveryRequest,
    /// The request target and the path are sent as captured. v1's own capture is what v2 is compared with, and what a
    /// proxy makes of odd paths is often the very thing that is tested.
    Target,
    /// Fields about the connection (RFC 9110, section 7.6.1) go out as captured: v2 gets what v1 got.
    HopByHop,
    /// Several fields of one name stay several, as captured (RFC 9110, section 5.3, lets a proxy join them).
    Joined,
    /// Trailers are sent as captured. Envoy drops them unless it is told otherwise.
    Trailers,
    /// The message is framed as captured, also where a proxy would state the length of no body.
    Framing,
    /// Fields by which a client speaks to Envoy itself, which takes them out.
    Steering,
    /// Envoy refuses the request by itself. v1 was asked it, so v2 is asked it.
    Refused,
    /// The request is a shadow itself: shadows are not mirrored again.
    AlreadyShadow,
}

impl Kept {
    pub(crate) const ALL: [Self; 9] = [
        Self::OfEveryRequest,
        Self::Target,
        Self::HopByHop,
        Self::Joined,
        Self::Trailers,
        Self::Framing,
        Self::Steering,
        Self::Refused,
        Self::AlreadyShadow,
    ];

    /// The name in the README.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OfEveryRequest => "of every request",
            Self::Target => "target",
            Self::HopByHop => "hop by hop",
            Self::Joined => "joined",
            Self::Trailers => "trailers",
            Self::Framing => "framing",
            Self::Steering => "steering",
            Self::Refused => "refused",
            Self::AlreadyShadow => "already a shadow",
        }
    }
}

/// One fact in which the two differ, as `Arrived::differences` writes it, and why.
#[derive(Clone, Debug)]
pub(crate) struct Deviation {
    pub(crate) what: &'static str,
    pub(crate) why: Kept,
}

/// The rules of a case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rules {
    pub(crate) yaml: String,
    pub(crate) version: Version,
}

impl Rules {
    /// A `VirtualService` for these hosts with these rules, written as the value of `http`.
    fn new(hosts: &str, http: &str) -> Self {
        let mut yaml = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: httpbin\nspec:\n  hosts: [{hosts}]\n  http:\n"
        );
        for line in http.lines().filter(|line| !line.trim().is_empty()) {
            let _ = writeln!(yaml, "  {line}");
        }
        Self { yaml, version: Version::WithSuffix }
    }

    /// An `HTTPRoute` for any host with this rule, which mirrors to v2.
    fn gateway(rule: &str) -> Self {
        let yaml = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: httpbin}}\nspec:\n  hostnames: ['*']\n  rules:\n  - {rule}\n"
        );
        Self { yaml, version: Version::WithSuffix }
    }

    /// Whether a destination is named, and by which name `--endpoint` finds it.
    pub(crate) fn endpoint<'n>(&self, name: &'n str) -> Option<&'n str> {
        let subset = name.split('/').next_back()?;
        if self.yaml.contains("kind: HTTPRoute") {
            return self.yaml.contains(&format!("name: {subset}")).then_some(subset);
        }
        self.yaml.contains(&format!("subset: {subset}")).then_some(name)
    }

    /// The documents, read by another YAML reader than the program's own reading of rules.
    pub(crate) fn services(&self) -> Vec<Value> {
        let document =
            serde_saphyr::from_str(&self.yaml).unwrap_or_else(|error| panic!("{error}: {}", self.yaml));
        vec![virtual_service(document)]
    }
}

/// A request and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) rules: Rules,
    pub(crate) request: Vec<u8>,
    /// Which destinations get the request from the program.
    pub(crate) mirrors: &'static [&'static str],
    pub(crate) kept: Vec<Deviation>,
    /// It is sent as it is, without what a proxy gives every request.
    pub(crate) bare: bool,
    /// The rules have Envoy answer by itself.
    pub(crate) answers_itself: bool,
}

const V2: &[&str] = &["httpbin/v2"];
const V2_AND_V3: &[&str] = &["httpbin/v2", "httpbin/v3"];
const NOBODY: &[&str] = &[];

/// A rule as in Istio's mirroring task.
const MIRROR: &str = "
- route:
  - destination: {host: httpbin, subset: v1}
    weight: 100
  mirror: {host: httpbin, subset: v2}";

impl Case {
    /// Mirrored by a rule that takes every request.
    pub(crate) fn plain(name: &'static str, request: &str) -> Self {
        Self::ruled(name, "", request)
    }

    /// The same with these lines added to the rule.
    fn ruled(name: &'static str, more: &str, request: &str) -> Self {
        Self::with(name, Rules::new("'*'", &format!("{MIRROR}{more}")), V2, request)
    }

    fn with(name: &'static str, rules: Rules, mirrors: &'static [&'static str], request: &str) -> Self {
        let request = request.as_bytes().to_vec();
        Self { name, rules, request, mirrors, kept: Vec::new(), bare: false, answers_itself: false }
    }

    fn keeps(mut self, why: Kept, what: &[&'static str]) -> Self {
        self.kept.extend(what.iter().map(|what| Deviation { what, why }));
        if why == Kept::AlreadyShadow {
            self.mirrors = NOBODY;
        }
        self
    }

    fn mirrored_to(mut self, mirrors: &'static [&'static str]) -> Self {
        self.mirrors = mirrors;
        self
    }

    fn refused(self) -> Self {
        self.keeps(Kept::Refused, &["Envoy refuses the request"])
    }

    fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    fn answers_itself(mut self) -> Self {
        self.answers_itself = true;
        self.mirrors = NOBODY;
        self
    }

    /// Which destinations get a shadow from Envoy.
    pub(crate) fn envoy_mirrors(&self) -> &'static [&'static str] {
        let why = |wanted: Kept| self.kept.iter().any(|kept| kept.why == wanted);
        match () {
            () if why(Kept::Refused) => NOBODY,
            () if why(Kept::AlreadyShadow) => V2,
            () => self.mirrors,
        }
    }
}

/// A GET of this target.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: httpbin:8000\r\n\r\n")
}

/// A GET with these fields.
fn with_fields(fields: &str) -> String {
    format!("GET /get HTTP/1.1\r\nHost: httpbin:8000\r\n{fields}\r\n")
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    [
        hosts(),
        targets(),
        messages(),
        fields(),
        rewrites(),
        operations(),
        joint_operations(),
        destinations(),
        canaries(),
        http_routes(),
        own_answers(),
    ]
    .concat()
}

fn hosts() -> Vec<Case> {
    let host = |name, host: &str| Case::plain(name, &format!("GET /get HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let shadow = host("the Host of a shadow", "httpbin-shadow:8000");
    vec![
        host("a host with a port", "httpbin:8000"),
        host("a host without a port", "httpbin"),
        host("a name with dots", "httpbin.default.svc.cluster.local:8000"),
        host("a name that ends in a dot", "httpbin.default."),
        host("an IPv4 address with a port", "127.0.0.1:80"),
        host("an IPv4 address", "10.0.0.7"),
        host("an IPv6 address with a port", "[::1]:8080"),
        host("an IPv6 address", "[::1]"),
        host("an empty port", "host:"),
        host("two colons", "a:b:c"),
        host("an empty Host", ""),
        host("capitals", "HttpBin:8000"),
        shadow.keeps(Kept::AlreadyShadow, &["a shadow is not mirrored again"]),
        Case::plain("the absolute form", "GET http://abs.test:81/p?x HTTP/1.1\r\nHost: other\r\n\r\n")
            .keeps(Kept::Target, &["target http://abs.test:81/p?x is /p?x through Envoy"]),
        Case::plain(
            "the absolute form without a path",
            "GET http://abs.test HTTP/1.1\r\nHost: other:1\r\n\r\n",
        )
        .keeps(Kept::Target, &["target http://abs.test is / through Envoy"]),
        Case::plain("no Host", "GET /get HTTP/1.1\r\n\r\n").refused(),
    ]
}

fn targets() -> Vec<Case> {
    let target = |name, target: &str| Case::plain(name, &get(target));
    vec![
        target("an empty query", "/x?"),
        target("several question marks", "/x??a=1?b=2"),
        target("odd ampersands", "/x?&&a&=b&&c=="),
        target("a broken escape in the query", "/x?a=%&b=%z"),
        target("escapes in either case", "/%aa%AA?%bb%BB"),
        target("an escaped slash", "/a%2Fb%2fc"),
        target("an escaped slash after dots", "/a/..%2fb"),
        target("semicolons", "/a;v=1/b;w?c;d=1"),
        target("double slashes", "//a//b///"),
        target("plus, colon and at sign", "/a+b:c@d?e+f=:@"),
        target("dot segments", "/a/./b/../c")
            .keeps(Kept::Target, &["target /a/./b/../c is /a/c through Envoy"]),
        target("escaped dot segments", "/%2e%2E/a")
            .keeps(Kept::Target, &["target /%2e%2E/a is /a through Envoy"]),
        target("a backslash", "/a\\b").keeps(Kept::Target, &["target /a\\b is /a/b through Envoy"]),
        target("braces", "/{id}?{q}")
            .keeps(Kept::Target, &["target /{id}?{q} is /%7Bid%7D?{q} through Envoy"]),
        target("an escaped letter", "/%67et?%67")
            .keeps(Kept::Target, &["target /%67et?%67 is /get?%67 through Envoy"]),
        target("a fragment", "/page#section").refused(),
        target("what is not ASCII", "/straße").refused(),
        Case::plain("HTTP/1.0", "GET /get HTTP/1.0\r\nHost: httpbin\r\n\r\n").refused(),
        Case::plain("the asterisk form", "OPTIONS * HTTP/1.1\r\nHost: httpbin\r\n\r\n").answers_itself(),
    ]
}

fn messages() -> Vec<Case> {
    let post = |fields: &str, body: &str| {
        format!("POST /post HTTP/1.1\r\nHost: httpbin:8000\r\n{fields}\r\n\r\n{body}")
    };
    let large = "0123456789abcdef".repeat(192 * 1024);
    vec![
        Case::plain("HEAD", "HEAD /get HTTP/1.1\r\nHost: httpbin:8000\r\n\r\n"),
        Case::plain("DELETE without a body", "DELETE /delete HTTP/1.1\r\nHost: httpbin:8000\r\n\r\n"),
        Case::plain("a body", &post("Content-Type: text/plain\r\nContent-Length: 5", "a\r\n\0b")),
        Case::plain("a body of no bytes", &post("Content-Length: 0", "")),
        Case::plain("a method of nobody's", "PURGE /x HTTP/1.1\r\nHost: httpbin:8000\r\n\r\n")
            .keeps(Kept::Framing, &["Envoy adds content-length: 0"]),
        Case::plain(
            "chunks",
            &post("Transfer-Encoding: chunked", "3\r\nabc\r\n00A;ext=\"1\"\r\n0123456789\r\n0\r\n\r\n"),
        ),
        Case::plain(
            "chunks with trailers",
            &post("Transfer-Encoding: chunked\r\nTrailer: X-Sum", "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
        )
        .keeps(Kept::Trailers, &["Envoy drops trailer x-sum: 1"]),
        Case::plain("a body that is awaited", &post("Content-Length: 3\r\nExpect: 100-continue", "abc"))
            .keeps(Kept::HopByHop, &["Envoy drops expect: 100-continue"]),
        Case::plain("3 MiB", &post(&format!("Content-Length: {}", large.len()), &large)),
        Case::plain(
            "3 MiB in a chunk",
            &post("Transfer-Encoding: chunked", &format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len())),
        ),
    ]
}

fn fields() -> Vec<Case> {
    let fields = |name, fields: &str| Case::plain(name, &with_fields(fields));
    vec![
        fields("several fields of one name", "X-Dup: 1\r\nx-dup: 2\r\nCookie: a=1\r\nCookie: b=2\r\nX-Empty:\r\n"),
        fields("white space around values", "X-Space: \t a  b \t\r\nX_Under: 1\r\n"),
        fields("several fields that Envoy joins", "Accept: a\r\nAccept: b\r\n")
            .keeps(Kept::Joined, &["Envoy adds accept: a,b", "Envoy drops accept: a", "Envoy drops accept: b"]),
        fields("a client that was forwarded for", "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n"),
        fields("a client that calls itself internal", "X-Envoy-Internal: no\r\nX-Envoy-Other: 1\r\n"),
        fields("fields about the connection", "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\n")
            .keeps(
                Kept::HopByHop,
                &[
                    "Envoy drops connection: keep-alive, X-Hop",
                    "Envoy drops x-hop: 1",
                    "Envoy drops keep-alive: 5",
                    "Envoy drops proxy-connection: x",
                    "Envoy drops upgrade: h2c",
                ],
            ),
        fields("fields that steer the router", "X-Envoy-Retry-On: 5xx\r\nX-Envoy-Max-Retries: 2\r\nX-Envoy-Upstream-Rq-Timeout-Ms: 9000\r\n")
            .keeps(
                Kept::Steering,
                &[
                        "Envoy drops x-envoy-max-retries: 2",
                    "Envoy drops x-envoy-retry-on: 5xx",
                    "Envoy drops x-envoy-upstream-rq-timeout-ms: 9000",
                ],
            ),
        fields("authority, range, referer and agent", "Authorization: Basic dTpw\r\nRange: bytes=0-1\r\nReferer: http://httpbin:8000/\r\nUser-Agent: c\r\nVia: 1.1 x\r\n"),
        fields("nothing that a proxy gives", "").bare().keeps(
            Kept::OfEveryRequest,
            &["Envoy adds x-envoy-attempt-count: 1", "Envoy adds x-forwarded-proto: http", "Envoy adds x-request-id: *"],
        ),
    ]
}

fn rewrites() -> Vec<Case> {
    let uri = |name, matched: &str, rewrite: &str, target: &str| {
        let rule = format!("\n  match: [{{uri: {matched}}}]\n  rewrite: {{{rewrite}}}");
        Case::ruled(name, &rule, &get(target))
    };
    let regex = |name, pattern: &str, with: &str, target: &str| {
        let rule = format!("\n  rewrite: {{uriRegexRewrite: {{match: '{pattern}', rewrite: '{with}'}}}}");
        Case::ruled(name, &rule, &get(target))
    };
    vec![
        uri("a prefix rewritten", "{prefix: /v1/}", "uri: /", "/v1/get?x=1"),
        uri("a prefix rewritten within a segment", "{prefix: /a}", "uri: /b", "/abc/a?a"),
        uri("a prefix rewritten to the same", "{prefix: /a}", "uri: /a", "/a/b"),
        uri("a prefix rewritten to something long", "{prefix: /a}", "uri: /x/y/z", "/a"),
        uri("a prefix taken away from all of the path", "{prefix: /a}", "uri: /", "/a?x"),
        uri("a slash doubled by a rewrite", "{prefix: /a}", "uri: /", "/a/b"),
        uri("a prefix rewritten behind dots", "{prefix: /a}", "uri: /b", "/x/../a/%63?y=/../%63"),
        uri("an exact path rewritten", "{exact: /a}", "uri: /b", "/a?z=/a"),
        uri("the path of a pattern rewritten", "{regex: '/a/[0-9]+.*'}", "uri: /b", "/a/17/c?z=1"),
        uri("escapes in what is not rewritten", "{prefix: /a}", "uri: /b", "/a/x%2Fy%20z?%2F"),
        Case::ruled(
            "a prefix in another case",
            "\n  match: [{uri: {prefix: /api}, ignoreUriCase: true}]\n  rewrite: {uri: /v2}",
            &get("/API/x"),
        ),
        regex("a pattern rewritten", "^/a/(\\w+)/(\\w+)$", "/x/\\2/\\1", "/a/one/two?q=/a/b/c"),
        regex("a pattern rewritten wherever it is", "o", "0", "/foo/boo?o=o"),
        regex("a pattern that is not there", "^/nothing$", "/x", "/a/b?c"),
        regex("the whole match in the place of itself", "b+", "[\\0]", "/abbbc"),
        Case::ruled("an authority", "\n  rewrite: {authority: other.test}", &get("/get")),
        Case::ruled("an authority with a port", "\n  rewrite: {authority: 'other.test:99'}", &get("/get?x")),
        Case::ruled(
            "an authority that is the same",
            "\n  rewrite: {authority: 'httpbin:8000'}",
            &get("/get"),
        ),
        Case::ruled(
            "an authority of an absolute form",
            "\n  rewrite: {authority: other.test}",
            "GET http://abs.test:81/p HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .keeps(Kept::Target, &["target http://other.test/p is /p through Envoy"]),
        Case::ruled(
            "an original host that the client claims",
            "\n  rewrite: {authority: other.test}",
            &with_fields("x-envoy-original-host: mine\r\nx-envoy-original-path: /mine\r\n"),
        ),
        Case::ruled(
            "an original path that the client claims",
            "\n  match: [{uri: {prefix: /get}}]\n  rewrite: {uri: /b}",
            &with_fields("x-envoy-original-host: mine\r\nx-envoy-original-path: /mine\r\n"),
        ),
        Case::ruled(
            "path and authority",
            "\n  match: [{uri: {prefix: /a}}]\n  rewrite: {uri: /b, authority: '[::1]:8'}",
            &get("/a/c"),
        ),
    ]
}

fn operations() -> Vec<Case> {
    let headers = |name, operations: &str, fields: &str| {
        Case::ruled(name, &format!("\n  headers: {{request: {operations}}}"), &with_fields(fields))
    };
    let on_destination = "
- route:
  - destination: {host: httpbin, subset: v1}
    headers: {request: {set: {x-version: one}, remove: [x-gone]}}
  headers: {request: {add: {x-both: rule}}}
  mirror: {host: httpbin, subset: v2}";
    vec![
        headers("a field set that was there twice", "{set: {X-Set: new}}", "x-set: 1\r\nX-SET: 2\r\n"),
        headers("a field set that was not there", "{set: {x-set: new}}", ""),
        headers("a field added to one that was there", "{add: {x-add: '2'}}", "X-Add: 1\r\n"),
        headers("a field added that was not there", "{add: {x-add: '2'}}", ""),
        headers(
            "fields removed",
            "{remove: [X-Gone, x-not-there]}",
            "x-gone: 1\r\nX-GONE: 2\r\nX-Gone-Not: 3\r\n",
        ),
        headers(
            "all three at once",
            "{set: {x-a: s}, add: {x-a: a, x-b: a}, remove: [x-c]}",
            "x-a: 1\r\nx-b: 1\r\nx-c: 1\r\n",
        ),
        headers("the Host set", "{set: {Host: 'set.test:1'}}", ""),
        headers("a field set to nothing", "{set: {x-a: '', x-b: ''}}", "x-a: 1\r\n"),
        headers("a field added with nothing", "{add: {x-a: '', x-b: ''}}", "x-a: 1\r\n"),
        Case::with(
            "operations of the destination",
            Rules::new("'*'", on_destination),
            V2,
            &with_fields("x-gone: 1\r\nx-both: client\r\n"),
        ),
    ]
}

/// Operations of a rule and of its destination on the same fields: v1 is the destination, and the other has no weight.
fn joint_operations() -> Vec<Case> {
    let joint = |name, of_rule: &str, own: &str, other: &str| {
        let rule = format!(
            "
- route:
  - destination: {{host: httpbin, subset: v1}}
    weight: 100
    headers: {{request: {own}}}
{other}  headers: {{request: {of_rule}}}
  mirror: {{host: httpbin, subset: v2}}"
        );
        Case::with(name, Rules::new("'*'", &rule), V2, &with_fields("x-a: client\r\nx-b: client\r\n"))
    };
    let alone = |name, of_rule, own| joint(name, of_rule, own, "");
    let weighted = |name, of_rule, own| {
        joint(name, of_rule, own, "  - {destination: {host: httpbin, subset: v3}, weight: 0}\n")
    };
    vec![
        alone("the rule adds what its destination sets", "{add: {x-a: rule}}", "{set: {x-a: own}}"),
        alone("the rule sets what its destination adds", "{set: {x-a: rule}}", "{add: {x-a: own}}"),
        alone("rule and destination set a field", "{set: {x-a: rule}}", "{set: {x-a: own}}"),
        alone("rule and destination add a field", "{add: {x-a: rule}}", "{add: {x-a: own}}"),
        alone("the destination removes what the rule sets", "{set: {x-a: rule}}", "{remove: [x-a, x-b]}"),
        alone("the rule removes what its destination adds", "{remove: [x-a]}", "{add: {x-a: own}}"),
        alone("rule and destination set the Host", "{set: {host: rule.test}}", "{set: {host: own.test}}"),
        alone("the destination sets the Host", "{set: {x-a: rule}}", "{set: {Host: 'own.test:1'}}"),
        weighted("a weighted destination sets what the rule sets", "{set: {x-a: rule}}", "{set: {x-a: own}}"),
        weighted("a weighted destination sets what the rule adds", "{add: {x-a: rule}}", "{set: {x-a: own}}"),
        weighted("a weighted destination adds what the rule sets", "{set: {x-a: rule}}", "{add: {x-a: own}}"),
        weighted(
            "a weighted destination adds what the rule removes",
            "{remove: [x-a]}",
            "{add: {x-a: own}, remove: [x-b]}",
        ),
        weighted("a weighted destination sets the Host", "{add: {x-a: rule}}", "{set: {host: 'own.test:1'}}"),
        weighted(
            "a weighted destination and the rule set the Host",
            "{set: {host: rule.test}}",
            "{set: {host: own.test}}",
        ),
    ]
}

/// Requests that the weights send to v2: they arrive there as they are, and not as shadows.
fn canaries() -> Vec<Case> {
    let canary = |name, more: &str, own: &str, fields: &str| {
        let rule = format!(
            "
- route:
  - {{destination: {{host: httpbin, subset: v1}}, weight: 0}}
  - destination: {{host: httpbin, subset: v2}}
    weight: 100
    headers: {{request: {own}}}{more}"
        );
        Case::with(name, Rules::new("'*'", &rule), V2, &with_fields(fields))
    };
    vec![
        canary("a canary", "", "{}", ""),
        canary("a canary for a client inside", "", "{}", "X-Forwarded-For: 10.0.0.1\r\n"),
        canary("a canary for a client outside", "", "{}", "X-Forwarded-For: 203.0.113.9\r\n"),
        canary("a canary that was forwarded twice", "", "{}", "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n"),
        canary("a canary that calls itself internal", "", "{}", "X-Envoy-Internal: no\r\n")
            .keeps(Kept::Steering, &["Envoy drops x-envoy-internal: no"]),
        canary("a canary that is rewritten", "\n  rewrite: {uri: /x/, authority: 'c.test:9'}", "{}", ""),
        canary("a canary with a timeout", "\n  timeout: 1.5s", "{}", ""),
        canary(
            "a canary with operations",
            "\n  headers: {request: {set: {x-a: rule}}}",
            "{set: {x-a: own, host: own.test}}",
            "",
        ),
        canary("a canary and its shadow", "\n  mirror: {host: httpbin, subset: v3}", "{set: {x-a: own}}", "")
            .mirrored_to(V2_AND_V3),
    ]
}

fn destinations() -> Vec<Case> {
    let rules = |http: &str| Rules::new("'*'", http);
    let route = "\n- route: [{destination: {host: httpbin, subset: v1}}]";
    let both = format!(
        "{route}\n  mirrors:\n  - destination: {{host: httpbin, subset: v2}}\n  - destination: {{host: httpbin, subset: v3}}\n    percentage: {{value: 100}}"
    );
    let one_of_two = format!(
        "{route}\n  mirrors:\n  - destination: {{host: httpbin, subset: v2}}\n  - destination: {{host: httpbin, subset: v3}}\n    percentage: {{value: 0}}"
    );
    let percentage = |text: &str| rules(&format!("{MIRROR}\n  {text}"));
    let second = format!(
        "\n- match: [{{uri: {{prefix: /no}}}}]\n  route: [{{destination: {{host: httpbin, subset: v1}}}}]{MIRROR}"
    );
    let none = format!(
        "{route}\n- match: [{{uri: {{prefix: /get}}}}]\n  route: [{{destination: {{host: httpbin, subset: v1}}}}]\n  mirror: {{host: httpbin, subset: v2}}"
    );
    let split = "
- route:
  - {destination: {host: httpbin, subset: v1}, weight: 100}
  - {destination: {host: httpbin, subset: v3}, weight: 0}
  mirror: {host: httpbin, subset: v2}";
    let case = |name, rules, mirrors| Case::with(name, rules, mirrors, &get("/get?q=1"));
    vec![
        case("two mirrors", rules(&both), V2_AND_V3),
        case("two mirrors, of which one takes none", rules(&one_of_two), V2),
        case(
            "two mirrors and a rewrite",
            rules(&format!("{both}\n  rewrite: {{uri: /all, authority: new.test}}")),
            V2_AND_V3,
        ),
        case("a timeout", percentage("timeout: 1.5s"), V2),
        case("a timeout of none", percentage("timeout: 0s"), V2),
        case("a mirror of 100 %", percentage("mirrorPercentage: {value: 100}"), V2),
        case("a mirror of 0 %", percentage("mirrorPercentage: {value: 0}"), NOBODY),
        case("a mirror of 100 as it was written once", percentage("mirrorPercent: 100"), V2),
        case("a mirror of 0 as it was written once", percentage("mirrorPercent: 0"), NOBODY),
        case("the second rule mirrors", rules(&second), V2),
        case("the rule before it does not", rules(&none), NOBODY),
        case("weights of which one is all", rules(split), V2),
        Case {
            rules: Rules { version: Version::WithoutSuffix, ..rules(MIRROR) },
            ..case("Istio 1.28", rules(MIRROR), V2)
        },
        Case {
            rules: Rules {
                version: Version::WithoutSuffix,
                ..rules(&format!("{both}\n  rewrite: {{authority: 'new.test:1'}}"))
            },
            ..case("Istio 1.28, two mirrors and an authority", rules(MIRROR), V2_AND_V3)
        },
    ]
}

/// Rules of Gateway API, whose backends are the subsets.
fn http_routes() -> Vec<Case> {
    const MIRROR: &str = "{type: RequestMirror, requestMirror: {backendRef: {name: v2}}}";
    let of = |name, matched: &str, filter: &str, request: &str| {
        let rule = format!(
            "matches: [{matched}]\n    filters: [{MIRROR}{filter}]\n    backendRefs: [{{name: v1, port: 80}}]"
        );
        Case::with(name, Rules::gateway(&rule), V2, request)
    };
    let rewrite = |name, prefix: &str, to: &str, target: &str| {
        let matched = format!("{{path: {{value: {prefix}}}}}");
        let filter = format!(
            ", {{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{to}'}}}}}}"
        );
        of(name, &matched, &filter, &get(target))
    };
    let mirror = |name, share: &str, mirrors| {
        let rule = format!(
            "filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{name: v2}}, {share}}}}}]\n    backendRefs: [{{name: v1}}]"
        );
        Case::with(name, Rules::gateway(&rule), mirrors, &get("/get"))
    };
    let modifier = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: rule}, {name: X-A, value: other}], add: [{name: x-b, value: more}], remove: [x-c]}}";
    let fields = with_fields("x-a: client\r\nx-b: client\r\nx-c: client\r\n");
    let backends = |name, more: &str, request: &str| {
        let own = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: own}]}}]";
        let rule = format!(
            "filters: [{MIRROR}, {modifier}]\n    backendRefs:\n    - {{name: v1, {own}}}\n    - {{name: v3, {more}}}"
        );
        Case::with(name, Rules::gateway(&rule), V2, request)
    };
    let alone =
        |name, rule: &str| Case::with(name, Rules::gateway(rule), NOBODY, &get("/get")).answers_itself();
    vec![
        of("HTTPRoute: a header modifier", "{}", &format!(", {modifier}"), &fields),
        of(
            "HTTPRoute: a host name",
            "{}",
            ", {type: URLRewrite, urlRewrite: {hostname: other.test}}",
            &get("/get"),
        ),
        of(
            "HTTPRoute: a full path",
            "{}",
            ", {type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /all}}}",
            &get("/a/b?c"),
        ),
        rewrite("HTTPRoute: a prefix replaced", "/foo", "/xyz/", "/foo/bar?x"),
        rewrite("HTTPRoute: a prefix taken away", "/foo/", "/", "/foo/bar"),
        rewrite("HTTPRoute: a prefix that is all", "/foo", "", "/foo"),
        of("HTTPRoute: an exact path", "{path: {type: Exact, value: /get}, method: GET}", "", &get("/get?x")),
        mirror("HTTPRoute: 100 percent", "percent: 100", V2),
        mirror("HTTPRoute: 0 percent", "percent: 0", NOBODY),
        mirror("HTTPRoute: all of a fraction", "fraction: {numerator: 7, denominator: 7}", V2),
        backends("HTTPRoute: a backend without weight", "weight: 0", &fields),
        alone(
            "HTTPRoute: no backend",
            &format!(
                "filters: [{MIRROR}]\n  - matches: [{{path: {{value: /other}}}}]\n    filters: [{MIRROR}]\n    backendRefs: [{{name: v1}}]"
            ),
        ),
        alone(
            "HTTPRoute: a redirect",
            "filters: [{type: RequestRedirect, requestRedirect: {hostname: other.test}}]",
        ),
        alone(
            "HTTPRoute: elements of the path",
            &format!(
                "matches: [{{path: {{value: /ge}}}}]\n    filters: [{MIRROR}]\n    backendRefs: [{{name: v1}}]"
            ),
        ),
    ]
}

fn own_answers() -> Vec<Case> {
    let rule = |http: &str| Rules::new("httpbin, other.test", http);
    let alone = |name, http: &str| Case::with(name, rule(http), NOBODY, &get("/get")).answers_itself();
    let unknown = Case::with(
        "a host without rules",
        rule(MIRROR),
        NOBODY,
        "GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n",
    );
    vec![
        alone("a redirect", "\n- redirect: {uri: /elsewhere, authority: other.test}"),
        alone("a redirect with a code", "\n- redirect: {uri: /elsewhere, redirectCode: 308}"),
        alone("a direct response", "\n- directResponse: {status: 503, body: {string: later}}"),
        alone(
            "a fault",
            &format!("{MIRROR}\n  fault: {{abort: {{httpStatus: 418, percentage: {{value: 100}}}}}}"),
        ),
        Case::with(
            "a fault of 0 %",
            rule(&format!("{MIRROR}\n  fault: {{abort: {{httpStatus: 418, percentage: {{value: 0}}}}}}")),
            V2,
            &get("/get"),
        ),
        Case::with(
            "a delay",
            rule(&format!("{MIRROR}\n  fault: {{delay: {{fixedDelay: 0.05s, percentage: {{value: 100}}}}}}")),
            V2,
            &get("/get"),
        ),
        alone("no rule that matches", &format!("{MIRROR}\n  match: [{{uri: {{exact: /other}}}}]")),
        unknown.answers_itself(),
    ]
}
