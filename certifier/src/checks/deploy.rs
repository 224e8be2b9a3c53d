//! Deploying, and what can be read right after it.

use reqwest::Method;
use serde_json::json;

use crate::check::{Check, Rule};
use crate::failure::Outcome;
use crate::target::Target;

pub(super) fn checks() -> Vec<Check> {
    let accepted = Rule {
        id: "deploy.accepted",
        says: "POST /system/functions answers 200 or 202.",
        source: "original suite, Deploy_MetaData; faas-cli ends with an error on 201",
    };
    let null_metadata = Rule {
        id: "deploy.null-metadata",
        says: "A deployment whose labels and annotations are null is accepted, and both are \
             read back as objects.",
        source: "clients written in Go send null for an empty map; the original suite does, in \
             SecretCRUD",
    };
    let readable = Rule {
        id: "deploy.readable-at-once",
        says: "A status asked for right after the answer to a deployment is 200, with name \
             and namespace.",
        source: "original suite, Deploy_MetaData: it reads without waiting",
    };
    let listed = Rule {
        id: "deploy.listed-at-once",
        says: "A list asked for right after the answer to a deployment holds the function \
             once, with its namespace.",
        source: "original suite, Deploy_MetaData and Invoke",
    };
    let available = Rule {
        id: "deploy.becomes-available",
        says: "After a deployment, `availableReplicas` becomes 1 or more.",
        source: "original suite, FunctionLogs; faas-cli ready",
    };
    let callable = Rule {
        id: "deploy.available-means-callable",
        says: "Once `availableReplicas` is 1 or more, the very next call succeeds.",
        source: "original suite, FunctionLogs: its first attempt must succeed",
    };
    let unknown = Rule {
        id: "status.unknown-is-404",
        says: "The status of a function that does not exist is 404.",
        source: "provider SDK; faas-cli describe and the gateway's scaling rely on it",
    };
    vec![
        Check::new(accepted, is_accepted).everywhere(),
        Check::new(null_metadata, takes_null_metadata).everywhere(),
        Check::new(readable, is_readable_at_once).everywhere(),
        Check::new(listed, is_listed_at_once).everywhere(),
        Check::new(available, becomes_available).everywhere(),
        Check::new(callable, is_callable_when_available).everywhere(),
        Check::new(unknown, has_no_status_when_unknown),
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
