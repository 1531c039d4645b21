//! What is named by data is one route and one place: a fault in it is told once, however many names there are.

use crate::found::Found;
use crate::random::Random;
use crate::service::Version;
use crate::support::{RawServer, Reply, Script, Skip};
use crate::traffic::Captured;

const REQUESTS: u64 = 60;

/// An id of a video, as base64url has 64 bits of it.
fn id(n: u64) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    Random::new(n * 7919 + 5).of(alphabet, 11)
}

/// Users by their names: other ones for each video, and the owner of the shop.
fn users(of: &str, mail: &str) -> String {
    let seed = of.bytes().fold(7, |seed: u64, b| seed.wrapping_mul(31) + u64::from(b));
    let mut random = Random::new(seed);
    let names = (0..3).map(|_| random.of(b"bcdfgklmnprst", 1) + "a" + &random.of(b"bcdfgklmnprst", 2) + "o");
    let users: Vec<_> =
        names.chain(["owner".to_owned()]).map(|name| format!(r#""{name}": {{"mail": "{mail}"}}"#)).collect();
    format!(r#"{{"id": "{of}", "likes": {{{}}}}}"#, users.join(", "))
}

fn page(price: &str) -> String {
    let items: String = ["Tea", "Cup"]
        .map(|name| format!("<li class='item'>{name} <b class='price sale'>{price}</b></li>"))
        .concat();
    format!(
        "<!doctype html><title>Shop</title><form id='search'><input name='q'></form><ul id='results'>{items}</ul>"
    )
}

/// v2 gives all users another address, and all things another price.
fn service(version: Version) -> RawServer {
    RawServer::start(Script::new(move |request| {
        let text = String::from_utf8_lossy(&request.bytes);
        let target = text.split(' ').nth(1).unwrap_or_default();
        let is_v1 = version == Version::V1;
        let (media, body) = match target.strip_prefix("/v/") {
            Some(id) => ("application/json", users(id, if is_v1 { "a@shop" } else { "b@shop" })),
            None => ("text/html", page(if is_v1 { "12.35 EUR" } else { "12.53 EUR" })),
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {}", body.len());
        Reply::Answer(format!("{head}\r\n\r\n{body}").into_bytes())
    }))
}

fn run() -> Result<Found, Skip> {
    let (v1, v2) = (service(Version::V1), service(Version::V2));
    let captured = Captured::asking(&v1, |client, clients| {
        let numbers = (0..REQUESTS).filter(|n| n % clients == client);
        numbers.flat_map(|n| [format!("/v/{}", id(n)), format!("/pages/{n}")]).collect()
    })?;
    Ok(Found::replayed(&captured, &v2, &[]))
}

#[test]
fn a_fault_in_what_data_names_is_told_once() {
    let found = or_skip!(run());
    assert_eq!(found.compared, 2 * REQUESTS);
    let told: Vec<_> = found.places().into_iter().collect();
    let price = "/html/body/ul#results/li.item/b.price/text() '{number} EUR'";
    assert_eq!(
        told,
        [
            (("GET /pages/{number}", price), REQUESTS),
            // All answers have this one: it is a word.
            (("GET /v/{name}", "$['likes']['owner']['mail']"), REQUESTS),
            (("GET /v/{name}", "$['likes'][*]['mail']"), REQUESTS),
        ],
        "{found}"
    );
}
