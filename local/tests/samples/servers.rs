//! The samples in mode http are servers that stand up to what a watchdog and its callers do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Body, Method};
use serde_json::Value;

use crate::support::{DEADLINE, Local, answer};
use crate::{platform, root, stack_file};

/// Each server's command but for its port, and what it answers to `hello`.
const SERVERS: [(&[&str], &str); 2] = [
    (
        &["/usr/bin/python3", "samples/python-http/server.py"],
        "{\"words\": {\"hello\": 1}}\n",
    ),
    (
        &["node", "samples/node-http/server.js"],
        "{\"bytes\":5,\"sha256\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"}\n",
    ),
];

async fn call(local: &Local, sample: &str, text: String, chunked: bool) -> Value {
    let pieces = text
        .as_bytes()
        .chunks(7_000)
        .map(|piece| Ok(piece.to_vec()));
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> = pieces.collect();
    let body = match chunked {
        true => Body::wrap_stream(stream::iter(pieces)),
        false => Body::from(text),
    };
    let path = format!("/function/{sample}");
    let (status, text) = answer(local.request(Method::POST, &path).body(body)).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn two_hundred_calls_at_once_each_get_their_own_answer() {
    let local = platform().await;
    for sample in ["python-http", "node-http"] {
        stack_file::deploy(&local, sample).await;
        let calls = (1..=200_usize).map(|number| {
            let words = number * 50;
            let answer = call(&local, sample, "word ".repeat(words), number % 2 == 0);
            async move { (words, answer.await) }
        });
        for (words, answer) in join_all(calls).await {
            match sample {
                "python-http" => assert_eq!(answer["words"]["word"], words),
                _ => assert_eq!(answer["bytes"], words * 5),
            }
        }
    }
}

/// One server without a platform around it.
pub(crate) struct Server {
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(command: &[&str]) -> Self {
        let any = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = any.local_addr().unwrap().port();
        drop(any);
        let process = Command::new(command[0])
            .args(&command[1..])
            .arg(port.to_string())
            .current_dir(root())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, port };
        within("the server to listen", || server.try_connect().is_some());
        server
    }

    fn try_connect(&self) -> Option<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port)).ok()
    }

    fn connect(&self) -> Connection {
        let stream = self.try_connect().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Connection(BufReader::new(stream))
    }

    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.process.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        within("the server to end", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn within(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A kept connection, byte by byte.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The head of the next answer in lower case, and its body.
    fn answer(&mut self) -> (String, String) {
        let head = self.head();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let size = match length {
            Some(size) => size.parse().unwrap(),
            None => usize::from_str_radix(self.line().trim(), 16).unwrap(),
        };
        let mut body = vec![0; size];
        self.0.read_exact(&mut body).unwrap();
        if length.is_none() {
            assert_eq!(
                [self.line(), self.line(), self.line()],
                ["\r\n", "0\r\n", "\r\n"]
            );
        }
        (head, String::from_utf8(body).unwrap())
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the connection ended after: {head}");
            if line == "\r\n" {
                return head.to_lowercase();
            }
            head.push_str(line.trim_end());
            head.push('\n');
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        read.unwrap_or_else(|error| panic!("{error} after: {line}"));
        line
    }
}

const WITH_LENGTH: &str = "POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3;note=x\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: y\r\n\r\n";

#[test]
fn one_connection_carries_many_calls_with_bodies_of_either_kind() {
    for (command, expected) in SERVERS {
        let server = Server::start(command);
        let mut connection = server.connect();
        for request in [WITH_LENGTH, CHUNKED, CHUNKED, WITH_LENGTH] {
            connection.send(request);
            let (head, body) = connection.answer();
            assert!(head.starts_with("http/1.1 200 "), "{head}");
            assert_eq!(body, expected, "{command:?}");
        }
    }
}

#[test]
fn a_call_in_flight_is_answered_after_sigterm_and_an_idle_connection_does_not_hold_up_the_end() {
    for (command, expected) in SERVERS {
        let mut server = Server::start(command);
        let mut idle = server.connect();
        idle.send(WITH_LENGTH);
        idle.answer();
        let mut busy = server.connect();
        // The server has seen the call once it says that it wants the body.
        busy.send(
            "POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        );
        assert!(busy.head().starts_with("http/1.1 100 "));
        busy.send("he");

        server.terminate();
        within("the port to be closed", || server.try_connect().is_none());
        assert!(
            server.process.try_wait().unwrap().is_none(),
            "it has left a call behind"
        );
        busy.send("llo");

        let (head, body) = busy.answer();
        assert!(head.contains("\nconnection: close\n"), "{head}");
        assert_eq!(body, expected);
        assert!(server.ended().success(), "{command:?}");
    }
}

#[test]
fn a_body_that_the_python_server_cannot_take_is_refused_and_the_connection_ends() {
    let server = Server::start(SERVERS[0].0);
    let post = "POST / HTTP/1.1\r\nHost: f\r\n";
    for (rest, status) in [
        ("Content-Length: 1048577\r\n\r\n", "413"),
        ("Content-Length: -1\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n\r\n100001\r\n", "413"),
        (
            "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
            "400",
        ),
        ("Content-Length: 2\r\n\r\n\u{7f}\u{80}", "400"),
    ] {
        let mut connection = server.connect();
        connection.send(&format!("{post}{rest}"));
        let (head, body) = connection.answer();
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{rest}: {head}{body}"
        );
        assert!(head.contains("\nconnection: close\n"), "{rest}: {head}");
    }
}
