//! How much a header field says about the service.
//!
//! Names match exactly, without regard to case (RFC 9110, section 5.1); a field that is not listed
//! is semantic, so that nothing is overlooked by a guess.

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// About the connection or the way the message is delimited, which differs between any two hops:
    /// ignored. What Content-Length measures is compared as the body.
    Framing,
    /// About the moment or the one exchange: whether it is there.
    Volatile,
    /// About who made or carried the answer: told, never counted.
    Build,
    /// About the answer: compared.
    Semantic,
}

/// The tier of a field; `name` is in lower case.
pub(super) fn tier(name: &str) -> Tier {
    match name {
        // RFC 9110, sections 6.6.2, 7.6 and 8.6; RFC 9112, sections 6.1 and 9.
        "connection" | "content-length" | "keep-alive" | "proxy-connection" | "te" | "trailer"
        | "transfer-encoding" | "upgrade" => Tier::Framing,
        // Times: of the answer (RFC 9110, section 6.6.1), in a cache (RFC 9111, sections 5.1, 5.3),
        // of the last change (RFC 9110, section 8.8.2), of deployment as of content.
        "age" | "date" | "expires" | "last-modified"
        // An opaque tag, whose text only its maker may interpret (RFC 9110, section 8.8.3).
        | "etag"
        // Names of the one exchange, for tracing (W3C Trace Context, B3, and vendors' own).
        | "b3" | "cf-ray" | "request-id" | "traceparent" | "traceresponse" | "tracestate" | "x-amz-cf-id"
        | "x-amz-id-2" | "x-amz-request-id" | "x-amzn-requestid" | "x-amzn-trace-id" | "x-b3-parentspanid"
        | "x-b3-sampled" | "x-b3-spanid" | "x-b3-traceid" | "x-cloud-trace-context" | "x-correlation-id"
        | "x-ms-request-id" | "x-request-id" | "x-trace-id"
        // Measured durations, and what is left of a budget that each request uses up.
        | "ratelimit-remaining" | "ratelimit-reset" | "server-timing" | "x-envoy-upstream-service-time"
        | "x-ratelimit-remaining" | "x-ratelimit-reset" | "x-response-time" | "x-runtime" | "x-timer" => {
            Tier::Volatile
        }
        // RFC 9110, sections 7.6.3 and 10.2.4, and vendors' own.
        "server"
        | "via"
        | "x-aspnet-version"
        | "x-aspnetmvc-version"
        | "x-backend-server"
        | "x-drupal-dynamic-cache"
        | "x-generator"
        | "x-powered-by"
        | "x-served-by"
        | "x-version" => Tier::Build,
        _ => Tier::Semantic,
    }
}

/// Whether a field describes the content (RFC 9110, section 8), so that it changes with it.
pub(super) fn describes_content(name: &str) -> bool {
    matches!(
        name,
        "accept-ranges"
            | "content-disposition"
            | "content-encoding"
            | "content-language"
            | "content-location"
            | "content-range"
            | "content-type"
            | "etag"
            | "last-modified"
            | "x-content-type-options"
    )
}
