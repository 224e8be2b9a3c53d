//! What stands between a provider and its engine, and does to it what networks and engines do.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};

use crate::swarm::engine;

/// What happens to a call of the engine.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The connection ends without a word.
    Cut,
    /// Nothing ever comes.
    Silence,
    /// An answer that the engine did not give.
    Answer(u16, &'static str),
    /// The engine's own answer, later.
    Late(Duration),
    /// The engine does what it is asked; the answer is lost.
    Lost,
}

type Rule = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

/// A socket that leads to the engine, as long as no rule says otherwise. The provider makes a connection for each call.
pub(crate) struct FaultProxy {
    directory: TempDir,
    shared: Arc<Shared>,
}

struct Shared {
    rule: Mutex<Rule>,
    asked: Mutex<Vec<String>>,
    open: AtomicUsize,
}

impl FaultProxy {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("docker.sock")).unwrap();
        let shared = Arc::new(Shared {
            rule: Mutex::new(Box::new(|_| None)),
            asked: Mutex::default(),
            open: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).serve(stream));
            }
        });
        Self { directory, shared }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// From now on each call, told by its request line, meets what the rule says.
    pub(crate) fn rule(&self, rule: impl FnMut(&str) -> Option<Fault> + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// The engine is away.
    pub(crate) fn down(&self) {
        self.rule(|_| Some(Fault::Cut));
    }

    pub(crate) fn heal(&self) {
        self.rule(|_| None);
    }

    /// The request lines since this was asked last.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, mut stream: UnixStream) {
        self.open.fetch_add(1, Ordering::SeqCst);
        let _ = self.answer(&mut stream).await;
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn answer(&self, stream: &mut UnixStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let line = String::from_utf8_lossy(&head)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        let fault = (self.rule.lock().unwrap())(&line);
        self.asked.lock().unwrap().push(line);
        match fault {
            None => self.pass_on(stream, &head).await,
            Some(Fault::Cut) => Ok(()),
            Some(Fault::Silence) => gone(stream).await,
            Some(Fault::Answer(status, words)) => {
                let body = serde_json::json!({"message": words}).to_string();
                let head = format!(
                    "HTTP/1.1 {status} Fault\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await
            }
            Some(Fault::Late(pause)) => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => self.pass_on(stream, &head).await,
                    ended = gone(stream) => ended,
                }
            }
            Some(Fault::Lost) => {
                let mut engine = connect().await?;
                engine.write_all(&head).await?;
                let (mut read, mut write) = engine.split();
                let mut first = [0; 1];
                tokio::select! {
                    _ = tokio::io::copy(stream, &mut write) => Ok(()),
                    answered = read.read(&mut first) => answered.map(drop),
                }
            }
        }
    }

    async fn pass_on(&self, stream: &mut UnixStream, head: &[u8]) -> std::io::Result<()> {
        let mut engine = connect().await?;
        engine.write_all(head).await?;
        copy_bidirectional(stream, &mut engine).await.map(drop)
    }
}

async fn connect() -> std::io::Result<UnixStream> {
    UnixStream::connect(engine().host.strip_prefix("unix://").unwrap()).await
}

/// Until the other side hangs up.
async fn gone(stream: &mut UnixStream) -> std::io::Result<()> {
    let mut rest = [0; 64 * 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
