//! Deploying, and what can be read right after it.

use hyper::Method;
use serde_json::json;

use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;

const FAMILY: Family = Family::new(
    Group::Deploy,
    Level::Core,
    "original suite, Deploy_MetaData",
);

pub(super) fn checks() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "deploy.accepted",
                "POST /system/functions answers 200 or 202.",
                is_accepted,
            )
            .source("original suite, Deploy_MetaData; faas-cli ends with an error on 201")
            .case("5.1")
            .everywhere(),
        FAMILY
            .check(
                "deploy.null-metadata",
                "A deployment whose labels and annotations are null is accepted, and both are \
             read back as objects.",
                takes_null_metadata,
            )
            .source(
                "clients written in Go send null for an empty map; the original suite does, in \
             SecretCRUD",
            )
            .case("A7")
            .everywhere(),
        FAMILY
            .check(
                "deploy.readable-at-once",
                "A status asked for right after the answer to a deployment is 200, with name \
             and namespace.",
                is_readable_at_once,
            )
            .source("original suite, Deploy_MetaData: it reads without waiting")
            .case("5.1")
            .everywhere(),
        FAMILY
            .check(
                "deploy.listed-at-once",
                "A list asked for right after the answer to a deployment holds the function \
             once, with its namespace.",
                is_listed_at_once,
            )
            .source("original suite, Deploy_MetaData and Invoke")
            .case("5.1")
            .everywhere(),
        FAMILY
            .check(
                "deploy.becomes-available",
                "After a deployment, `availableReplicas` becomes 1 or more.",
                becomes_available,
            )
            .source("original suite, FunctionLogs; faas-cli ready")
            .case("5.7")
            .everywhere(),
        FAMILY
            .check(
                "deploy.available-means-callable",
                "Once `availableReplicas` is 1 or more, the very next call succeeds.",
                is_callable_when_available,
            )
            .source("original suite, FunctionLogs: its first attempt must succeed")
            .case("5.7")
            .everywhere(),
        FAMILY
            .check(
                "status.unknown-is-404",
                "The status of a function that does not exist is 404.",
                has_no_status_when_unknown,
            )
            .source("provider SDK; faas-cli describe and the gateway's scaling rely on it")
            .case("D2")
            .group(Group::Status)
            .level(Level::Standard),
    ]
}

async fn is_accepted(target: Target) -> Outcome {
    let answer = target.deploy("accepted", "cat", json!({})).await?;
    answer.with_status(&[200, 202])?;
    Ok(())
}

async fn takes_null_metadata(target: Target) -> Outcome {
    let nulls = json!({"labels": null, "annotations": null});
    target.have("nulls", "cat", nulls).await?;
    let view = target.view("nulls").await?;
    view.object("labels")?;
    view.object("annotations")
}

async fn is_readable_at_once(target: Target) -> Outcome {
    target.have("readable", "cat", json!({})).await?;
    let view = target.view("readable").await?;
    view.equal("name", &json!(target.name("readable")))?;
    view.equal("namespace", &json!(target.namespace))
}

async fn is_listed_at_once(target: Target) -> Outcome {
    target.have("listed", "cat", json!({})).await?;
    let (answer, functions) = target.listed("listed").await?;
    let name = target.name("listed");
    match functions.as_slice() {
        [function] if function["namespace"] == target.namespace.as_str() => Ok(()),
        [function] => {
            let expected = format!("{name} with namespace {:?}", target.namespace);
            Err(answer.fault(expected, function["namespace"].to_string()))
        }
        functions => {
            let got = format!("it is listed {} times", functions.len());
            Err(answer.fault(format!("{name} once in the list"), got))
        }
    }
}

async fn becomes_available(target: Target) -> Outcome {
    target.have("available", "cat", json!({})).await?;
    target.available("available").await?;
    Ok(())
}

async fn is_callable_when_available(target: Target) -> Outcome {
    target.have("callable", "cat", json!({})).await?;
    target.available("callable").await?;
    let body = target.namespace.clone();
    let call = target.call(Method::POST, "callable", "").body(body.clone());
    let answer = target.send(call).await?.with_status(&[200])?;
    match answer.body == body.as_bytes() {
        true => Ok(()),
        false => Err(answer.fault(format!("the body {body:?} back"), answer.text())),
    }
}

async fn has_no_status_when_unknown(target: Target) -> Outcome {
    target.status("nothing").await?.with_status(&[404])?;
    Ok(())
}
