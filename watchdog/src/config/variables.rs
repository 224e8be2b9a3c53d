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
pub const VARIABLES: [Variable; 37] = [
    variable("fprocess", "", "the function: a program and its arguments, split at single spaces; required but in mode static"),
    variable("function_process", "", "the same, and counts before fprocess; not in mode classic"),
    variable("mode", "", "classic, streaming, serializing, http or static; unset: what watchdog_default_mode says"),
    variable("watchdog_default_mode", "classic", "the mode of an image that sets none"),
    variable("port", "8080", "port of the function, on all interfaces"),
    variable("metrics_port", "8081", "port of /metrics; 0: none"),
    variable("read_timeout", "30s", "longest wait for a request, and between two; 0: none"),
    variable("write_timeout", "30s", "from a request's headers to the end of its answer; 0: none, in mode classic only"),
    variable("exec_timeout", "", "longest run of one function process; 0: none; unset: none in mode classic, 30s in the others"),
    variable("healthcheck_interval", "", "wait between SIGTERM and closing the port; unset: write_timeout"),
    variable("max_inflight", "0", "most calls at once, more are answered 429; 0: no limit"),
    variable("suppress_lock", "false", "do without the lock file"),
    variable("ready_path", "", "a path of the function, called by /_/ready, whose answer it gives"),
    variable("content_type", "", "Content-Type of answers; unset: in mode classic the request's, or a guess, else application/octet-stream"),
    variable("cgi_headers", "true", "mode classic: describe the request in Http_* variables; always done in streaming and serializing"),
    variable("combine_output", "true", "mode classic: stderr goes into the answer; false: into the log"),
    variable("marshal_request", "false", "mode classic: stdin gets the request as JSON: headers, and the body in base64"),
    variable("write_debug", "false", "mode classic: print outputs, log more"),
    variable("debug_headers", "false", "mode classic: print the headers of requests and answers"),
    variable("prefork", "0", "mode classic with cgi_headers=false: processes started ahead, each for one call"),
    variable("http_upstream_url", "", "mode http: where the function listens, like http://127.0.0.1:3000; required there"),
    variable("upstream_url", "", "the same; http_upstream_url counts before it"),
    variable("upstream_protocol", "http1", "mode http: what the function speaks, http1 or h2c: HTTP/2 in the clear from the first byte, as for gRPC"),
    variable("http_buffer_req_body", "false", "mode http: read a request body whole before sending it on"),
    variable("buffer_http", "false", "the same"),
    variable("static_path", "/home/app/public", "mode static: the directory of the files"),
    variable("prefix_logs", "true", "time and stream name before lines the function logs; not in mode classic"),
    variable("log_buffer_size", "131072", "longest line the function logs, longer ones are split; negative: 1 MiB; not in mode classic"),
    variable("log_callid", "false", "end access lines with the call's id; not in mode classic"),
    variable("jwt_auth", "false", "only callers with a token of the authority that is made for this function; others are answered 401 or 403"),
    variable("jwt_auth_local", "false", "the authority is http://127.0.0.1:8000 instead of http://gateway.openfaas:8080"),
    variable("jwt_authority", "", "base URL of another authority, http only; counts before jwt_auth_local"),
    variable("jwt_auth_debug", "false", "log why a caller was refused"),
    variable("OPENFAAS_NAME", "", "the function's name, which tokens are made for; required with jwt_auth"),
    variable("OPENFAAS_NAMESPACE", "", "its namespace, may be set to nothing; unset: what the service account's file says"),
    variable("TMPDIR", "/tmp", "where the lock file .lock and large bodies are kept"),
    variable("PATH", "", "where the program is looked for"),
];
