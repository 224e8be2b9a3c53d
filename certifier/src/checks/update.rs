//! Updating and deleting.

use serde_json::json;

use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const FAMILY: Family = Family::new(Group::Update, Level::Core, "original suite, SecretCRUD");

const DELETE: Family = Family::new(
    Group::Delete,
    Level::Core,
    "original suite, which deletes that way; faas-cli remove",
);

pub(super) fn checks() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "update.unknown-is-404",
                "PUT /system/functions for a function that does not exist answers 404 and \
             deploys nothing.",
                is_refused_when_unknown,
            )
            .source("faas-cli deploy: it tries PUT first, and POST only on exactly 404")
            .case("B1")
            .level(Level::Standard)
            .everywhere(),
        FAMILY
            .check(
                "update.accepted",
                "PUT /system/functions for an existing function answers 200 or 202.",
                is_accepted,
            )
            .case("5.9")
            .everywhere(),
        FAMILY
            .check(
                "update.visible-at-once",
                "A status asked for right after the answer to an update shows the new \
             annotations.",
                is_visible_at_once,
            )
            .source("original suite, SecretCRUD: it updates by an annotation")
            .case("5.9")
            .everywhere(),
        DELETE
            .check(
                "delete.accepted",
                "DELETE /system/functions with the namespace in the query answers 200 or 202.",
                can_be_deleted,
            )
            .case("5.9")
            .everywhere(),
        DELETE
            .check(
                "delete.gone",
                "A deleted function leaves the list, and its status becomes 404.",
                leaves_nothing,
            )
            .source("provider SDK; faas-cli remove, then list")
            .case("C3")
            .level(Level::Standard)
            .everywhere(),
    ]
}

async fn is_refused_when_unknown(target: Target) -> Outcome {
    let answer = target.update("not-deployed", "cat", json!({})).await?;
    answer.with_status(&[404])?;
    target.status("not-deployed").await?.with_status(&[404])?;
    Ok(())
}

async fn is_accepted(target: Target) -> Outcome {
    target.have("updated", "cat", json!({})).await?;
    let change = json!({"annotations": {"change": "1"}});
    let answer = target.update("updated", "cat", change).await?;
    answer.with_status(&[200, 202])?;
    Ok(())
}

async fn is_visible_at_once(target: Target) -> Outcome {
    target
        .have("changed", "cat", json!({"annotations": {"change": "old"}}))
        .await?;
    let change = json!({"change": "new"});
    let update = json!({"annotations": change});
    target
        .update("changed", "cat", update)
        .await?
        .with_success()?;
    target
        .view("changed")
        .await?
        .has_entries("annotations", &change)
}

async fn can_be_deleted(target: Target) -> Outcome {
    target.have("deleted", "cat", json!({})).await?;
    target.delete("deleted").await?.with_status(&[200, 202])?;
    Ok(())
}

/// With a deadline: some platforms keep a function listed until its replicas have drained.
async fn leaves_nothing(target: Target) -> Outcome {
    target.have("gone", "cat", json!({})).await?;
    target.view("gone").await?;
    target.delete("gone").await?.with_success()?;
    eventually(target.limit(), async || {
        let (answer, functions) = target.listed("gone").await?;
        if !functions.is_empty() {
            let expected = format!("{} not to be listed", target.name("gone"));
            return Err(answer.fault(expected, "it still is"));
        }
        target.status("gone").await?.with_status(&[404])?;
        Ok(())
    })
    .await
}
