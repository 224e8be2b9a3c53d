//! A NATS server with a store of its own, on a port that nobody else has.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Info;
use async_nats::jetstream::{self, Context};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};

use crate::patience::until;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _port: TcpSocket,
    store: PathBuf,
    _own: Option<TempDir>,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let mut server = Self::absent(arguments);
        server.begin().await;
        server
    }

    /// One that is not started yet.
    pub(crate) fn absent(arguments: &[&str]) -> Self {
        let (address, port) = reserved();
        Self::at_address(address, port, arguments)
    }

    /// Three that are to be one cluster, on the same port of three addresses of this machine. None is started yet.
    pub(crate) fn cluster() -> [Self; 3] {
        let (first, port) = reserved();
        let (inner, _inner) = reserved();
        let node = |number: u8| format!("nats://127.0.0.{number}:{}", inner.port());
        let routes = [1, 2, 3].map(node).join(",");
        let mut port = Some(port);
        [1, 2, 3].map(|number| {
            let address = SocketAddr::from(([127, 0, 0, number], first.port()));
            let port = port.take().unwrap_or_else(|| held(address));
            let (name, listens) = (format!("n{number}"), node(number));
            Self::at_address(
                address,
                port,
                &[
                    "-n",
                    &name,
                    "--cluster_name",
                    "c",
                    "--cluster",
                    &listens,
                    "--routes",
                    &routes,
                ],
            )
        })
    }

    /// One whose store is in this directory. It is not started yet.
    pub(crate) fn absent_in(store: &Path) -> Self {
        let mut server = Self::absent(&[]);
        server.store = store.to_owned();
        server
    }

    fn at_address(address: SocketAddr, port: TcpSocket, arguments: &[&str]) -> Self {
        let own = tempfile::tempdir().unwrap();
        Self {
            address,
            _port: port,
            store: own.path().to_owned(),
            _own: Some(own),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            process: None,
        }
    }

    /// Starts, on the same port and store as before.
    pub(crate) async fn begin(&mut self) {
        let process = Command::new("nats-server")
            .args([
                "-a",
                &self.address.ip().to_string(),
                "-js",
                "-p",
                &self.address.port().to_string(),
                "-sd",
            ])
            .arg(&self.store)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server has to be installed");
        self.process = Some(process);
        let address = self.address;
        until("the server to listen", async || {
            TcpStream::connect(address).await.is_ok()
        })
        .await;
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let pid = Pid::from_raw(process.id().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn at(&self) -> String {
        self.address.to_string()
    }

    /// A client of the test's own.
    pub(crate) async fn look(&self) -> Context {
        jetstream::new(async_nats::connect(self.at()).await.unwrap())
    }

    pub(crate) async fn info(&self, stream: &str) -> Info {
        let stream = self.look().await.get_stream(stream).await.unwrap();
        stream.cached_info().clone()
    }

    /// Every message of a stream, in order.
    pub(crate) async fn messages(&self, stream: &str) -> Vec<StreamMessage> {
        let stream = self.look().await.get_stream(stream).await.unwrap();
        let state = &stream.cached_info().state;
        let mut messages = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            messages.push(stream.direct_get(sequence).await.unwrap());
        }
        messages
    }
}

/// A port that nobody else is given as long as the socket lives: bound, so that it can be listened on again and again. Not
/// one that the system gives to connections: a client that looks for a server there could find itself.
pub(crate) fn reserved() -> (SocketAddr, TcpSocket) {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], fastrand::u16(15_000..30_000)));
        // Two that are bound so do not see each other: one that listens does.
        if TcpListener::bind(address).is_ok() {
            return (address, held(address));
        }
    }
}

fn held(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
