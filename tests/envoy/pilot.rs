//! What Istio's control plane makes of a `VirtualService`: a route configuration for Envoy.
//!
//! Written from the field documentation of both APIs, for what the tables here use. It knows nothing of the program's own
//! reading of rules, not even of its YAML.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Map, Value, json};

const HCM: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const FAULT: &str = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault";

/// A bootstrap configuration with these listeners and clusters.
pub(crate) fn bootstrap(listeners: &[Value], clusters: &BTreeMap<String, SocketAddr>) -> String {
    let clusters: Vec<_> = clusters.iter().map(|(name, address)| cluster(name, *address)).collect();
    // As Istio's bootstrap lets patterns be larger than Envoy does by itself.
    let layer = json!({ "name": "istio", "static_layer": { "re2.max_program_size.error_level": 32768 } });
    format!(
        "layered_runtime: {}\nstatic_resources: {}\n",
        json!({ "layers": [layer] }),
        json!({ "listeners": listeners, "clusters": clusters })
    )
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    let address = json!({ "address": address.ip().to_string(), "port_value": address.port() });
    let endpoint = json!({ "endpoint": { "address": { "socket_address": address } } });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        // The tests send more at once than the default allows.
        "circuit_breakers": { "thresholds": [
            { "max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000 }
        ] },
    })
}

/// Which Istio made the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// Before 1.28.
    WithSuffix,
    /// Shadows keep the Host.
    WithoutSuffix,
}

/// A listener, as a sidecar has it for outbound traffic, with the routes of these documents.
pub(crate) fn listener(name: &str, version: Version, services: &[Value]) -> Value {
    let hosts: Vec<_> =
        services.iter().enumerate().flat_map(|(n, service)| virtual_hosts(n, version, service)).collect();
    let manager = json!({
        "@type": HCM,
        "stat_prefix": name,
        // MeshConfig's path normalisation BASE, which is the default.
        "normalize_path": true,
        "use_remote_address": false,
        "route_config": { "name": name, "virtual_hosts": hosts, "ignore_port_in_host_matching": true },
        "http_filters": [
            { "name": "envoy.filters.http.fault", "typed_config": { "@type": FAULT } },
            { "name": "envoy.filters.http.router", "typed_config": { "@type": ROUTER } },
        ],
    });
    json!({
        "name": name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": [
            { "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }
        ] }],
    })
}

/// One for each host of a service.
fn virtual_hosts(n: usize, version: Version, service: &Value) -> Vec<Value> {
    let routes = routes(version, &service["spec"]);
    let namespace = service["metadata"]["namespace"].as_str().unwrap_or("default");
    let hosts = service["spec"]["hosts"].as_array().unwrap().iter().map(|host| host.as_str().unwrap());
    let virtual_host = |host: &str| {
        json!({
            "name": format!("{n} {host}"),
            "domains": domains(host, namespace),
            "include_request_attempt_count": true,
            "routes": routes,
        })
    };
    hosts.map(virtual_host).collect()
}

/// A host without dots is a service of the namespace, and known by all forms of its name.
fn domains(host: &str, namespace: &str) -> Vec<String> {
    let local = ".svc.cluster.local";
    let (name, namespace) = match host.strip_suffix(local).and_then(|host| host.split_once('.')) {
        Some(both) => both,
        None if host == "*" || host.contains(['.', ':', '[']) => return vec![host.to_owned()],
        None => (host, namespace),
    };
    let full = format!("{name}.{namespace}");
    vec![format!("{full}{local}"), name.to_owned(), full.clone(), format!("{full}.svc")]
}

/// A route for each match of each rule, in order.
fn routes(version: Version, spec: &Value) -> Vec<Value> {
    let rules = spec["http"].as_array().unwrap().iter();
    let expanded = rules.flat_map(|rule| {
        let all = vec![json!({})];
        let matches = rule["match"].as_array().filter(|matches| !matches.is_empty()).unwrap_or(&all).clone();
        matches.into_iter().map(|matched| route(version, rule, &matched)).collect::<Vec<_>>()
    });
    expanded.collect()
}

