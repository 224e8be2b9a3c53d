//! Secrets: made, read by a function, listed without their content, changed, removed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const FROM: Family = Family::new(Group::Secrets, Level::Core, "original suite, SecretCRUD");

const DISCLOSURE: Family = Family::new(
    Group::Secrets,
    Level::Standard,
    "provider SDK, Secret: a list carries names only",
);

/// The two ways to send a secret's content.
#[derive(Clone, Copy)]
enum Kind {
    /// Text, in `value`.
    Text,
    /// Bytes in base64, in `rawValue`.
    Bytes,
}

pub(super) fn checks() -> Vec<Check> {
    let subjects = [creating(), listing(), changing(), deleting()];
    let checks = subjects.into_iter().flatten();
    checks.map(Check::everywhere).collect()
}

fn creating() -> Vec<Check> {
    vec![
        FROM.check(
            "secrets.create-text",
            "POST /system/secrets with `value` answers 200, 201 or 202.",
            |target| is_created(target, Kind::Text),
        )
        .case("5.9")
        .needs(&[Capability::Secrets]),
        FROM.check(
            "secrets.create-bytes",
            "POST /system/secrets with `rawValue` answers 200, 201 or 202.",
            |target| is_created(target, Kind::Bytes),
        )
        .case("5.9")
        .needs(&[Capability::Secrets]),
        FROM.check(
            "secrets.read-text",
            "A function reads a secret exactly, from /var/openfaas/secrets/NAME.",
            |target| is_read(target, Kind::Text),
        )
        .case("5.9")
        .needs(&[Capability::Secrets]),
        FROM.check(
            "secrets.read-bytes",
            "A function reads a secret of arbitrary bytes exactly: NUL, 0xFF, a newline at \
             the end.",
            |target| is_read(target, Kind::Bytes),
        )
        .case("5.9")
        .needs(&[Capability::Secrets]),
    ]
}

fn listing() -> Vec<Check> {
    vec![
        FROM.check(
            "secrets.listed",
            "A secret is in the list right after it was created.",
            is_listed,
        )
        .case("5.9")
        .needs(&[Capability::Secrets]),
        DISCLOSURE
            .check(
                "secrets.never-disclosed",
                "The list of secrets holds no content: neither the keys `value` and `rawValue` nor \
             the text itself.",
                is_not_disclosed,
            )
            .case("F6")
            .needs(&[Capability::Secrets]),
    ]
}

fn changing() -> Vec<Check> {
    vec![
        FROM.check(
            "secrets.update-accepted",
            "PUT /system/secrets for an existing secret answers 200 or 202.",
            can_be_updated,
        )
        .case("5.9")
        .needs(&[Capability::Secrets, Capability::SecretUpdate]),
        FROM.check(
            "secrets.update-text",
            "After the update of a secret and of its function, the function reads the new \
             text.",
            |target| is_read_anew(target, Kind::Text),
        )
        .case("5.9")
        .needs(&[Capability::Secrets, Capability::SecretUpdate]),
        FROM.check(
            "secrets.update-bytes",
            "After the update of a secret and of its function, the function reads the new \
             bytes.",
            |target| is_read_anew(target, Kind::Bytes),
        )
        .case("5.9")
        .needs(&[Capability::Secrets, Capability::SecretUpdate]),
    ]
}

fn deleting() -> Vec<Check> {
    vec![
        FROM.check(
            "secrets.delete-accepted",
            "DELETE /system/secrets right after that of the only function that uses it \
             answers 200 or 202.",
            can_be_deleted,
        )
        .case("5.9")
        .needs(&[Capability::Secrets]),
        FROM.check(
            "secrets.gone",
            "A deleted secret is not in the list.",
            leaves_nothing,
        )
        .case("5.9")
        .needs(&[Capability::Secrets]),
    ]
}

async fn is_created(target: Target, kind: Kind) -> Outcome {
    let short = kind.named("create");
    let answer = target.create_secret(&short, kind.content("first")).await?;
    answer.with_status(&[200, 201, 202])?;
    Ok(())
}

async fn is_read(target: Target, kind: Kind) -> Outcome {
    let short = kind.named("read");
    have_reader(&target, &short, kind).await?;
    let call = target.call(Method::POST, &short, "");
    let answer = target.call_until(&call, 200).await?;
    reads(&answer, kind, "first")
}

async fn is_listed(target: Target) -> Outcome {
    have_secret(&target, "secret-listed", Kind::Text).await?;
    have_listed(&target, "secret-listed").await?;
    Ok(())
}

async fn is_not_disclosed(target: Target) -> Outcome {
    have_secret(&target, "secret-hidden", Kind::Text).await?;
    let answer = have_listed(&target, "secret-hidden").await?;
    let content = Kind::Text.bytes("first");
    let body = answer.text();
    let shown = [
        String::from_utf8_lossy(&content).into_owned(),
        BASE64_STANDARD.encode(&content),
    ];
    let keyed = |secret: &Value| {
        ["value", "rawValue"]
            .iter()
            .any(|key| !secret[key].as_str().unwrap_or("").is_empty())
    };
    match answer.array()?.iter().any(keyed) || shown.iter().any(|text| body.contains(text)) {
        false => Ok(()),
        true => Err(answer.fault("names without contents", "the content of a secret")),
    }
}

