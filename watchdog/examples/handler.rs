//! A function that is a server, for mode http: it sends bodies back as they come, or redirects.
//!
//! ```text
//! mode=http upstream_url=http://127.0.0.1:8082 fprocess='target/debug/examples/handler' fwatchdog
//! ```
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use faas_http::{Server, env, shutdown};
use http::StatusCode;
use http::header::LOCATION;

faas_http::settings! {
    /// Settings of the example.
    struct Config {
        /// Port to listen on, on loopback.
        pub handler_port: u16 = "8082",
        /// Every call is answered 302 with this as Location; bodies are echoed if unset.
        pub destination: Option<String>,
        /// Wait before it listens, as a slow starter has it.
        pub start_delay: Duration = "0s",
    }
}

async fn call(State(destination): State<Option<String>>, request: Request) -> Response {
    match destination {
        Some(place) => (StatusCode::FOUND, [(LOCATION, place)]).into_response(),
        None => {
            let method = request.method().to_string();
            let path = request.uri().to_string();
            let seen = [("X-Seen-Method", method), ("X-Seen-Path", path)];
            let body: Body = request.into_body();
            (seen, body).into_response()
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config: Config = env::read_process()?;
    tokio::time::sleep(config.start_delay).await;
    let app = Router::new().fallback(call).with_state(config.destination);
    let address = (Ipv4Addr::LOCALHOST, config.handler_port).into();
    let server = Server::bind(address, app).await?;
    Ok(server.run(shutdown::signal()).await?)
}
