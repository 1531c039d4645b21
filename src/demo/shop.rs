//! What the shop answers: a pure function of the version and the request.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// Which of the two services answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one in production, from which the capture was taken.
    V1,
    /// The one that is about to replace it.
    V2,
}

/// A way in which v2 differs from v1, and where the report shows it.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// The route it lies on, as reports name it.
    pub route: &'static str,
    /// The JSONPath or header of the difference; empty for the status.
    pub path: &'static str,
    /// In words.
    pub story: &'static str,
    /// Whether it shows as a difference of the answer (latency does not).
    pub differs: bool,
}

impl Planted {
    /// All that was planted.
    pub const ALL: &'static [Self] = &[
        Self {
            route: "GET /products/{number}",
            path: "",
            story: "an unknown product is 500 where it was 404",
            differs: true,
        },
        Self {
            route: "GET /products/{number}",
            path: "$['price']",
            story: "a product's price is a string where it was a number",
            differs: true,
        },
        Self {
            route: "GET /orders/{number}",
            path: "$['currency']",
            story: "an order has lost its currency",
            differs: true,
        },
        Self {
            route: "POST /cart/items",
            path: "$['receipt']",
            story: "a receipt number is random in both: noise that only asking again can tell from a fault",
            differs: true,
        },
        Self { route: "GET /search", path: "", story: "searching takes 80 ms longer", differs: false },
    ];
}

/// What the shop reads of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'r> {
    pub(super) method: &'r str,
    pub(super) target: &'r str,
    pub(super) host: &'r str,
    pub(super) accepts_gzip: bool,
    pub(super) body: &'r [u8],
}

/// What it answers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) chunked: bool,
    /// How long the shop thinks before it answers.
    pub(super) after: Duration,
}

const THINKING: Duration = Duration::from_millis(2);
const SLOW_SEARCH: Duration = Duration::from_millis(80);

/// Name and price in cents.
const PRODUCTS: [(&str, u32); 8] = [
    ("Kettle", 3450),
    ("Teapot", 2800),
    ("Cup", 650),
    ("Saucer", 425),
    ("Sugar tongs", 975),
    ("Tea towel", 800),
    ("Strainer", 1120),
    ("Honey spoon", 390),
];

pub(super) fn answer(version: Version, asked: Asked<'_>) -> Answer {
    let (path, query) = asked.target.split_once('?').unwrap_or((asked.target, ""));
    let segments: Vec<_> = path.split('/').filter(|s| !s.is_empty()).collect();
    match (asked.method, segments.as_slice()) {
        ("GET" | "HEAD", []) => page(),
        ("GET" | "HEAD", ["health"]) => text(200, "OK", "text/plain", "ok\n"),
        ("GET" | "HEAD", ["products"]) => gzipped(json_of(200, "OK", &catalogue()), asked.accepts_gzip),
        ("GET" | "HEAD", ["products", id]) => product(version, id),
        ("GET", ["orders", id]) => order(version, id),
        ("GET", ["search"]) => search(version, query),
        ("POST", ["cart", "items"]) => add_to_cart(asked.body),
        ("DELETE", ["cart", "items", _]) => text(204, "No Content", "", ""),
        ("GET", ["export"]) => Answer { chunked: true, ..export() },
        ("GET", ["whoami"]) => json_of(200, "OK", &json!({ "host": asked.host, "service": "shop" })),
        ("POST", ["login"]) => login(asked.host),
        ("GET", ["logo"]) => text(200, "OK", "image/svg+xml", LOGO),
        _ => json_of(404, "Not Found", &json!({ "error": "no such page" })),
    }
}

const LOGO: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 8 8\"><circle cx=\"4\" cy=\"4\" r=\"3\"/></svg>\n";

fn text(status: u16, reason: &'static str, content_type: &str, body: &str) -> Answer {
    let headers =
        if content_type.is_empty() { vec![] } else { vec![("Content-Type", content_type.to_owned())] };
    Answer { status, reason, headers, body: body.as_bytes().to_vec(), chunked: false, after: THINKING }
}

fn json_of(status: u16, reason: &'static str, value: &Value) -> Answer {
    text(status, reason, "application/json", &format!("{value}\n"))
}

fn page() -> Answer {
    text(
        200,
        "OK",
        "text/html; charset=utf-8",
        "<!doctype html>\n<title>The tea shop</title>\n<h1>The tea shop</h1>\n<p>Everything but the tea.</p>\n",
    )
}

fn price(version: Version, cents: u32) -> Value {
    let euros = f64::from(cents) / 100.0;
    match version {
        Version::V1 => json!(euros),
        Version::V2 => json!(format!("{euros:.2}")),
    }
}

/// The list keeps its prices as numbers in both versions: only the single product's page has changed.
fn catalogue() -> Value {
    let items: Vec<_> = (1u32..)
        .zip(PRODUCTS)
        .map(|(id, (name, cents))| json!({ "id": id, "name": name, "price": price(Version::V1, cents) }))
        .collect();
    json!({ "count": items.len(), "products": items })
}

