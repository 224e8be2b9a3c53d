//! A small TCP proxy that loses what the test wants lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes on, both ways; told to, it cuts the connection when the server next answers a publish, and the answer is
/// lost.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    loses: Arc<AtomicBool>,
    open: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let loses = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&loses);
        let open = watch::Sender::new(true);
        let is_open = open.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (told, mut is_open) = (Arc::clone(&told), is_open.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        biased;
                        _ = is_open.wait_for(|open| !open) => Ok(()),
                        passed = pass_to(client, server, &told) => passed,
                    }
                });
            }
        });
        Self {
            address,
            loses,
            open,
        }
    }

    /// Cuts every connection, and lets none through until it is opened again.
    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Loses the next answer to a publish.
    pub(crate) fn lose_one(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }

    /// Whether it was lost.
    pub(crate) fn has_lost(&self) -> bool {
        !self.loses.load(Ordering::SeqCst)
    }
}

async fn pass_to(client: TcpStream, server: SocketAddr, loses: &AtomicBool) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    pass(client, server, loses).await
}

async fn pass(client: TcpStream, server: TcpStream, loses: &AtomicBool) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = async {
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        std::io::Result::Ok(())
    };
    let answered = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let count = from_server.read(&mut bytes).await?;
            if count == 0 {
                return Ok(());
            }
            let is_ack = bytes[..count].windows(9).any(|nine| nine == b"{\"stream\"");
            if is_ack && loses.swap(false, Ordering::SeqCst) {
                return Ok(());
            }
            to_client.write_all(&bytes[..count]).await?;
        }
    };
    tokio::select! {
        ended = asked => ended,
        ended = answered => ended,
    }
}
