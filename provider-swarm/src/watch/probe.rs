//! Whether a task can take calls: asked from outside, because an image may have no check of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faas_http::forward::Upstream;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::snapshot::Candidate;

/// Where functions listen.
const PORT: u16 = 8080;
/// What both watchdogs answer to.
const HEALTH_PATH: &str = "/_/health";
/// The annotation with another path, on which only success counts.
pub(crate) const PATH_ANNOTATION: &str = "com.openfaas.ready.http.path";
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// First and longest pause between two questions.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a replica may be silent before that is worth telling.
const SILENCE: Duration = Duration::from_secs(3);

/// What asking has come to.
#[derive(Clone, Debug)]
enum Answer {
    Asking,
    /// For long: why.
    Silent(String),
    Ready,
}

/// A task that is asked until it answers.
pub(crate) struct Probe {
    pub(crate) upstream: Arc<Upstream>,
    answer: watch::Receiver<Answer>,
    _task: AbortOnDropHandle<()>,
}

impl Probe {
    /// Starts asking; `changed` is told of every change. `None` where the address is no authority.
    pub(crate) fn start(
        candidate: &Candidate,
        path: Option<String>,
        changed: Arc<Notify>,
    ) -> Option<Self> {
        let address = SocketAddr::new(candidate.address, PORT);
        let authority = address.to_string().parse().ok()?;
        let (tell, answer) = watch::channel(Answer::Asking);
        let task = tokio::spawn(async move { ask(address, path, &tell, &changed).await });
        Some(Self {
            upstream: Upstream::new(candidate.task.clone(), authority),
            answer,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Whether it has answered.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(*self.answer.borrow(), Answer::Ready)
    }

    /// What there is to say where it has not answered for long.
    pub(crate) fn silence(&self) -> Option<String> {
        match &*self.answer.borrow() {
            Answer::Silent(reason) => Some(reason.clone()),
            _ => None,
        }
    }
}

async fn ask(
    address: SocketAddr,
    path: Option<String>,
    tell: &watch::Sender<Answer>,
    changed: &Notify,
) {
    let since = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let reason = match answers(address, path.as_deref()).await {
            Ok(()) => {
                tell.send_replace(Answer::Ready);
                changed.notify_one();
                return;
            }
            Err(reason) => reason,
        };
        if since.elapsed() > SILENCE {
            let told = matches!(*tell.borrow(), Answer::Silent(_));
            tell.send_replace(Answer::Silent(format!(
                "it runs but does not answer at {address}: {reason}"
            )));
            if !told {
                changed.notify_one();
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks once. Whatever speaks HTTP there and does not know the path counts as ready: not every image has a watchdog.
async fn answers(address: SocketAddr, path: Option<&str>) -> Result<(), String> {
    let asked = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        status(stream, address, path.unwrap_or(HEALTH_PATH))
            .await
            .map_err(|error| error.to_string())
    };
    let status = timeout(PATIENCE, asked)
        .await
        .map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))??;
    let unknown = path.is_none() && status.is_client_error();
    match status.is_success() || status.is_redirection() || unknown {
        true => Ok(()),
        false => Err(format!("{} says {status}", path.unwrap_or(HEALTH_PATH))),
    }
}

async fn status(
    stream: TcpStream,
    address: SocketAddr,
    path: &str,
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?.status())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that says this to everything.
    async fn saying(words: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(words.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_health_path_that_answers_or_is_not_known_is_ready_and_one_that_complains_is_not() {
        let ok = saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        let unknown = saying("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        let unready = saying("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        let garbage = saying("hello\r\n").await;
        assert_eq!(answers(ok, None).await, Ok(()));
        assert_eq!(answers(unknown, None).await, Ok(()));
        assert!(answers(unready, None).await.unwrap_err().contains("503"));
        assert!(answers(garbage, None).await.is_err());
        assert!(
            answers(unknown, Some("/ready"))
                .await
                .unwrap_err()
                .starts_with("/ready says 404")
        );
        let nobody = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(answers(nobody, None).await.is_err());
    }
}