async fn can_be_updated(target: Target) -> Outcome {
    have_secret(&target, "secret-updated", Kind::Text).await?;
    let content = Kind::Text.content("second");
    let answer = target
        .secret(Method::PUT, "secret-updated", content)
        .await?;
    answer.with_status(&[200, 202])?;
    Ok(())
}

/// Replicas with the old content may still answer for a moment while they are replaced.
async fn is_read_anew(target: Target, kind: Kind) -> Outcome {
    let short = kind.named("anew");
    let name = target.name(&short);
    have_reader(&target, &short, kind).await?;
    let call = target.call(Method::POST, &short, "");
    reads(&target.call_until(&call, 200).await?, kind, "first")?;

    let content = kind.content("second");
    target
        .secret(Method::PUT, &short, content)
        .await?
        .with_success()?;
    let more = json!({"secrets": [name], "labels": null, "annotations": {"secret-hash": "2"}});
    target
        .update(&short, &reader(&name), more)
        .await?
        .with_success()?;
    eventually(target.limit(), async || {
        let answer = target.send(call.clone()).await?.with_status(&[200])?;
        reads(&answer, kind, "second")
    })
    .await
}

async fn can_be_deleted(target: Target) -> Outcome {
    let short = "secret-deleted";
    have_reader(&target, short, Kind::Text).await?;
    target.delete(short).await?.with_success()?;
    let answer = target.secret(Method::DELETE, short, json!({})).await?;
    answer.with_status(&[200, 202])?;
    Ok(())
}

async fn leaves_nothing(target: Target) -> Outcome {
    let short = "secret-gone";
    have_secret(&target, short, Kind::Text).await?;
    have_listed(&target, short).await?;
    target
        .secret(Method::DELETE, short, json!({}))
        .await?
        .with_success()?;
    match listed(&target, short).await? {
        (_, false) => Ok(()),
        (answer, true) => Err(answer.fault(
            format!("{} not in the list", target.name(short)),
            "it is there",
        )),
    }
}

/// The list of secrets, which must hold this one.
async fn have_listed(target: &Target, short: &str) -> Outcome<Answer> {
    match listed(target, short).await? {
        (answer, true) => Ok(answer),
        (answer, false) => Err(answer.fault(
            format!("{} in the list", target.name(short)),
            "it is not there",
        )),
    }
}

async fn have_secret(target: &Target, short: &str, kind: Kind) -> Outcome {
    let answer = target.create_secret(short, kind.content("first")).await;
    let answer = answer.and_then(Answer::with_success);
    answer.map_err(|failure| failure.while_doing("creating the secret"))?;
    Ok(())
}

/// A function that answers with its secret, both of the same name, as in the original.
async fn have_reader(target: &Target, short: &str, kind: Kind) -> Outcome {
    have_secret(target, short, kind).await?;
    let name = target.name(short);
    let more = json!({"secrets": [name], "labels": null});
    target.have(short, &reader(&name), more).await?;
    Ok(())
}

fn reader(secret: &str) -> String {
    format!("cat /var/openfaas/secrets/{secret}")
}

async fn listed(target: &Target, short: &str) -> Outcome<(Answer, bool)> {
    let answer = target.secrets().await?;
    let name = target.name(short);
    let found = answer
        .array()?
        .iter()
        .any(|secret| secret["name"] == name.as_str());
    Ok((answer, found))
}

fn reads(answer: &Answer, kind: Kind, version: &str) -> Outcome {
    let expected = kind.bytes(version);
    match answer.body == expected {
        true => Ok(()),
        false => {
            let shown = |bytes: &[u8]| format!("{:?}", String::from_utf8_lossy(bytes));
            Err(answer.fault(shown(&expected), shown(&answer.body)))
        }
    }
}

impl Kind {
    fn named(self, subject: &str) -> String {
        match self {
            Self::Text => format!("secret-{subject}-text"),
            Self::Bytes => format!("secret-{subject}-bytes"),
        }
    }

    fn bytes(self, version: &str) -> Vec<u8> {
        match self {
            Self::Text => format!("the {version} text of this secret").into_bytes(),
            Self::Bytes => [b"\x00\xff ", version.as_bytes(), b" \x80\n"].concat(),
        }
    }

    /// The content as it stands in a request.
    fn content(self, version: &str) -> Value {
        match self {
            Self::Text => json!({"value": String::from_utf8_lossy(&self.bytes(version))}),
            Self::Bytes => json!({"rawValue": BASE64_STANDARD.encode(self.bytes(version))}),
        }
    }
}
