//! Every variable the watchdog reads: the table behind `--help`, and where defaults come from.

/// One variable.
pub struct Variable {
    /// Its exact name.
    pub name: &'static str,
    /// The value of an unset variable, in the form an operator would write.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        default,
        meaning,
    }
}

#[rustfmt::skip] // one line each, to be read as the table it is
/// All variables. A variable that is read but not listed here fails the tests.
pub const VARIABLES: [Variable; 20] = [
    variable("fprocess", "", "the function: a program and its arguments, split at single spaces; required"),
    variable("mode", "", "how the function is run; unset: what watchdog_default_mode says"),
    variable("watchdog_default_mode", "classic", "the mode of an image that sets none"),
    variable("port", "8080", "port of the function, on all interfaces"),
    variable("metrics_port", "8081", "port of /metrics; 0: none"),
    variable("read_timeout", "30s", "longest wait for a request, and between two; 0: none"),
    variable("write_timeout", "30s", "from a request's headers to the end of its answer; 0: none"),
    variable("exec_timeout", "0s", "longest run of one function process; 0: none"),
    variable("healthcheck_interval", "", "wait between SIGTERM and closing the port; unset: write_timeout"),
    variable("max_inflight", "0", "most calls at once, more are answered 429; 0: no limit"),
    variable("suppress_lock", "false", "do without the lock file"),
    variable("content_type", "", "Content-Type of answers; unset: the request's, or a guess"),
    variable("cgi_headers", "true", "describe the request in Http_* variables"),
    variable("combine_output", "true", "stderr goes into the answer; false: into the log"),
    variable("marshal_request", "false", "stdin gets the request as JSON: headers, and the body in base64"),
    variable("write_debug", "false", "print outputs, log more"),
    variable("debug_headers", "false", "print the headers of requests and answers"),
    variable("jwt_auth", "false", "only callers with a token; not built in yet"),
    variable("TMPDIR", "/tmp", "where the lock file .lock and large bodies are kept"),
    variable("PATH", "", "where the program is looked for"),
];
