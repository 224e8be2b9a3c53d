//! Namespaces that come and go over the API.

use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::{Answer, Request};
use crate::platform::Made;
use crate::rule::{Group, Level};
use crate::target::Target;

const FROM: Family = Family::new(
    Group::Namespaces,
    Level::Standard,
    "provider SDK: /system/namespace/NAME; faas-cli namespace",
);

pub(super) fn checks() -> Vec<Check> {
    let checks = made().into_iter().chain(refused());
    let checks = checks.map(|check| check.needs(&[Capability::NamespaceCrud]));
    checks.chain([unsupported()]).collect()
}

fn made() -> Vec<Check> {
    vec![
        FROM.check(
            "namespaces.create",
            "A namespace is created with 201, and is in the list at once.",
            is_created,
        )
        .case("I9"),
        FROM.check(
            "namespaces.read",
            "GET /system/namespace/NAME answers 200 with its name, labels and annotations.",
            is_read_back,
        )
        .case("I9"),
        FROM.check(
            "namespaces.update",
            "PUT /system/namespace/NAME answers 202, and the labels are the new ones.",
            is_updated,
        )
        .case("I9"),
        FROM.check(
            "namespaces.delete",
            "DELETE /system/namespace/NAME answers 202, and the namespace is gone from list and GET.",
            is_deleted,
        )
        .case("I9"),
        FROM.check(
            "list.empty",
            "The list of the functions of a namespace without any is an empty array, not null.",
            lists_nothing,
        )
        .group(Group::List)
        .source("clients that go through a list without asking whether there is one")
        .case("D1"),
        FROM.check(
            "namespaces.usable",
            "A function can be deployed into a namespace right after its creation, and called there.",
            holds_a_function,
        )
        .level(Level::Full)
        .case("I9"),
    ]
}

fn refused() -> Vec<Check> {
    vec![
        FROM.check(
            "namespaces.create-twice",
            "The creation of a namespace that exists answers 409 and a line of text.",
            is_created_once,
        )
        .case("I9"),
        FROM.check(
            "namespaces.unknown",
            "GET, PUT and DELETE of a namespace that does not exist answer 404.",
            refuses_the_unknown,
        )
        .case("I9"),
        FROM.check(
            "namespaces.not-empty",
            "The deletion of a namespace with a function in it answers 409, and the function stays.",
            keeps_the_filled,
        )
        .case("I9"),
        FROM.check(
            "namespaces.mismatch",
            "An update whose body names another namespace than its path answers 400 and a line of text.",
            refuses_a_mismatch,
        )
        .case("I10"),
        FROM.check(
            "namespaces.unmarked",
            "The creation of a namespace without the mark openfaas=1 answers 400 and a line of text.",
            refuses_the_unmarked,
        )
        .case("I10"),
        FROM.check(
            "namespaces.bad-name",
            "A namespace with a name that is no DNS label is refused with 400 and a line of text.",
            refuses_bad_names,
        )
        .case("I10"),
    ]
}

fn unsupported() -> Check {
    FROM.check(
        "namespaces.all-or-nothing",
        "Where GET of a single namespace answers 501, so do POST, PUT and DELETE.",
        supports_all_or_nothing,
    )
    .source(
        "a client that asks once whether namespaces can be changed has to get an answer that holds",
    )
    .case("I11")
}

fn path(name: &str) -> String {
    format!("/system/namespace/{name}")
}

/// The marks that tell a namespace of functions from others: clients of two generations read them in two places.
fn marked(name: &str, labels: Value) -> Value {
    let mut body =
        json!({"name": name, "labels": {"openfaas": "1"}, "annotations": {"openfaas": "1"}});
    if let (Some(own), Value::Object(labels)) = (body["labels"].as_object_mut(), labels) {
        own.extend(labels);
    }
    body
}

/// Asks for a namespace with this body, and says what came back.
async fn create(target: &Target, body: &Value) -> Outcome<Answer> {
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    target.remember(Made::Namespace { name }).await;
    let request = Request::system(Method::POST, path("")).json(body);
    target.send(request).await
}

/// A namespace for a check that is about something else, so any success will do.
async fn have(target: &Target, short: &str) -> Outcome<String> {
    let name = target.name(short);
    let created = create(target, &marked(&name, json!({"team": "red"}))).await;
    let created = created.and_then(Answer::with_success);
    created.map_err(|failure| failure.while_doing("creating the test namespace"))?;
    Ok(name)
}

async fn put(target: &Target, name: &str, body: &Value) -> Outcome<Answer> {
    let request = Request::system(Method::PUT, path(name)).json(body);
    target.send(request).await
}

async fn delete(target: &Target, name: &str) -> Outcome<Answer> {
    let request = Request::system(Method::DELETE, path(name)).json(&json!({"name": name}));
    target.send(request).await
}