fn route(version: Version, rule: &Value, matched: &Value) -> Value {
    let mut route = Map::new();
    route.insert("match".into(), matches(matched));
    if let Some(name) = rule["name"].as_str() {
        // Which rule was taken, for whoever asked.
        let header = json!({ "header": { "key": "x-rule", "value": name }, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" });
        route.insert("response_headers_to_add".into(), json!([header]));
    }
    if !rule["redirect"].is_null() {
        route.insert("redirect".into(), redirect(&rule["redirect"]));
    } else if !rule["directResponse"].is_null() {
        let body = rule["directResponse"]["body"]["string"].as_str().unwrap_or_default();
        let response =
            json!({ "status": rule["directResponse"]["status"], "body": { "inline_string": body } });
        route.insert("direct_response".into(), response);
    } else {
        route.insert("route".into(), forward(version, rule));
        operations(&rule["headers"]["request"], &mut route);
        if let [only] = declared(rule).as_slice() {
            operations(&only["headers"]["request"], &mut route);
        }
    }
    if !rule["fault"].is_null() {
        let fault = json!({ "envoy.filters.http.fault": fault(&rule["fault"]) });
        route.insert("typed_per_filter_config".into(), fault);
    }
    Value::Object(route)
}

/// The destinations of a rule. Whether it has one or several is decided before those without weight are left out.
fn declared(rule: &Value) -> Vec<Value> {
    rule["route"].as_array().cloned().unwrap_or_default()
}

/// The name of the cluster: that of the endpoint in the tables.
pub(crate) fn cluster_name(destination: &Value) -> String {
    let host = destination["host"].as_str().unwrap();
    destination["subset"].as_str().map_or(host.to_owned(), |subset| format!("{host}/{subset}"))
}

fn forward(version: Version, rule: &Value) -> Value {
    let timeout = rule["timeout"].as_str().unwrap_or("0s");
    let mut action = json!({ "timeout": timeout, "request_mirror_policies": mirrors(version, rule) });
    match declared(rule).as_slice() {
        [only] => action["cluster"] = json!(cluster_name(&only["destination"])),
        several => {
            let weighing = several.iter().filter(|to| to["weight"].as_u64().unwrap_or(0) > 0);
            action["weighted_clusters"] = json!({ "clusters": weighing.map(weighted).collect::<Vec<_>>() });
        }
    }
    let rewrite = &rule["rewrite"];
    if let Some(regex) = rewrite["uriRegexRewrite"].as_object() {
        let pattern = json!({ "regex": regex["match"] });
        action["regex_rewrite"] = json!({ "pattern": pattern, "substitution": regex["rewrite"] });
    } else if let Some(uri) = rewrite["uri"].as_str() {
        action["prefix_rewrite"] = json!(uri);
    }
    let own = declared(rule);
    let own = if let [only] = own.as_slice() { authority(only) } else { None };
    if let Some(authority) = rewrite["authority"].as_str().or(authority(rule)).or(own) {
        action["host_rewrite_literal"] = json!(authority);
    }
    action
}

/// The authority that the header operations of a rule or of a destination set.
fn authority(of: &Value) -> Option<&str> {
    let set = &of["headers"]["request"]["set"];
    [&set["Host"], &set["host"], &set[":authority"]].into_iter().find_map(Value::as_str)
}

fn weighted(to: &Value) -> Value {
    let mut cluster = Map::new();
    cluster.insert("name".into(), json!(cluster_name(&to["destination"])));
    cluster.insert("weight".into(), to["weight"].clone());
    operations(&to["headers"]["request"], &mut cluster);
    if let Some(authority) = authority(to) {
        cluster.insert("host_rewrite_literal".into(), json!(authority));
    }
    Value::Object(cluster)
}

fn mirrors(version: Version, rule: &Value) -> Vec<Value> {
    let single = (!rule["mirror"].is_null()).then(|| (rule["mirror"].clone(), single_share(rule)));
    let several = rule["mirrors"].as_array().cloned().unwrap_or_default().into_iter();
    let several = several.map(|mirror| (mirror["destination"].clone(), share(&mirror["percentage"])));
    let policy = |(to, share): (Value, Option<Value>)| {
        let mut policy = json!({
            "cluster": cluster_name(&to),
            "runtime_fraction": { "default_value": share? },
            "trace_sampled": false,
        });
        if version == Version::WithoutSuffix {
            policy["disable_shadow_host_suffix_append"] = json!(true);
        }
        Some(policy)
    };
    single.into_iter().chain(several).filter_map(policy).collect()
}

fn single_share(rule: &Value) -> Option<Value> {
    let whole = rule.get("mirrorPercent").or(rule.get("mirror_percent"));
    match (rule.get("mirrorPercentage"), whole) {
        (Some(percentage), _) => share(percentage),
        (None, Some(whole)) => (whole != 0).then(|| json!({ "numerator": whole, "denominator": "HUNDRED" })),
        (None, None) => share(&Value::Null),
    }
}

/// A percentage with decimals is a number of millionths; none at all is all requests; zero is no mirror.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 1,000,000, and truncated as Istio does"
)]
fn share(percentage: &Value) -> Option<Value> {
    let Some(value) = percentage["value"].as_f64() else {
        return Some(json!({ "numerator": 100, "denominator": "HUNDRED" }));
    };
    (value > 0.0).then(|| json!({ "numerator": (value * 10_000.0) as u32, "denominator": "MILLION" }))
}

