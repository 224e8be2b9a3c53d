//! How calls spread over several upstreams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use faas_http::Server;

use crate::support::{ANY_PORT, Hop, Limits, soon};

/// A server that counts its calls.
async fn counting() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let app = Router::new().fallback(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready("ok")
    });
    let server = Server::bind(ANY_PORT, app).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));
    (address, count)
}

#[tokio::test]
async fn load_spreads_over_four_within_a_fifth() {
    const CALLERS: usize = 20;
    const CALLS: usize = 100;
    let mut addresses = Vec::new();
    let mut counts = Vec::new();
    for _ in 0..4 {
        let (address, count) = counting().await;
        addresses.push(address);
        counts.push(count);
    }
    let hop = Arc::new(Hop::start(&addresses, Limits::default()).await);
    let callers = (0..CALLERS).map(|_| {
        let hop = Arc::clone(&hop);
        tokio::spawn(async move {
            let mut caller = hop.call("").await;
            for _ in 0..CALLS {
                caller.send("GET / HTTP/1.1\r\nHost: f\r\n\r\n").await;
                caller.head().await;
                assert_eq!(caller.text(2).await, "ok");
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        soon("all calls", caller).await.unwrap();
    }
    let even = CALLERS * CALLS / 4;
    for count in counts {
        let count = count.load(Ordering::Relaxed);
        assert!(
            (even * 4 / 5..=even * 6 / 5).contains(&count),
            "{count} of {even}"
        );
    }
    assert_eq!(hop.in_flight(), 0);
}