async fn get(target: &Target, name: &str) -> Outcome<Answer> {
    target.get(&path(name)).await
}

async fn is_listed(target: &Target, name: &str, wanted: bool) -> Outcome {
    let answer = target.get("/system/namespaces").await?;
    let answer = answer.with_status(&[200])?;
    match answer.array()?.iter().any(|listed| listed == name) == wanted {
        true => Ok(()),
        false if wanted => Err(answer.fault(format!("{name} in the list"), "it is missing")),
        false => Err(answer.fault(format!("{name} not in the list"), "it is there")),
    }
}

async fn is_created(target: Target) -> Outcome {
    let name = target.name("space-new");
    let answer = create(&target, &marked(&name, json!({}))).await?;
    answer.with_status(&[201])?;
    is_listed(&target, &name, true).await
}

async fn has_label(target: &Target, name: &str, value: &str) -> Outcome {
    let answer = get(target, name).await?.with_status(&[200])?;
    let namespace = answer.json()?;
    let wanted = json!({"name": name, "label": value});
    let got = json!({"name": namespace["name"], "label": namespace["labels"]["team"]});
    match got == wanted && namespace["annotations"].is_object() {
        true => Ok(()),
        false => {
            let expected = format!("the name {name}, annotations, and the label team={value}");
            Err(answer.fault(expected, namespace.to_string()))
        }
    }
}

async fn is_read_back(target: Target) -> Outcome {
    let name = have(&target, "space-read").await?;
    has_label(&target, &name, "red").await
}

async fn is_updated(target: Target) -> Outcome {
    let name = have(&target, "space-put").await?;
    let body = marked(&name, json!({"team": "blue"}));
    put(&target, &name, &body).await?.with_status(&[202])?;
    has_label(&target, &name, "blue").await
}

async fn is_deleted(target: Target) -> Outcome {
    let name = have(&target, "space-old").await?;
    delete(&target, &name).await?.with_status(&[202])?;
    get(&target, &name).await?.with_status(&[404])?;
    is_listed(&target, &name, false).await
}

async fn holds_a_function(target: Target) -> Outcome {
    let name = have(&target, "space-used").await?;
    let there = target.in_namespace(&name);
    there.have("inside", "cat", json!({})).await?;
    let call = there.call(Method::POST, "inside", "").body("x");
    there.call_until(&call, 200).await?;
    Ok(())
}

async fn lists_nothing(target: Target) -> Outcome {
    // There are others, elsewhere.
    target.have("space-other", "cat", json!({})).await?;
    let name = have(&target, "space-empty").await?;
    let answer = target.in_namespace(&name).list().await?;
    match answer.array()?.len() {
        0 => Ok(()),
        count => Err(answer.fault("an empty array", format!("{count} functions"))),
    }
}

async fn is_created_once(target: Target) -> Outcome {
    let name = have(&target, "space-twice").await?;
    create(&target, &marked(&name, json!({})))
        .await?
        .refused(&[409])
}

async fn refuses_the_unknown(target: Target) -> Outcome {
    let name = target.name("space-none");
    get(&target, &name).await?.with_status(&[404])?;
    let body = marked(&name, json!({}));
    put(&target, &name, &body).await?.with_status(&[404])?;
    delete(&target, &name).await?.with_status(&[404])?;
    Ok(())
}

async fn keeps_the_filled(target: Target) -> Outcome {
    let name = have(&target, "space-full").await?;
    let there = target.in_namespace(&name);
    there.have("space-kept", "cat", json!({})).await?;
    delete(&target, &name).await?.refused(&[409])?;
    there.view("space-kept").await?;
    Ok(())
}

async fn refuses_a_mismatch(target: Target) -> Outcome {
    let name = have(&target, "space-this").await?;
    let body = marked(&target.name("space-that"), json!({}));
    put(&target, &name, &body).await?.refused(&[400])
}

async fn refuses_the_unmarked(target: Target) -> Outcome {
    let body = json!({"name": target.name("space-bare")});
    create(&target, &body).await?.refused(&[400])
}

async fn refuses_bad_names(target: Target) -> Outcome {
    let name = target.name("space");
    for bad in [
        format!("{name}_x"),
        format!("{name}.x"),
        format!("{name}-"),
        format!("-{name}"),
        format!("{name}-UPPER"),
    ] {
        create(&target, &marked(&bad, json!({})))
            .await?
            .refused(&[400])?;
    }
    Ok(())
}

/// Nothing is changed by it: the namespace does not exist, and is not described.
async fn supports_all_or_nothing(target: Target) -> Outcome {
    let name = target.name("space-asked");
    if get(&target, &name).await?.status != 501 {
        return Ok(());
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let request = Request::system(method, path(&name)).json(&json!({"name": name}));
        target.send(request).await?.with_status(&[501])?;
    }
    Ok(())
}
