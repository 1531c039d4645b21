//! What v2 can do wrong. Each fault has a route of its own, of which it meets some requests alone.

use std::time::Duration;

use crate::random::Random;
use crate::service::{Answer, Page};

/// Which answers have a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// Those of every nth item, always: the fault depends on what was asked.
    Every(u64),
    /// Any, with this probability in per cent: it depends on v2's state.
    Randomly(u64),
}

pub(crate) struct Fault {
    /// The route is `/r/NAME/{number}`.
    pub(crate) name: &'static str,
    pub(crate) page: Page,
    pub(crate) when: When,
    /// The part of the message, and what the path of a difference that tells of the fault holds there. `latency` is
    /// told by the route.
    pub(crate) place: (&'static str, &'static str),
    pub(crate) apply: fn(&mut Answer, &mut Random),
}

const fn fault(
    name: &'static str,
    page: Page,
    place: (&'static str, &'static str),
    apply: fn(&mut Answer, &mut Random),
) -> Fault {
    Fault { name, page, when: When::Every(4), place, apply }
}

const fn at_random(
    name: &'static str,
    page: Page,
    percent: u64,
    place: (&'static str, &'static str),
    apply: fn(&mut Answer, &mut Random),
) -> Fault {
    Fault { name, page, when: When::Randomly(percent), place, apply }
}

use Page::{Events, Html, Json, Ndjson, Text, Xml};

