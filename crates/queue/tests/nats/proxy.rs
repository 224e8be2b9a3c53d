//! A small TCP proxy that loses what the test wants lost.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::tcp::OwnedReadHalf;
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

/// Words of a client, and what the server hears instead; and the other way round. As long as each other.
type Words = [(&'static str, &'static str)];

/// Passes bytes on, both ways, but for what it is told to lose.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    trap: Trap,
    open: watch::Sender<bool>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        Self::translating(server, &[]).await
    }

    pub(crate) async fn translating(server: SocketAddr, words: &'static Words) -> Self {
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
                        passed = pass_to(client, server, &told, words) => passed,
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

async fn pass_to(
    client: TcpStream,
    server: SocketAddr,
    trap: &Trap,
    words: &Words,
) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asked = async {
        let mut pieces = Pieces::default();
        while let Some(mut bytes) = pieces.next(&mut from_client).await? {
            let fate = trap.fate(&bytes);
            if fate == Some(Fate::Swallowed) {
                return copy(&mut from_client, &mut sink()).await.map(drop);
            }
            words
                .iter()
                .for_each(|(ours, theirs)| replace(&mut bytes, ours, theirs));
            to_server.write_all(&bytes).await?;
            if fate == Some(Fate::Unanswered) {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    let answered = async {
        let mut pieces = Pieces::default();
        while let Some(mut bytes) = pieces.next(&mut from_server).await? {
            words
                .iter()
                .for_each(|(ours, theirs)| replace(&mut bytes, theirs, ours));
            if !words.is_empty() {
                replace_encoded(&mut bytes, words);
            }
            to_client.write_all(&bytes).await?;
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        ended = asked => ended?,
        ended = answered => ended?,
    }
    drop((from_client, to_client));
    // The server is to read all that was passed on.
    to_server.shutdown().await?;
    copy(&mut from_server, &mut sink()).await.map(drop)
}

/// What comes, cut at the ends of lines: words are never in two pieces.
#[derive(Default)]
struct Pieces(Vec<u8>);

impl Pieces {
    async fn next(&mut self, from: &mut OwnedReadHalf) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            let mut bytes = vec![0; 64 * 1024];
            let count = from.read(&mut bytes).await?;
            if count == 0 {
                return Ok(None);
            }
            self.0.extend_from_slice(&bytes[..count]);
            // Everything that NATS says ends with one.
            if let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') {
                let rest = self.0.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.0, rest)));
            }
        }
    }
}

fn replace(bytes: &mut [u8], old: &str, new: &str) {
    assert_eq!(old.len(), new.len());
    let mut at = 0;
    while let Some(further) = bytes[at..]
        .windows(old.len())
        .position(|window| window == old.as_bytes())
    {
        at += further;
        bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
        at += old.len();
    }
}

/// The same in the headers of messages that were asked for: they come as base64.
fn replace_encoded(bytes: &mut [u8], words: &Words) {
    const BEFORE: &[u8] = b"\"hdrs\":\"";
    let mut at = 0;
    while let Some(further) = bytes[at..]
        .windows(BEFORE.len())
        .position(|window| window == BEFORE)
    {
        at += further + BEFORE.len();
        let length = bytes[at..].iter().position(|byte| *byte == b'"');
        let end = at + length.unwrap();
        let mut decoded = STANDARD.decode(&bytes[at..end]).unwrap();
        words
            .iter()
            .for_each(|(ours, theirs)| replace(&mut decoded, theirs, ours));
        bytes[at..end].copy_from_slice(STANDARD.encode(&decoded).as_bytes());
        at = end;
    }
}
