//! Which of the captured requests are sent.

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Which requests are sent")]
pub(in crate::cli) struct Window {
    /// Those captured from this time on: RFC 3339, or a distance from the first request such as 90s or 5m.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) from: Option<String>,
    /// Those captured before this time, said in the same way.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) to_time: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which requests are sent")]
pub(in crate::cli) struct Choice {
    /// Those with these methods: all, safe (GET, HEAD, OPTIONS, TRACE), or a list such as GET,POST.
    #[arg(long, value_name = "METHODS", default_value = "all")]
    pub(in crate::cli) methods: String,
    /// Those for which this holds, in CEL: method, host, target, path, query, status (of v1's answer), client,
    /// server, time and header(NAME), as in `path.startsWith("/api") && status < 500`.
    #[arg(long, value_name = "EXPRESSION")]
    pub(in crate::cli) filter: Option<String>,
    /// This percentage of them, the same each time; 10:connection and 10:client keep those whole.
    #[arg(long, value_name = "PERCENT")]
    pub(in crate::cli) sample: Option<String>,
    /// The first so many of them.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<u64>,
    /// What becomes of captured credentials (Authorization, Cookie, API keys and tokens in headers): pass, strip,
    /// or replace=FILE, whose lines `Name: value` replace those that a request has.
    #[arg(long, value_name = "WHAT", default_value = "pass")]
    pub(in crate::cli) credentials: String,
}
