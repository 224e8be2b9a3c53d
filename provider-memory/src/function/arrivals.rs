//! Calls that arrive at a replica whose processes are stopped: the kernel takes them, and says so in /proc/net.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// States of a connection in /proc/net/tcp.
const ESTABLISHED: &str = "01";
const CLOSE_WAIT: &str = "08";
const LISTEN: &str = "0A";

/// Waits until something has arrived at this port that nobody has read.
pub(super) async fn on(address: SocketAddr) {
    let table = match address {
        SocketAddr::V4(_) => "/proc/net/tcp",
        SocketAddr::V6(_) => "/proc/net/tcp6",
    };
    loop {
        sleep(INTERVAL).await;
        let look = move || {
            let text = fs::read_to_string(table).unwrap_or_default();
            text.lines().any(|line| is_unread(line, address.port()))
        };
        if spawn_blocking(look).await.unwrap_or(false) {
            return;
        }
    }
}

/// Whether a line of /proc/net/tcp, proc_pid_net(5), tells of a connection to this port that waits or has something to read.
fn is_unread(line: &str, port: u16) -> bool {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, _, state, queues) = (fields.next(), fields.next(), fields.next(), fields.next());
    let hex = |text: Option<&str>| u64::from_str_radix(text?.rsplit_once(':')?.1, 16).ok();
    if hex(local) != Some(port.into()) {
        return false;
    }
    let unread = hex(queues).unwrap_or(0);
    match state {
        Some(ESTABLISHED | LISTEN) => unread > 0,
        // The end of the other side counts as a byte.
        Some(CLOSE_WAIT) => unread > 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_at_the_port_counts() {
        let line = |local: &str, state: &str, unread: &str| {
            format!(
                "   1: {local} 0100007F:C35E {state} 00000000:{unread} 00:00000000 00000000  1000 0 1234"
            )
        };
        for (local, state, unread, expected) in [
            ("0100007F:1F90", "01", "00000010", true),
            ("0100007F:1F90", "01", "00000000", false),
            ("0100007F:1F90", "0A", "00000001", true),
            ("0100007F:1F90", "0A", "00000000", false),
            ("0100007F:1F90", "08", "00000001", false),
            ("0100007F:1F90", "08", "00000011", true),
            ("0100007F:1F91", "01", "00000010", false),
            (
                "00000000000000000000000001000000:1F90",
                "0A",
                "00000001",
                true,
            ),
        ] {
            let line = line(local, state, unread);
            assert_eq!(is_unread(&line, 8080), expected, "{line}");
        }
        assert!(!is_unread(
            "  sl  local_address rem_address   st tx_queue rx_queue",
            8080
        ));
        assert!(!is_unread("", 8080));
    }

    #[tokio::test]
    async fn a_connection_that_nobody_takes_is_an_arrival() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let early = tokio::time::timeout(INTERVAL * 2, on(address)).await;
        assert!(early.is_err());
        let _caller = std::net::TcpStream::connect(address).unwrap();
        on(address).await;
    }
}
