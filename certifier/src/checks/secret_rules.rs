//! Secrets that are refused, and what a function makes of one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::http::Request;
use crate::rule::{Group, Level};
use crate::target::Target;

const FROM: Family = Family::new(
    Group::Secrets,
    Level::Standard,
    "provider SDK: /system/secrets; RFC 9110 for what the status means",
);

/// More than the secrets of Docker (500 KB) and of Kubernetes (1 MiB) may have.
const TOO_LONG: usize = 1_200_000;

pub(super) fn checks() -> Vec<Check> {
    let plain = known_or_not()
        .into_iter()
        .chain(refused())
        .chain(contents());
    let plain = plain.map(|check| check.needs(&[Capability::Secrets]));
    let files = files().into_iter();
    let files = files.map(|check| check.needs(&[Capability::Secrets, Capability::Probe]));
    plain.chain(files).chain(namespaces()).collect()
}

fn known_or_not() -> Vec<Check> {
    vec![
        FROM.check(
            "secrets.duplicate",
            "The creation of a secret that exists answers 409 and a line of text, and leaves it as it was.",
            refuses_a_second,
        )
        .case("F1"),
        FROM.check(
            "secrets.update-unknown",
            "The update of a secret that does not exist answers 404 and a line of text.",
            |target| knows_none(target, Method::PUT, "secret-put-nobody"),
        )
        .case("F2"),
        FROM.check(
            "secrets.delete-unknown",
            "The deletion of a secret that does not exist answers 404 and a line of text.",
            |target| knows_none(target, Method::DELETE, "secret-delete-nobody"),
        )
        .case("F3"),
        FROM.check(
            "secrets.delete-mounted",
            "The deletion of a secret that a function uses answers 409 and a line of text.",
            keeps_what_is_used,
        )
        .case("F11"),
        FROM.check(
            "secrets.create-race",
            "Of ten creations of one secret at a time, exactly one succeeds; the others answer 409.",
            creates_one,
        )
        .case("F17"),
    ]
}

fn refused() -> Vec<Check> {
    let name = |id, says, name: &'static str| {
        FROM.check(id, says, move |target| refuses_the_name(target, name))
            .case("F4")
    };
    vec![
        FROM.check(
            "secrets.no-name",
            "The creation of a secret with an empty name answers 400 and a line of text.",
            refuses_no_name,
        )
        .case("F4"),
        name(
            "secrets.name-dots",
            "The creation of a secret with .. in its name answers 400 and a line of text.",
            "a..b",
        ),
        name(
            "secrets.name-slash",
            "The creation of a secret with / in its name answers 400 and a line of text.",
            "a/b",
        ),
        name(
            "secrets.name-case",
            "The creation of a secret with a capital in its name answers 400 and a line of text.",
            "Upper",
        ),
        FROM.check(
            "secrets.name-long",
            "The creation of a secret with a name of 300 characters answers 400 and a line of text.",
            |target| async move { refuses_the_name(target, &"x".repeat(300)).await },
        )
        .case("F4"),
        FROM.check(
            "secrets.delete-traversal",
            "The deletion of a secret named ../NAME answers 400 and a line of text.",
            refuses_to_climb,
        )
        .case("F5"),
        FROM.check(
            "secrets.namespace-traversal",
            "The creation of a secret in the namespace ../NAME answers 400 and a line of text.",
            refuses_to_climb_out,
        )
        .level(Level::Full)
        .case("F5"),
        FROM.check(
            "secrets.too-long",
            "The creation of a secret of 1.2 MB answers 413 or 400.",
            refuses_the_long,
        )
        .case("F10"),
        FROM.check(
            "secrets.bad-json",
            "The creation of a secret with a body that is not JSON answers 400 and a line of text.",
            refuses_bad_json,
        )
        .case("F16"),
    ]
}

fn contents() -> Vec<Check> {
    vec![
        FROM.check(
            "secrets.raw-wins",
            "Of `value` and `rawValue` in one request, `rawValue` is the content.",
            prefers_the_raw,
        )
        .case("F9"),
        FROM.check(
            "secrets.newline-kept",
            "A text with blanks around it and a newline at its end is read exactly.",
            keeps_blanks,
        )
        .case("F8"),
    ]
}

fn files() -> Vec<Check> {
    vec![
        FROM.check(
            "secrets.readable",
            "A secret's file may be read by whatever user the function runs as.",
            is_readable,
        )
        .case("F14"),
        FROM.check(
            "secrets.not-writable",
            "A function cannot write to its secret's file.",
            is_not_writable,
        )
        .case("F14"),
    ]
}

fn namespaces() -> Vec<Check> {
    vec![
        FROM.check(
            "secrets.same-name",
            "Secrets of one name in two namespaces are two.",
            keeps_namespaces_apart,
        )
        .level(Level::Full)
        .case("F15")
        .needs(&[Capability::Secrets, Capability::Namespaces]),
    ]
}

fn text(content: &str) -> Value {
    json!({"value": content})
}

/// Deploys a function that prints a secret, and reads it.
async fn read(target: &Target, secret: &str) -> Outcome<Vec<u8>> {
    let name = target.name(secret);
    let process = format!("cat /var/openfaas/secrets/{name}");
    let reader = format!("{secret}-reader");
    target
        .have(&reader, &process, json!({"secrets": [name]}))
        .await?;
    let call = target.call(Method::POST, &reader, "");
    Ok(target.call_until(&call, 200).await?.body)
}

fn same(got: &[u8], wanted: &str) -> Outcome {
    match got == wanted.as_bytes() {
        true => Ok(()),
        false => Err(Failure::new(
            format!("the function to read {wanted:?}"),
            format!("{:?}", String::from_utf8_lossy(got)),
        )),
    }
}

