//! Which capabilities a platform claims, as far as it can be asked.
//!
//! Only a route that is not there is evidence. Behaviour is not: a platform that is scaled to zero and stays at one
//! lies, and that is for a check to say.

use hyper::Method;

use crate::capability::{Capability, Claims};
use crate::http::{Answer, Request};
use crate::options::Credentials;
use crate::platform::Platform;

/// Asks, then lets `--with` and `--without` have the last word.
pub(crate) async fn claims(platform: &Platform) -> Claims {
    let mut claims = Claims::default();
    for (capability, path, absent) in questions(platform) {
        if let Some(reason) = missing(platform, &path, absent).await {
            claims.state(capability, false, &reason);
        }
    }
    if let Some(reason) = no_queue(platform).await {
        claims.state(Capability::Async, false, &reason);
    }
    settings(platform, &mut claims);
    for &capability in &platform.options.with {
        claims.state(capability, true, "--with");
    }
    for &capability in &platform.options.without {
        claims.state(capability, false, "--without");
    }
    claims
}

/// A capability, a path that answers where it is there, and the statuses by which it is not.
fn questions(platform: &Platform) -> [(Capability, String, &'static [u16]); 3] {
    let namespace = &platform.options.default_namespace;
    [
        (
            Capability::NamespaceCrud,
            format!("/system/namespace/{namespace}"),
            &[404, 405, 501],
        ),
        (
            Capability::Secrets,
            format!("/system/secrets?namespace={namespace}"),
            &[404, 405, 501],
        ),
        // 404 may be about the function here.
        (
            Capability::Logs,
            format!(
                "/system/logs?follow=false&name={}&namespace={namespace}",
                platform.prefix()
            ),
            &[405, 501],
        ),
    ]
}

async fn missing(platform: &Platform, path: &str, absent: &[u16]) -> Option<String> {
    let request = Request::system(Method::GET, path);
    let limit = platform.first_answer();
    let answer = platform.client.send_within(&request, limit).await.ok()?;
    let path = path.split('?').next().unwrap_or(path);
    let reason = format!("GET {path} answers {}", answer.status);
    absent.contains(&answer.status).then_some(reason)
}

/// Only a call tells: routes of functions take any other method, too. The function does not exist.
async fn no_queue(platform: &Platform) -> Option<String> {
    let path = format!("/async-function/{}-nobody", platform.prefix());
    let request = Request::call(Method::POST, path);
    let limit = platform.first_answer();
    let answer = platform.client.send_within(&request, limit).await.ok()?;
    let absent = match answer.status {
        405 | 501 => true,
        404 => is_no_route(platform, &answer).await,
        _ => false,
    };
    absent.then(|| format!("POST /async-function/NAME answers {}", answer.status))
}

/// Whether a 404 is about the route and not about the function: a route that surely does not exist gets the same words.
async fn is_no_route(platform: &Platform, answer: &Answer) -> bool {
    let path = format!("/{0}-nowhere/{0}-nobody", platform.prefix());
    let request = Request::call(Method::POST, path);
    let limit = platform.first_answer();
    let nowhere = platform.client.send_within(&request, limit).await;
    let same = |nowhere: Answer| nowhere.status == 404 && nowhere.body == answer.body;
    !answer.body.is_empty() && nowhere.is_ok_and(same)
}

/// What depends on how the suite was called.
fn settings(platform: &Platform, claims: &mut Claims) {
    let options = &platform.options;
    if options.namespaces.is_empty() {
        let reason = "no second namespace given, so nothing was repeated in one; see --namespace";
        claims.state(Capability::Namespaces, false, reason);
    }
    if matches!(options.credentials, Credentials::None) {
        let reason =
            "no credentials given, so nobody can be told from a stranger; see --basic-auth-file";
        claims.state(Capability::Auth, false, reason);
    }
    if options.callback_address.is_none() {
        let reason =
            "needs an address at which the platform reaches this program; see --callback-address";
        claims.state(Capability::Callbacks, false, reason);
    }
    if options.metrics_url.is_none() {
        let reason = "nobody said where they are; see --metrics-url";
        claims.state(Capability::Metrics, false, reason);
    }
    if options.redirector.is_none() {
        let reason = "needs an http-mode function that redirects; see --redirector-image";
        claims.state(Capability::Redirector, false, reason);
    }
    if options.probe.is_none() {
        let reason = "needs the probe function; see --probe-image";
        claims.state(Capability::Probe, false, reason);
    }
}