pub(crate) const ALL: [Fault; 57] = [
    // Status.
    fault("server-error", Json, ("status", ""), |a, _| a.status = 500),
    fault("not-found", Json, ("status", ""), |a, _| a.status = 404),
    fault("redirected", Json, ("status", ""), |a, _| a.status = 302),
    fault("no-content", Json, ("status", ""), |a, _| (a.status, a.body) = (204, vec![])),
    at_random("error-at-random", Json, 25, ("status", ""), |a, _| a.status = 503),
    // Header fields.
    fault("frame-options-gone", Json, ("header", "x-frame-options"), |a, _| a.remove("X-Frame-Options")),
    fault("link-wrong", Json, ("header", "link"), |a, _| {
        a.field("Link").insert_str(0, "</r/first>; rel=\"first\", ");
    }),
    fault("request-id-gone", Json, ("header", "x-request-id"), |a, _| a.remove("X-Request-Id")),
    fault("trace-gone", Json, ("header", "traceparent"), |a, _| a.remove("Traceparent")),
    fault("header-added", Json, ("header", "x-debug"), |a, _| a.fields.push(("X-Debug".into(), "on".into()))),
    // Caching.
    fault("cacheable", Json, ("header", "cache-control"), |a, _| {
        *a.field("Cache-Control") = "public, max-age=60".into();
    }),
    fault("max-age", Json, ("header", "cache-control"), |a, _| {
        *a.field("Cache-Control") = "private, max-age=6".into();
    }),
    fault("vary-gone", Json, ("header", "vary"), |a, _| a.remove("Vary")),
    fault("etag-gone", Json, ("header", "etag"), |a, _| a.remove("ETag")),
    // Cookies.
    fault("cookie-insecure", Json, ("header", "set-cookie"), |a, _| {
        *a.field("Set-Cookie") = a.field("Set-Cookie").replace("; Secure", "");
    }),
    fault("cookie-readable", Json, ("header", "set-cookie"), |a, _| {
        *a.field("Set-Cookie") = a.field("Set-Cookie").replace("; HttpOnly", "");
    }),
    fault("cookie-same-site", Json, ("header", "set-cookie"), |a, _| {
        *a.field("Set-Cookie") = a.field("Set-Cookie").replace("SameSite=Lax", "SameSite=None");
    }),
    fault("cookie-path", Json, ("header", "set-cookie"), |a, _| {
        *a.field("Set-Cookie") = a.field("Set-Cookie").replace("Path=/", "Path=/api");
    }),
    fault("cookie-renamed", Json, ("header", "set-cookie"), |a, _| {
        *a.field("Set-Cookie") = a.field("Set-Cookie").replace("session=", "sid=");
    }),
    // Content type and encoding.
    fault("type-html", Json, ("header", "content-type"), |a, _| {
        *a.field("Content-Type") = "text/html".into();
    }),
    fault("charset-lost", Text, ("header", "content-type"), |a, _| {
        *a.field("Content-Type") = "text/plain".into();
    }),
    fault("mojibake", Json, ("body", "city"), |a, _| a.replace("Zürich", "ZÃ¼rich")),
    fault("escaped-twice", Json, ("body", "label"), |a, _| a.replace("R&D <b>", "R&amp;D &lt;b&gt;")),
    fault("gzip-broken", Json, ("body", ""), |a, _| {
        a.fields.push(("Content-Encoding".into(), "gzip".into()));
        a.body.truncate(40);
    }),
    // Truncation.
    fault("cut-short", Json, ("body", ""), |a, _| a.body.truncate(300)),
    fault("list-cut", Json, ("body", "items"), |a, _| {
        a.replace(r#", {"id": 3, "sku": "C-3", "qty": 5}"#, "");
    }),
    fault("body-empty", Json, ("body", ""), |a, _| a.body.clear()),
    // Fields.
    fault("field-gone", Json, ("body", "currency"), |a, _| a.replace(r#""currency": "EUR","#, "")),
    fault("field-added", Json, ("body", "internal"), |a, _| {
        a.replace(r#""stock": 7"#, r#""stock": 7, "internal": 1"#);
    }),
    fault("field-null", Json, ("body", "name"), |a, _| a.replace_between(r#""name": "#, ",", "null")),
    fault("null-gone", Json, ("body", "note"), |a, _| a.replace(r#" "note": null,"#, "")),
    fault("object-gone", Json, ("body", "owner"), |a, _| a.replace_between(r#""owner": "#, ",\n", "null")),
    fault("value-wrong", Json, ("body", "stock"), |a, _| a.replace(r#""stock": 7"#, r#""stock": 8"#)),
    fault("state-wrong", Json, ("body", "state"), |a, _| {
        a.replace(r#""state": "open""#, r#""state": "closed""#);
    }),
    fault("other-owner", Json, ("body", "email"), |a, _| {
        a.replace_between(r#""email": ""#, "\"", "root@shop.example");
    }),
    at_random("flag-wrong-at-random", Json, 25, ("body", "active"), |a, _| {
        a.replace(r#""active": true"#, r#""active": false"#);
    }),
    // Types.
    fault("number-as-text", Json, ("body", "stock"), |a, _| a.replace(r#""stock": 7"#, r#""stock": "7""#)),
    fault("flag-as-text", Json, ("body", "active"), |a, _| {
        a.replace(r#""active": true"#, r#""active": "true""#);
    }),
    fault("object-as-list", Json, ("body", "size"), |a, _| a.replace(r#"{"w": 3, "h": 4}"#, "[3, 4]")),
    // Numbers.
    fault("digits-lost", Json, ("body", "big"), |a, _| a.replace("9007199254740993", "9007199254740992")),
    fault("float-noise", Json, ("body", "total"), |a, _| a.replace("24.70", "24.700000000000003")),
    fault("rounded", Json, ("body", "price"), |a, _| a.replace("12.35", "12.4")),
    fault("zeros-dropped", Json, ("body", "total"), |a, _| a.replace("24.70", "24.7")),
    fault("exponent", Json, ("body", "ratio"), |a, _| a.replace(r#""ratio": 0.1"#, r#""ratio": 1e-1"#)),
    // Order.
    fault("steps-reversed", Json, ("body", "steps"), |a, _| {
        a.replace(r#"["packed", "sent", "arrived"]"#, r#"["arrived", "sent", "packed"]"#);
    }),
    // In fields that change by themselves: another shape, another type, or nothing.
    fault("time-of-yesteryear", Json, ("body", "at"), |a, _| {
        a.replace_between(r#""at": ""#, "\"", "1970-01-01T00:00:00Z");
    }),
    fault("id-empty", Json, ("body", "request_id"), |a, _| a.replace_between(r#""request_id": ""#, "\"", "")),
    fault("tag-gone", Json, ("body", "tags"), |a, _| a.replace("\"gift\"", "\"red\"")),
    fault("variant-unknown", Json, ("body", "variant"), |a, _| {
        a.replace_between(r#""variant": ""#, "\"", "undefined");
    }),
    fault("sequence-as-text", Json, ("body", "sequence"), |a, _| {
        a.replace_between(r#""sequence": "#, ",", "\"next\"");
    }),
    // Other types of pages.
    fault("html-price", Html, ("body", "p"), |a, _| a.replace("12.35 EUR", "12.53 EUR")),
    fault("html-item-gone", Html, ("body", "li"), |a, _| a.replace("<li>B-2</li>", "")),
    fault("text-price", Text, ("body", "line"), |a, _| a.replace("price 12.35", "price 12.53")),
    fault("xml-attribute", Xml, ("body", "currency"), |a, _| {
        a.replace("currency=\"EUR\"", "currency=\"USD\"");
    }),
    fault("ndjson-line", Ndjson, ("body", "qty"), |a, _| a.replace(r#""qty": 3"#, r#""qty": 4"#)),
    // No answer tells of it.
    Fault {
        when: When::Every(1),
        ..fault("slower", Json, ("latency", ""), |a, _| a.delay = Duration::from_millis(20))
    },
    fault("event-state", Events, ("body", "state"), |a, _| {
        a.replace(r#""state": "open""#, r#""state": "gone""#);
    }),
];

impl Fault {
    /// Whether no answer tells of it: reports flag the route, and it never counts by itself.
    pub(crate) fn is_of_latency(&self) -> bool {
        self.place.0 == "latency"
    }
}
