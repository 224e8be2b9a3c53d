//! The listener that comes from outside, and the loopback that is a replica's own.

use std::io::Read;
use std::net::TcpStream;

use crate::support::{DEADLINE, Provider, listener, shell};

/// Python that listens on `$PORT` itself, if there is one, and reaches itself there; then takes one
/// connection on its standard input and answers. It stays, and so does what it listens on.
const ANSWER: &str = "exec python3 -c '
import signal, socket, sys
answer = b\"inside\"
try:
    if sys.argv[1]:
        own = socket.create_server((\"127.0.0.1\", int(sys.argv[1])))
        socket.create_connection(own.getsockname(), timeout=5)
except Exception as error:
    answer = str(error).encode()
there, _ = socket.socket(fileno=0).accept()
there.sendall(answer)
there.close()
signal.pause()
' \"$PORT\"";

fn answering(port: &str, private_network: bool) -> faas_provider_memory::sandbox::ReplicaSpec {
    let mut spec = shell(ANSWER);
    spec.env = vec![
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("PORT".to_owned(), port.to_owned()),
    ];
    spec.private_network = private_network;
    spec
}

async fn ask(address: std::net::SocketAddr) -> String {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn a_connection_to_the_listener_is_answered_inside() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let _replica = sandbox.start(answering("", false), listener).await.unwrap();
    assert_eq!(ask(address).await, "inside");
}

#[tokio::test]
async fn two_replicas_listen_on_the_same_port_and_are_reached_from_outside() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let (first, second) = (listener(), listener());
    let addresses = [first.local_addr().unwrap(), second.local_addr().unwrap()];
    let _first = sandbox.start(answering("3000", true), first).await.unwrap();
    let _second = sandbox
        .start(answering("3000", true), second)
        .await
        .unwrap();
    for address in addresses {
        assert_eq!(ask(address).await, "inside");
    }
}

#[tokio::test]
async fn a_private_network_has_a_loopback_and_nothing_else() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = shell("tail -n +3 /proc/net/dev | cut -d: -f1");
    spec.private_network = true;
    let (said, _) = crate::support::run(&sandbox, spec).await;
    assert!(said.lines().any(|name| name.trim() == "lo"), "{said}");
    assert!(!said.contains("eth") && !said.contains("en"), "{said}");
}