fn product(version: Version, id: &str) -> Answer {
    let found = id.parse::<usize>().ok().and_then(|n| Some((n, PRODUCTS.get(n.checked_sub(1)?)?)));
    match (found, version) {
        (Some((n, &(name, cents))), _) => json_of(
            200,
            "OK",
            &json!({ "id": n, "name": name, "price": price(version, cents), "in_stock": n % 3 != 0, "tags": ["tea", "kitchen"] }),
        ),
        (None, Version::V1) => json_of(404, "Not Found", &json!({ "error": "no such product" })),
        (None, Version::V2) => {
            json_of(500, "Internal Server Error", &json!({ "error": "NullPointerException" }))
        }
    }
}

fn order(version: Version, id: &str) -> Answer {
    let number: usize = id.parse().unwrap_or(0);
    let lines: Vec<_> =
        (1..=number % 3 + 1).map(|n| json!({ "product_id": n, "quantity": number % 4 + 1 })).collect();
    let mut order = json!({ "id": number, "state": "paid", "currency": "EUR", "lines": lines });
    if let (Version::V2, Some(fields)) = (version, order.as_object_mut()) {
        fields.remove("currency");
    }
    json_of(200, "OK", &order)
}

fn search(version: Version, query: &str) -> Answer {
    let words = query.strip_prefix("q=").unwrap_or_default().to_lowercase();
    let hits: Vec<_> =
        PRODUCTS.iter().map(|(name, _)| *name).filter(|name| name.to_lowercase().contains(&words)).collect();
    let answer = json_of(200, "OK", &json!({ "query": words, "hits": hits }));
    let slower = if version == Version::V2 { SLOW_SEARCH } else { Duration::ZERO };
    Answer { after: THINKING + slower, ..answer }
}

fn add_to_cart(body: &[u8]) -> Answer {
    let Ok(item) = serde_json::from_slice::<Value>(body) else {
        return json_of(400, "Bad Request", &json!({ "error": "the body is not JSON" }));
    };
    let receipt = format!("{:016x}", RandomState::new().hash_one(body));
    json_of(201, "Created", &json!({ "added": item, "receipt": receipt }))
}

fn export() -> Answer {
    let row = |(id, (name, cents))| format!("{id},{name},{cents}");
    let rows: Vec<_> = (1u32..).zip(PRODUCTS).map(row).collect();
    text(
        200,
        "OK",
        "text/csv",
        &format!(
            "id,name,cents
{}
",
            rows.join(
                "
"
            )
        ),
    )
}

fn login(host: &str) -> Answer {
    let mut answer = text(303, "See Other", "", "");
    answer.headers.push(("Location", format!("http://{host}/")));
    answer.headers.push(("Set-Cookie", "session=7d1a4a8e; Path=/; HttpOnly".to_owned()));
    answer
}

fn gzipped(mut answer: Answer, wanted: bool) -> Answer {
    if !wanted {
        return answer;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    if encoder.write_all(&answer.body).is_ok()
        && let Ok(body) = encoder.finish()
    {
        answer.headers.push(("Content-Encoding", "gzip".to_owned()));
        answer.headers.push(("Vary", "Accept-Encoding".to_owned()));
        answer.body = body;
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(version: Version, method: &str, target: &str) -> Answer {
        answer(version, Asked { method, target, host: "shop", accepts_gzip: false, body: b"{}" })
    }

    #[test]
    fn the_versions_differ_just_where_it_was_planted() {
        for target in
            ["/", "/health", "/products", "/export", "/whoami", "/logo", "/nowhere", "/search?q=tea"]
        {
            let (v1, v2) = (ask(Version::V1, "GET", target), ask(Version::V2, "GET", target));
            assert_eq!((v1.status, &v1.headers, &v1.body), (v2.status, &v2.headers, &v2.body), "{target}");
        }
        assert_eq!(ask(Version::V1, "GET", "/products/99").status, 404);
        assert_eq!(ask(Version::V2, "GET", "/products/99").status, 500);
        assert!(
            ask(Version::V2, "GET", "/search?q=tea").after > ask(Version::V1, "GET", "/search?q=tea").after
        );
        let body = |version, target| String::from_utf8(ask(version, "GET", target).body).unwrap();
        assert!(body(Version::V1, "/products/1").contains("\"price\":34.5"));
        assert!(body(Version::V2, "/products/1").contains("\"price\":\"34.50\""));
        assert!(body(Version::V1, "/orders/7").contains("currency"));
        assert!(!body(Version::V2, "/orders/7").contains("currency"));
    }

    #[test]
    fn every_receipt_is_another() {
        assert_ne!(
            ask(Version::V1, "POST", "/cart/items").body,
            ask(Version::V1, "POST", "/cart/items").body
        );
    }
}
