//! Services of ours: found by their exact names, and changed by reading, changing and writing the whole.

use std::time::Duration;

use faas_provider::{FunctionName, ProviderError};
use http::HeaderValue;
use serde_json::{Map, Value};

use crate::engine::{Engine, Error, Service, filter};
use crate::record;

/// How often a change is made anew when somebody else's came in between.
const ATTEMPTS: u32 = 20;
/// Longest pause before, per attempt so far.
const PAUSE: Duration = Duration::from_millis(20);

/// A service of ours as it was read, unknown fields included.
pub(crate) struct Found {
    pub(crate) service: Service,
    raw: Value,
}

/// All services of ours, or those with one more label.
pub(crate) async fn list(
    engine: &Engine,
    also: Option<(&str, &str)>,
) -> Result<Vec<Service>, Error> {
    engine
        .get("/services", &[("filters", &record::ours(also))])
        .await
}

/// The service of ours that has this very name, and runs this very function. The engine's filters match beginnings of
/// names, and its paths take ids too.
pub(crate) async fn find(
    engine: &Engine,
    service: &str,
    name: &FunctionName,
) -> Result<Option<Found>, Error> {
    let owner = format!("{}={}", record::OWNER, record::US);
    let filters = filter(&[("name", &[service]), ("label", &[&owner])]);
    let all: Vec<Value> = engine.get("/services", &[("filters", &filters)]).await?;
    for raw in all {
        let read: Service = serde_json::from_value(raw.clone())?;
        if read.spec.name == service && record::function(&read).as_ref() == Some(name) {
            return Ok(Some(Found { service: read, raw }));
        }
    }
    Ok(None)
}

/// Changes a service of ours; `change` may be called several times, each time with what is there then. Credentials of
/// before are kept where none are given.
///
/// # Errors
/// [`ProviderError::NotFound`] where there is none, and what `change` says.
pub(crate) async fn change(
    engine: &Engine,
    service: &str,
    name: &FunctionName,
    auth: Option<&HeaderValue>,
    mut change: impl FnMut(&mut Map<String, Value>, &Service) -> Result<(), ProviderError>,
) -> Result<(), ProviderError> {
    for attempt in 1..=ATTEMPTS {
        let found = find(engine, service, name).await?;
        let Some(Found {
            service: read,
            mut raw,
        }) = found
        else {
            return Err(ProviderError::NotFound(name.clone()));
        };
        let version = raw["Version"]["Index"]
            .as_u64()
            .unwrap_or_default()
            .to_string();
        let Value::Object(mut spec) = raw["Spec"].take() else {
            return Err(ProviderError::backend(format!(
                "service {service} has no specification"
            )));
        };
        change(&mut spec, &read)?;
        let path = format!("/services/{}/update", read.id);
        let mut query = vec![("version", version.as_str())];
        if auth.is_none() {
            query.push(("registryAuthFrom", "spec"));
        }
        match engine.post(&path, &query, &Value::Object(spec), auth).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_out_of_sequence() => {
                tracing::debug!(function = %name, attempt, "somebody else changed the service; reading it again");
                tokio::time::sleep(PAUSE * attempt).await;
            }
            Err(error) if error.status() == Some(404) && gone(&error, &read.id) => {
                return Err(ProviderError::NotFound(name.clone()));
            }
            Err(error) => return Err(refused(error)),
        }
    }
    Err(ProviderError::Unavailable(format!(
        "function {name} is being changed by others all the time; try again"
    )))
}

/// Whether it is the service itself that is not there; a network or a secret may be missing as well.
fn gone(error: &Error, id: &str) -> bool {
    error
        .to_string()
        .contains(&format!("service {id} not found"))
}

/// What the engine refuses of a specification is the caller's to mend, in the engine's own words.
pub(crate) fn refused(error: Error) -> ProviderError {
    match &error {
        Error::Answered {
            status: 400,
            message,
        } => {
            let says = |word: &str| message.contains(word);
            let field = match () {
                () if says("reference") || says("repository") || says("image") => "image",
                () if says("constraint") => "constraints",
                () if says("secret") => "secrets",
                () if says("network") => "network",
                () => "service",
            };
            ProviderError::invalid(field, message.clone())
        }
        // The network or a secret has gone since it was looked up.
        Error::Answered {
            status: 404,
            message,
        } => ProviderError::Unavailable(message.clone()),
        _ => error.into(),
    }
}
