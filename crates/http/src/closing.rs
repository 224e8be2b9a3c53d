//! Closing a port without turning away who is at it already.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How long the port has to be quiet before it is closed.
const LAST_LOOK: Duration = Duration::from_millis(2);

/// Most connections that are let in then: as many as the system lets wait at a port.
const MOST_WAITING: usize = 1024;

/// How long connections without a call are kept once the port is closed.
const ARRIVAL: Duration = Duration::from_millis(50);

/// Serves whoever the system has let in already, and closes the port: the system would reset those connections, whose
/// callers are sending. When it returns (after 52 ms, if nobody waits), a call that was on its way on any connection has
/// arrived, and idle ones may be closed.
pub async fn close(listener: TcpListener, mut serve: impl FnMut(TcpStream, SocketAddr)) {
    for _ in 0..MOST_WAITING {
        let Ok(Ok((stream, peer))) = timeout(LAST_LOOK, listener.accept()).await else {
            break;
        };
        serve(stream, peer);
    }
    drop(listener);
    sleep(ARRIVAL).await;
}
