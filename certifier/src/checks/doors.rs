//! Who is let in, and what is answered at doors that are not there.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::{Answer, Request};
use crate::options::Credentials;
use crate::rule::{Group, Level};
use crate::target::Target;

const AUTH: Family = Family::new(
    Group::Auth,
    Level::Standard,
    "gateway and provider SDK: HTTP Basic on everything under /system",
);

const ROUTES: Family = Family::new(
    Group::Errors,
    Level::Standard,
    "RFC 9110, sections 15.5.5 and 15.5.6",
);

const HEALTH: Family = Family::new(
    Group::Health,
    Level::Standard,
    "provider SDK since May 2026",
);

/// The id, what is claimed, method and path; there need not be a function NAME to be turned away.
type Route = (&'static str, &'static str, Method, &'static str);

pub(super) fn checks() -> Vec<Check> {
    let closed = closed().into_iter().chain(credentials());
    let closed = closed.map(|check| check.needs(&[Capability::Auth]));
    closed.chain(open()).chain(routes()).collect()
}

fn closed() -> Vec<Check> {
    let routes: [Route; 7] = [
        (
            "auth.functions",
            "GET /system/functions without credentials answers 401 with WWW-Authenticate.",
            Method::GET,
            "/system/functions",
        ),
        (
            "auth.status",
            "GET /system/function/NAME without credentials answers 401 with WWW-Authenticate.",
            Method::GET,
            "/system/function/NAME",
        ),
        (
            "auth.scale",
            "POST /system/scale-function/NAME without credentials answers 401 with WWW-Authenticate.",
            Method::POST,
            "/system/scale-function/NAME",
        ),
        (
            "auth.secrets",
            "GET /system/secrets without credentials answers 401 with WWW-Authenticate.",
            Method::GET,
            "/system/secrets",
        ),
        (
            "auth.namespaces",
            "GET /system/namespaces without credentials answers 401 with WWW-Authenticate.",
            Method::GET,
            "/system/namespaces",
        ),
        (
            "auth.logs",
            "GET /system/logs without credentials answers 401 with WWW-Authenticate.",
            Method::GET,
            "/system/logs?name=NAME",
        ),
        (
            "auth.info",
            "GET /system/info without credentials answers 401 with WWW-Authenticate.",
            Method::GET,
            "/system/info",
        ),
    ];
    let mut checks: Vec<_> = routes.into_iter().map(route).collect();
    let alert = (
        "auth.alert",
        "Through a gateway, POST /system/alert without credentials answers 401 with WWW-Authenticate.",
        Method::POST,
        "/system/alert",
    );
    checks.push(route(alert).only_through_gateway());
    checks
}

fn route((id, says, method, path): Route) -> Check {
    AUTH.check(id, says, move |target| {
        let request = Request::system(method.clone(), path).without_credentials();
        is_closed(target, request)
    })
    .case("I1")
}

fn credentials() -> Vec<Check> {
    vec![
        AUTH.check(
            "auth.wrong-password",
            "The right user with a wrong password is answered 401.",
            |target| async move {
                let user = match &target.options().credentials {
                    Credentials::Basic { user, .. } => user.clone(),
                    _ => "admin".to_owned(),
                };
                let pair = BASE64_STANDARD.encode(format!("{user}:not the password"));
                is_stranger(target, &format!("Basic {pair}")).await
            },
        )
        .case("I1"),
        AUTH.check(
            "auth.wrong-token",
            "A bearer token that was made up is answered 401.",
            |target| async move { is_stranger(target, "Bearer made-up").await },
        )
        .case("I2"),
        AUTH.check(
            "auth.malformed",
            "Credentials that are neither are answered 401.",
            |target| async move {
                for malformed in ["Basic", "Basic !!!", "Basic YWRtaW4=", "certified"] {
                    is_stranger(target.clone(), malformed).await?;
                }
                Ok(())
            },
        )
        .case("I1"),
    ]
}

fn open() -> Vec<Check> {
    vec![
        AUTH.check(
            "auth.health-open",
            "GET /healthz needs no credentials.",
            |target| async move {
                let request = Request::system(Method::GET, "/healthz").without_credentials();
                target.send(request).await?.with_status(&[200])?;
                Ok(())
            },
        )
        .case("I3")
        .needs(&[Capability::Auth]),
        HEALTH
            .check(
                "health.head",
                "HEAD /healthz answers 200 without a body.",
                |target| async move {
                    let answer = target
                        .send(Request::system(Method::HEAD, "/healthz"))
                        .await?;
                    answer.with_status(&[200])?;
                    Ok(())
                },
            )
            .case("I5"),
        HEALTH
            .check(
                "health.post",
                "POST /healthz answers 405, with the methods there are in Allow.",
                |target| async move { allows(&target, Method::POST, "/healthz", "GET").await },
            )
            .case("I5"),
    ]
}

fn routes() -> Vec<Check> {
    vec![
        ROUTES
            .check(
                "routes.unknown",
                "A path under /system that is none answers 404.",
                |target| async move { is_not_there(target, "/system/nothing-of-the-kind").await },
            )
            .case("I6"),
        ROUTES
            .check(
                "routes.wrong-method",
                "PATCH /system/functions and DELETE /system/info answer 405, with the methods there are in Allow.",
                |target| async move {
                    allows(&target, Method::PATCH, "/system/functions", "POST").await?;
                    allows(&target, Method::DELETE, "/system/info", "GET").await
                },
            )
            .case("I6"),
        ROUTES
            .check(
                "routes.slash",
                "A system route with a slash at its end is none: 404.",
                |target| async move { is_not_there(target, "/system/functions/").await },
            )
            .source("provider SDK: routes are exact")
            .level(Level::Full)
            .case("I6"),
    ]
}

async fn is_closed(target: Target, request: Request) -> Outcome {
    challenged(target.send(request).await?)
}

fn challenged(answer: Answer) -> Outcome {
    let answer = answer.with_status(&[401])?;
    match answer.header("www-authenticate") {
        "" => Err(answer.fault("WWW-Authenticate, naming the scheme", "no such header")),
        _ => Ok(()),
    }
}

async fn is_stranger(target: Target, authorization: &str) -> Outcome {
    let request = Request::system(Method::GET, "/system/functions").without_credentials();
    let request = request.header("Authorization", authorization);
    target.send(request).await?.with_status(&[401])?;
    Ok(())
}

async fn is_not_there(target: Target, path: &str) -> Outcome {
    target.get(path).await?.with_status(&[404])?;
    Ok(())
}

async fn allows(target: &Target, method: Method, path: &str, wanted: &str) -> Outcome {
    let answer = target.send(Request::system(method, path)).await?;
    let answer = answer.with_status(&[405])?;
    let mut allowed = answer.header("allow").split(',').map(str::trim);
    match allowed.any(|method| method == wanted) {
        true => Ok(()),
        false => {
            let got = format!("Allow: {}", answer.header("allow"));
            Err(answer.fault(format!("Allow with {wanted}"), got))
        }
    }
}