/// Header operations, on a route or on one of its weighted clusters. The Host is no header there.
fn operations(request: &Value, into: &mut Map<String, Value>) {
    let is_host = |name: &str| ["host", ":authority"].contains(&name.to_ascii_lowercase().as_str());
    let fields = |kind: &str, action: &str| -> Vec<Value> {
        let fields = request[kind].as_object().cloned().unwrap_or_default().into_iter();
        let fields = fields.filter(|(name, _)| !is_host(name));
        fields
            .map(|(key, value)| json!({ "header": { "key": key, "value": value }, "append_action": action }))
            .collect()
    };
    let mut add = fields("add", "APPEND_IF_EXISTS_OR_ADD");
    add.extend(fields("set", "OVERWRITE_IF_EXISTS_OR_ADD"));
    let remove = request["remove"].as_array().cloned().unwrap_or_default();
    for (name, more) in [("request_headers_to_add", add), ("request_headers_to_remove", remove)] {
        if !more.is_empty() {
            let list = into.entry(name).or_insert_with(|| json!([]));
            list.as_array_mut().unwrap().extend(more);
        }
    }
}

fn redirect(redirect: &Value) -> Value {
    let mut action = Map::new();
    for (ours, theirs) in
        [("uri", "path_redirect"), ("authority", "host_redirect"), ("scheme", "scheme_redirect")]
    {
        if let Some(value) = redirect.get(ours) {
            action.insert(theirs.into(), value.clone());
        }
    }
    let code = match redirect["redirectCode"].as_u64() {
        None | Some(301) => "MOVED_PERMANENTLY",
        Some(302) => "FOUND",
        Some(307) => "TEMPORARY_REDIRECT",
        Some(308) => "PERMANENT_REDIRECT",
        other => panic!("{other:?}"),
    };
    action.insert("response_code".into(), json!(code));
    Value::Object(action)
}

fn fault(fault: &Value) -> Value {
    let mut config = json!({ "@type": FAULT });
    let percentage = |of: &Value| share(&of["percentage"]).unwrap_or(json!({ "numerator": 0 }));
    if let Some(status) = fault["abort"]["httpStatus"].as_u64() {
        config["abort"] = json!({ "http_status": status, "percentage": percentage(&fault["abort"]) });
    }
    if let Some(delay) = fault["delay"]["fixedDelay"].as_str() {
        config["delay"] = json!({ "fixed_delay": delay, "percentage": percentage(&fault["delay"]) });
    }
    config
}

fn matches(matched: &Value) -> Value {
    let mut route = match matched["uri"].as_object().and_then(|uri| uri.iter().next()) {
        None => json!({ "prefix": "/" }),
        Some((kind, value)) => match kind.as_str() {
            "exact" => json!({ "path": value }),
            "prefix" => json!({ "prefix": value }),
            // Of Gateway API.
            "elements" if value == "" => json!({ "prefix": "/" }),
            "elements" => json!({ "path_separated_prefix": value }),
            "regex" => json!({ "safe_regex": { "regex": value } }),
            other => panic!("{other}"),
        },
    };
    if matched["ignoreUriCase"] == true {
        route["case_sensitive"] = json!(false);
    }
    let mut headers = Vec::new();
    for (ours, theirs) in [("method", ":method"), ("authority", ":authority"), ("scheme", ":scheme")] {
        if let Some(value) = matched.get(ours) {
            headers.push(header(theirs, value, false));
        }
    }
    for (name, inverted) in [("headers", false), ("withoutHeaders", true)] {
        let fields = matched[name].as_object().cloned().unwrap_or_default();
        headers.extend(fields.iter().map(|(name, value)| header(name, value, inverted)));
    }
    let parameters = matched["queryParams"].as_object().cloned().unwrap_or_default();
    let parameters: Vec<_> =
        parameters.iter().map(|(name, value)| valued(json!({ "name": name }), value)).collect();
    route["headers"] = json!(headers);
    route["query_parameters"] = json!(parameters);
    route
}

fn header(name: &str, value: &Value, inverted: bool) -> Value {
    let mut header = valued(json!({ "name": name.to_ascii_lowercase() }), value);
    if inverted {
        header["invert_match"] = json!(true);
        if header.get("present_match").is_none() {
            header["treat_missing_header_as_empty"] = json!(true);
        }
    }
    header
}

/// A matcher of strings, or of presence where nothing is asked of the string.
fn valued(mut matcher: Value, value: &Value) -> Value {
    match value.as_object().and_then(|value| value.iter().next()) {
        None => matcher["present_match"] = json!(true),
        Some((kind, text)) if kind != "exact" && text == "*" => matcher["present_match"] = json!(true),
        Some((kind, text)) => {
            matcher["string_match"] = match kind.as_str() {
                "exact" | "prefix" => json!({ kind: text }),
                "regex" => json!({ "safe_regex": { "regex": text } }),
                other => panic!("{other}"),
            };
        }
    }
    matcher
}
