//! Asking a service of this machine whether it is well: the subcommand `health`, for containers without a shell.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::env::{Setting, Settings, Variable};

/// Longest wait for the connection, and for each piece of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// As much of an answer as is read.
const ANSWER_BYTES: u64 = 4096;

/// Asks `/healthz` on loopback, on the port that the service's settings say: `metrics_port` where it has one, where
/// `/healthz` is about this process alone, else `port`.
pub(crate) fn ask<S: Settings>(variable: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let named = |name| S::VARIABLES.iter().find(move |known| known.name == name);
    let port = named("metrics_port").or(named("port"));
    answer_of(value(port.ok_or("this program has no port")?, variable)?)
}

fn value(port: &Variable, variable: impl Fn(&str) -> Option<String>) -> Result<u16, String> {
    let given = variable(port.name).filter(|text| !text.is_empty());
    let text = given.or(port.default.map(str::to_owned));
    u16::parse(&text.unwrap_or_default()).map_err(|error| format!("{}: {error}", port.name))
}

fn answer_of(port: u16) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answer = exchange(address).map_err(|error| format!("http://{address}/healthz: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        status => Err(format!(
            "http://{address}/healthz: {} {}",
            status.unwrap_or("no HTTP"),
            body.trim()
        )),
    }
}

fn exchange(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    // In one piece: whoever answers the first one and closes resets the connection over the second.
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    connection.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;
    use std::thread::{JoinHandle, spawn};

    use super::*;

    crate::settings! {
        /// A service with a port for metrics.
        #[expect(dead_code, reason = "only its table is asked")]
        struct Two {
            /// The port.
            pub port: u16 = "1",
            /// The other port.
            pub metrics_port: u16 = "2",
        }
    }

    crate::settings! {
        /// A service without.
        #[expect(dead_code, reason = "only its table is asked")]
        struct One {
            /// The port.
            pub port: u16 = "1",
        }
    }

    /// Answers one request with these bytes; what it was asked.
    fn answering(answer: &'static str) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = connection.read(&mut request).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (port, asked)
    }

    fn asked<S: Settings>(name: &str, port: u16) -> Result<(), String> {
        ask::<S>(|asked| (asked == name).then(|| port.to_string()))
    }

    #[test]
    fn a_well_service_is_asked_on_its_metrics_port() {
        let (port, request) = answering("HTTP/1.1 200 OK\r\n\r\nOK");
        assert_eq!(asked::<Two>("metrics_port", port), Ok(()));
        let request = request.join().unwrap();
        assert!(
            request.starts_with("GET /healthz HTTP/1.1\r\n"),
            "{request}"
        );
        let (port, _request) = answering("HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(asked::<One>("port", port), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (port, _request) = answering("HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n");
        let said = asked::<Two>("metrics_port", port).unwrap_err();
        assert_eq!(
            said,
            format!("http://127.0.0.1:{port}/healthz: 503 draining")
        );

        let (port, _request) = answering("nonsense");
        let said = asked::<One>("port", port).unwrap_err();
        assert!(said.contains("no HTTP"), "{said}");

        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let said = asked::<One>("port", port).unwrap_err();
        assert!(said.contains("refused"), "{said}");

        let said = ask::<One>(|_| Some("8O80".to_owned())).unwrap_err();
        assert!(said.starts_with("port: `8O80`"), "{said}");
    }

    #[test]
    fn a_service_that_hangs_is_not_waited_for_forever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(asked::<One>("port", port).is_err());
    }
}
