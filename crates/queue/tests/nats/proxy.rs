//! A small TCP proxy that loses what the test wants lost.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of what a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrives, and the connection is cut: whatever is answered is lost.
    Unanswered,
    /// Neither it nor anything after it arrives, and nobody is told.
    Swallowed,
}

/// Words to wait for, and what to do when a client says them.
#[derive(Clone, Default)]
struct Trap(Arc<Mutex<Option<(&'static str, Fate)>>>);

impl Trap {
    fn set(&self, words: &'static str, fate: Fate) {
        *self.0.lock().unwrap() = Some((words, fate));
    }

    /// What becomes of these bytes; happens once.
    fn fate(&self, bytes: &[u8]) -> Option<Fate> {
        let mut set = self.0.lock().unwrap();
        let (words, fate) = (*set)?;
        let mut windows = bytes.windows(words.len());
        windows.find(|window| *window == words.as_bytes())?;
        *set = None;
        Some(fate)
    }
}

/// Passes bytes on, both ways, but for what it is told to lose.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    trap: Trap,
    open: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (trap, open) = (Trap::default(), watch::Sender::new(true));
        let (told, is_open) = (trap.clone(), open.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (told, mut is_open) = (told.clone(), is_open.clone());
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
            trap,
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

    /// Loses the answer to what a client sends next with these words in it.
    pub(crate) fn lose_the_answer_to(&self, words: &'static str) {
        self.trap.set(words, Fate::Unanswered);
    }

    /// Loses what a client sends next with these words in it, and everything after it.
    pub(crate) fn swallow(&self, words: &'static str) {
        self.trap.set(words, Fate::Swallowed);
    }

    /// Whether that has happened.
    pub(crate) fn has_happened(&self) -> bool {
        self.trap.0.lock().unwrap().is_none()
    }
}

async fn pass_to(client: TcpStream, server: SocketAddr, trap: &Trap) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = async {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let count = from_client.read(&mut bytes).await?;
            let fate = trap.fate(&bytes[..count]);
            if fate == Some(Fate::Swallowed) {
                return copy(&mut from_client, &mut sink()).await.map(drop);
            }
            to_server.write_all(&bytes[..count]).await?;
            if count == 0 || fate == Some(Fate::Unanswered) {
                return std::io::Result::Ok(());
            }
        }
    };
    let answered = copy(&mut from_server, &mut to_client);
    tokio::select! {
        ended = asked => ended?,
        ended = answered => drop(ended?),
    }
    drop((from_client, to_client));
    // The server is to read all that was passed on.
    to_server.shutdown().await?;
    copy(&mut from_server, &mut sink()).await.map(drop)
}
