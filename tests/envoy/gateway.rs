//! What Istio makes of an `HTTPRoute`: a virtual service, with what that cannot say written as `pilot.rs` reads it.
//!
//! From Istio's documentation of its translation, for what the tables here use. Backends `v1`, `v2` and `v3` are the
//! subsets of httpbin by those names.

use serde_json::{Map, Value, json};

/// The virtual service of a route; what is none stays as it is.
pub(crate) fn virtual_service(document: Value) -> Value {
    if document["kind"] != "HTTPRoute" {
        return document;
    }
    let spec = &document["spec"];
    let http: Vec<_> = list(&spec["rules"]).iter().map(rule).collect();
    json!({ "metadata": document["metadata"], "spec": { "hosts": spec["hostnames"], "http": http } })
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn rule(rule: &Value) -> Value {
    let mut http = Map::new();
    http.insert("match".into(), list(&rule["matches"]).iter().map(matched).collect());
    let prefix = rule["matches"][0]["path"]["value"].as_str().unwrap_or("/").trim_end_matches('/').to_owned();
    let mut mirrors = Vec::new();
    for filter in list(&rule["filters"]) {
        match filter["type"].as_str().unwrap() {
            "RequestMirror" => mirrors.push(mirror(&filter["requestMirror"])),
            "RequestHeaderModifier" => {
                http.insert(
                    "headers".into(),
                    json!({ "request": headers(&filter["requestHeaderModifier"]) }),
                );
            }
            "URLRewrite" => {
                http.insert("rewrite".into(), rewrite(&filter["urlRewrite"], &prefix));
            }
            "RequestRedirect" => {
                let to = &filter["requestRedirect"];
                http.insert("redirect".into(), json!({ "authority": to["hostname"], "redirectCode": 302 }));
            }
            other => panic!("{other}"),
        }
    }
    // What has no weight is left out before it is counted how many there are.
    let backends: Vec<_> = list(&rule["backendRefs"]).into_iter().filter(|to| to["weight"] != 0).collect();
    if backends.is_empty() && !http.contains_key("redirect") {
        http.insert("directResponse".into(), json!({ "status": 500 }));
    } else {
        http.insert("route".into(), backends.iter().map(backend).collect());
        http.insert("mirrors".into(), Value::Array(mirrors));
    }
    Value::Object(http)
}

fn destination(reference: &Value) -> Value {
    json!({ "host": "httpbin", "subset": reference["name"] })
}

fn backend(to: &Value) -> Value {
    let mut out = json!({ "destination": destination(to), "weight": to["weight"].as_u64().unwrap_or(1) });
    for filter in list(&to["filters"]) {
        out["headers"] = json!({ "request": headers(&filter["requestHeaderModifier"]) });
    }
    out
}

fn mirror(mirror: &Value) -> Value {
    let fraction = &mirror["fraction"];
    let value = match (fraction["numerator"].as_f64(), mirror["percent"].as_f64()) {
        (Some(numerator), _) => Some(100.0 * numerator / fraction["denominator"].as_f64().unwrap_or(100.0)),
        (None, percent) => percent,
    };
    let mut policy = json!({ "destination": destination(&mirror["backendRef"]) });
    if let Some(value) = value {
        policy["percentage"] = json!({ "value": value });
    }
    policy
}

/// Lists of names and values as maps, in which the first of a name counts.
fn headers(modifier: &Value) -> Value {
    let map = |what: &str| {
        let mut map = Map::new();
        for field in list(&modifier[what]) {
            map.entry(field["name"].as_str().unwrap().to_lowercase()).or_insert(field["value"].clone());
        }
        map
    };
    json!({ "set": map("set"), "add": map("add"), "remove": list(&modifier["remove"]) })
}

fn rewrite(rewrite: &Value, prefix: &str) -> Value {
    let mut out = Map::new();
    if let Some(host) = rewrite["hostname"].as_str() {
        out.insert("authority".into(), json!(host));
    }
    let path = &rewrite["path"];
    if let Some(full) = path["replaceFullPath"].as_str() {
        out.insert("uriRegexRewrite".into(), json!({ "match": "/.*", "rewrite": full }));
    }
    match path["replacePrefixMatch"].as_str().map(|text| text.trim_end_matches('/')) {
        // The slash after the prefix is the path's own.
        Some("") => {
            let pattern = json!({ "match": format!("^{prefix}(/?)(.*)"), "rewrite": "/\\2" });
            out.insert("uriRegexRewrite".into(), pattern);
        }
        Some(text) => {
            out.insert("uri".into(), json!(text));
        }
        None => {}
    }
    Value::Object(out)
}

fn matched(matched: &Value) -> Value {
    let mut out = Map::new();
    if let Some(value) = matched["path"]["value"].as_str() {
        let kind = match matched["path"]["type"].as_str() {
            Some("Exact") => "exact",
            Some("RegularExpression") => "regex",
            _ => "elements",
        };
        out.insert("uri".into(), json!({ kind: value.trim_end_matches('/') }));
    }
    if let Some(method) = matched["method"].as_str() {
        out.insert("method".into(), json!({ "exact": method }));
    }
    Value::Object(out)
}
