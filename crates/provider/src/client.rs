//! A typed client of the provider API, which is also the gateway's `/system` API.

use std::time::Duration;

use faas_http::auth::Pair;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncBufReadExt;
use tokio_stream::wrappers::LinesStream;
use tokio_util::io::StreamReader;
use url::Url;

use crate::endpoints::wire::EndpointsRecord;
use crate::{
    DeleteFunctionRequest, EndpointTable, FunctionDeployment, FunctionName, FunctionStatus,
    ProviderInfo, ScaleServiceRequest,
};

/// How long a control request may take; streams have no limit but their silence.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may be silent; the stream of endpoints has a heartbeat.
const SILENCE: Duration = Duration::from_secs(15);

/// Seconds within which a function may not have been called, or a scale request is refused with 412 (ours).
pub const IF_IDLE_SECONDS: HeaderName = HeaderName::from_static("x-if-idle-seconds");

/// Why a request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing (404).
    #[error("not found")]
    NotFound,
    /// Another status than expected, with the words that came.
    #[error("{status}: {words}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The body's first line.
        words: String,
    },
    /// No answer at all, or one that is not what it should be.
    #[error("{0}")]
    Transport(String),
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Transport(cause.to_string())
    }
}

/// A client of one provider or gateway.
#[derive(Clone, Debug)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Client {
    /// A client of the API below `base`, with credentials where it wants some. No proxies, no redirects.
    ///
    /// # Errors
    /// When no client can be made at all.
    pub fn new(mut base: Url, credentials: Option<&Pair>) -> Result<Self, Error> {
        // Without the slash at its end a base loses its last segment when a path is joined.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let headers = credentials.map(|pair| (AUTHORIZATION, pair.header()));
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(SILENCE)
            .default_headers(HeaderMap::from_iter(headers))
            .build()?;
        Ok(Self { base, http })
    }

    /// Every function of a namespace.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self, namespace: &str) -> Result<Vec<FunctionStatus>, Error> {
        // Compat: a provider without functions may say `null`.
        let functions: Option<_> = self
            .get("system/functions", &[("namespace", namespace)])
            .await?;
        Ok(functions.unwrap_or_default())
    }

    /// One function.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status(&self, name: &FunctionName) -> Result<FunctionStatus, Error> {
        self.status_with(name, "false").await
    }

    /// The same, with what its replicas use where the provider knows. That takes it a moment.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status_with_usage(&self, name: &FunctionName) -> Result<FunctionStatus, Error> {
        self.status_with(name, "1").await
    }

    async fn status_with(&self, name: &FunctionName, usage: &str) -> Result<FunctionStatus, Error> {
        let path = format!("system/function/{}", name.name());
        let asked = [("namespace", name.namespace()), ("usage", usage)];
        self.get(&path, &asked).await
    }

    /// Deploys a new function.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn deploy(&self, deployment: &FunctionDeployment) -> Result<(), Error> {
        self.send(Method::POST, "system/functions", deployment)
            .await
    }

    /// Replaces a function.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn update(&self, deployment: &FunctionDeployment) -> Result<(), Error> {
        self.send(Method::PUT, "system/functions", deployment).await
    }

    /// Deletes a function.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete(&self, name: &FunctionName) -> Result<(), Error> {
        let body = DeleteFunctionRequest {
            function_name: name.name().into(),
            namespace: name.namespace().into(),
        };
        self.send(Method::DELETE, "system/functions", &body).await
    }

    /// Asks for a number of replicas.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn scale(&self, name: &FunctionName, replicas: u64) -> Result<(), Error> {
        self.ask_for(name, replicas, HeaderMap::new()).await
    }

    /// The same, unless the function was called within `idle`: a gateway of this project refuses that with 412. Others do as
    /// asked.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn scale_if_idle(
        &self,
        name: &FunctionName,
        replicas: u64,
        idle: Duration,
    ) -> Result<(), Error> {
        let condition = (IF_IDLE_SECONDS, HeaderValue::from(idle.as_secs()));
        self.ask_for(name, replicas, HeaderMap::from_iter([condition]))
            .await
    }

    async fn ask_for(
        &self,
        name: &FunctionName,
        replicas: u64,
        headers: HeaderMap,
    ) -> Result<(), Error> {
        let body = ScaleServiceRequest {
            service_name: name.name().into(),
            replicas,
            namespace: name.namespace().into(),
        };
        // Compat: some providers read the namespace from the query only, some from the body only.
        let path = format!(
            "system/scale-function/{}?namespace={}",
            name.name(),
            name.namespace()
        );
        self.send_with(Method::POST, &path, headers, &body).await
    }

    /// The names of all namespaces.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn namespaces(&self) -> Result<Vec<String>, Error> {
        let names: Option<_> = self.get("system/namespaces", &[]).await?;
        Ok(names.unwrap_or_default())
    }

    /// Who the provider is.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn info(&self) -> Result<ProviderInfo, Error> {
        self.get("system/info", &[]).await
    }

    /// The provider's table of endpoints, a new one after each change. Ends when the provider stops; where the stream
    /// broke, an error comes first.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the provider has no such route: it is not one of ours.
    pub async fn endpoints(
        &self,
    ) -> Result<impl Stream<Item = Result<EndpointTable, Error>> + use<>, Error> {
        let request = self.http.get(self.url("system/endpoints")?);
        let response = expect_success(request.send().await?).await?;
        let bytes = response.bytes_stream().map_err(std::io::Error::other);
        let lines = LinesStream::new(StreamReader::new(bytes).lines());
        let mut table = EndpointTable::default();
        Ok(lines.filter_map(move |line| std::future::ready(advance(&mut table, line))))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let response = self
            .http
            .get(self.url(path)?)
            .query(query)
            .timeout(TIMEOUT)
            .send()
            .await?;
        Ok(expect_success(response).await?.json().await?)
    }

    async fn send(&self, method: Method, path: &str, body: &impl Serialize) -> Result<(), Error> {
        self.send_with(method, path, HeaderMap::new(), body).await
    }

    async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: &impl Serialize,
    ) -> Result<(), Error> {
        let response = self
            .http
            .request(method, self.url(path)?)
            .headers(headers)
            .json(body)
            .timeout(TIMEOUT)
            .send()
            .await?;
        expect_success(response).await.map(drop)
    }

    fn url(&self, path: &str) -> Result<Url, Error> {
        self.base
            .join(path)
            .map_err(|error| Error::Transport(error.to_string()))
    }
}

fn advance(
    table: &mut EndpointTable,
    line: std::io::Result<String>,
) -> Option<Result<EndpointTable, Error>> {
    let line = match line {
        Ok(line) if line.is_empty() => return None,
        Ok(line) => line,
        Err(error) => return Some(Err(Error::Transport(error.to_string()))),
    };
    match serde_json::from_str::<EndpointsRecord>(&line) {
        Ok(record) => record.apply(table),
        Err(error) => {
            return Some(Err(Error::Transport(format!(
                "a line of the endpoints cannot be read: {error}"
            ))));
        }
    }
    // Before it is complete, a table would only say too little.
    table.complete.then(|| Ok(table.clone()))
}

async fn expect_success(response: reqwest::Response) -> Result<reqwest::Response, Error> {
    match response.status() {
        status if status.is_success() => Ok(response),
        StatusCode::NOT_FOUND => Err(Error::NotFound),
        status => {
            let words = response.text().await.unwrap_or_default();
            Err(Error::Refused {
                status,
                words: words.lines().next().unwrap_or_default().to_owned(),
            })
        }
    }
}