async fn have(target: &Target, short: &str, content: &str) -> Outcome {
    target
        .create_secret(short, text(content))
        .await?
        .with_success()?;
    Ok(())
}

async fn refuses_a_second(target: Target) -> Outcome {
    have(&target, "secret-twice", "first").await?;
    let second = target.create_secret("secret-twice", text("second")).await?;
    second.refused(&[409])?;
    same(&read(&target, "secret-twice").await?, "first")
}

async fn knows_none(target: Target, method: Method, short: &str) -> Outcome {
    let content = match method {
        Method::PUT => text("content"),
        _ => json!({}),
    };
    target.secret(method, short, content).await?.refused(&[404])
}

async fn keeps_what_is_used(target: Target) -> Outcome {
    have(&target, "secret-used", "used").await?;
    let secrets = json!({"secrets": [target.name("secret-used")]});
    target.have("secret-user", "cat", secrets).await?;
    let deletion = target.secret(Method::DELETE, "secret-used", json!({}));
    deletion.await?.refused(&[409])
}

async fn creates_one(target: Target) -> Outcome {
    let creations = (0..10).map(|_| target.create_secret("secret-race", text("content")));
    let mut created = 0;
    for answer in join_all(creations).await {
        let answer = answer?;
        let refused = answer.status == 409;
        created += u32::from(!refused);
        if !refused {
            answer.with_success()?;
        }
    }
    match created {
        1 => Ok(()),
        _ => Err(Failure::new(
            "one creation to succeed",
            format!("{created} did"),
        )),
    }
}

async fn refuses_the_name(target: Target, short: &str) -> Outcome {
    target
        .create_secret(short, text("content"))
        .await?
        .refused(&[400])
}

async fn refuses_no_name(target: Target) -> Outcome {
    let nameless = json!({"name": "", "value": "content"});
    target
        .create_secret("nameless", nameless)
        .await?
        .refused(&[400])
}

async fn refuses_to_climb(target: Target) -> Outcome {
    let name = json!({"name": format!("../{}", target.name("climber"))});
    let deletion = target.secret(Method::DELETE, "climber", name);
    deletion.await?.refused(&[400])
}

async fn refuses_to_climb_out(target: Target) -> Outcome {
    let content = json!({"namespace": "../elsewhere", "value": "content"});
    target
        .create_secret("climber-out", content)
        .await?
        .refused(&[400])
}

async fn refuses_the_long(target: Target) -> Outcome {
    let long = text(&"x".repeat(TOO_LONG));
    let answer = target.create_secret("secret-long", long).await?;
    answer.with_status(&[400, 413])?;
    Ok(())
}

async fn refuses_bad_json(target: Target) -> Outcome {
    let request = Request::system(Method::POST, "/system/secrets").body("{");
    target.send(request).await?.refused(&[400])
}

async fn prefers_the_raw(target: Target) -> Outcome {
    let both = json!({"value": "the text", "rawValue": BASE64_STANDARD.encode("the bytes")});
    target
        .create_secret("secret-both", both)
        .await?
        .with_success()?;
    same(&read(&target, "secret-both").await?, "the bytes")
}

async fn keeps_blanks(target: Target) -> Outcome {
    have(&target, "secret-blanks", "  a line \n").await?;
    same(&read(&target, "secret-blanks").await?, "  a line \n")
}

/// Deploys a probe with a secret; the path of its file.
async fn have_probe(target: &Target, short: &str) -> Outcome<String> {
    let Some(probe) = target.options().probe.clone() else {
        return Err(Failure::new("a probe", "none was given"));
    };
    have(target, short, "content").await?;
    let name = target.name(short);
    let secrets = json!({"secrets": [name]});
    let holder = format!("{short}-probe");
    target.have_function_with(&holder, &probe, secrets).await?;
    let call = target.wish(Method::GET, &holder, "", &[]);
    target.call_until(&call, 200).await?;
    Ok(format!("/var/openfaas/secrets/{name}"))
}

async fn is_readable(target: Target) -> Outcome {
    let path = have_probe(&target, "secret-mode").await?;
    let wish = [("stat", path.as_str())];
    let call = target.wish(Method::GET, "secret-mode-probe", "", &wish);
    let answer = target.send(call).await?.with_status(&[200])?;
    let stat = answer.json()?;
    let mode = stat["mode"].as_str().unwrap_or_default();
    let digit = |place: usize| mode.as_bytes().get(place).map_or(0, |digit| digit & 4);
    let by_all = digit(3) == 4;
    let by_owner = digit(1) == 4 && stat["uid"] == stat["me"];
    match by_all || by_owner {
        true => Ok(()),
        false => Err(answer.fault("a mode that lets the function read", mode)),
    }
}

async fn is_not_writable(target: Target) -> Outcome {
    let path = have_probe(&target, "secret-write").await?;
    let wish = [("write", path.as_str())];
    let call = target.wish(Method::POST, "secret-write-probe", "", &wish);
    target.send(call.body("other")).await?.with_status(&[500])?;
    let wish = [("read", path.as_str())];
    let call = target.wish(Method::GET, "secret-write-probe", "", &wish);
    same(&target.send(call).await?.body, "content")
}

async fn keeps_namespaces_apart(target: Target) -> Outcome {
    let Some(second) = target.options().namespaces.first().cloned() else {
        return Err(Failure::new("a second namespace", "none was given"));
    };
    let there = target.in_namespace(&second);
    have(&target, "secret-same", "here").await?;
    have(&there, "secret-same", "there").await?;
    same(&read(&target, "secret-same").await?, "here")?;
    same(&read(&there, "secret-same").await?, "there")
}
