//! The list and the status: what they look like, and that values come back as they were sent.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::{Sample, Target};

const LIST: Family = Family::new(
    Group::List,
    Level::Standard,
    "faas-cli list and every dashboard read it",
);

const STATUS: Family = Family::new(
    Group::Status,
    Level::Standard,
    "faas-cli describe and diff compare values as texts, exactly as deployed",
);

/// Nothing but the usual.
const READ: Sample = Sample {
    name: "read",
    process: "cat",
    more: || json!({}),
};

pub(super) fn checks() -> Vec<Check> {
    let subjects = [listing(), telling(), metadata(), values()];
    subjects.into_iter().flatten().collect()
}

fn listing() -> Vec<Check> {
    vec![
        LIST.check(
            "list.json",
            "GET /system/functions answers application/json.",
            |target| async move { is_json(&target.list().await?) },
        )
        .case("D3")
        .source("clients that look at the type before they parse"),
        LIST.check(
            "list.order-stable",
            "Two lists, one after the other, have the functions that are in both in the same order.",
            keeps_its_order,
        )
        .case("D16")
        .level(Level::Full)
        .alone()
        .source("a list that jumps about cannot be read or compared"),
        LIST.check(
            "list.agrees-with-status",
            "`availableReplicas` and `replicas` are the same in the list and in the status of a function that is up.",
            agrees_with_the_status,
        )
        .case("D17"),
    ]
}

fn is_json(answer: &crate::http::Answer) -> Outcome {
    match answer.header("content-type") {
        kind if kind.starts_with("application/json") => Ok(()),
        kind => Err(answer.fault("Content-Type application/json", format!("{kind:?}"))),
    }
}

async fn keeps_its_order(target: Target) -> Outcome {
    for short in ["order-c", "order-a", "order-b"] {
        target.have(short, "cat", json!({})).await?;
    }
    let names = async || {
        let answer = target.list().await?;
        let names = answer.array()?.into_iter().map(|item| item["name"].clone());
        Ok((names.collect::<Vec<_>>(), answer))
    };
    let (first, _) = names().await?;
    for _ in 0..5 {
        let (next, answer) = names().await?;
        // Others may come and go meanwhile; those that stay keep their order.
        let [first, next] = [common(&first, &next), common(&next, &first)];
        if next != first {
            return Err(answer.fault(format!("the order {first}"), next.to_string()));
        }
    }
    Ok(())
}

/// What of one list is in the other, in the order of the first.
fn common(list: &[Value], other: &[Value]) -> Value {
    list.iter()
        .filter(|name| other.contains(name))
        .cloned()
        .collect()
}

async fn agrees_with_the_status(target: Target) -> Outcome {
    target.have_sample(&READ).await?;
    let status = target.available(READ.name).await?;
    let (_, listed) = target.listed(READ.name).await?;
    let listed = listed.first().cloned().unwrap_or_default();
    for key in ["replicas", "availableReplicas"] {
        let in_list = listed[key].as_u64().unwrap_or(0);
        status.exactly(key, in_list)?;
    }
    Ok(())
}

fn telling() -> Vec<Check> {
    vec![
        STATUS
            .check(
                "status.json",
                "GET /system/function/NAME answers application/json.",
                |target| async move {
                    target.have_sample(&READ).await?;
                    is_json(&target.status(READ.name).await?)
                },
            )
            .case("D3")
            .source("clients that look at the type before they parse"),
        STATUS
            .check(
                "status.usage-parameter",
                "A status asked for with usage=1, usage=0, usage=false or without usage is 200.",
                takes_usage,
            )
            .case("D15")
            .source("faas-cli describe asks for usage=1"),
        STATUS
            .check(
                "status.created-at",
                "`createdAt` is a time as RFC 3339 writes it.",
                |target| async move {
                    target.have_sample(&READ).await?;
                    created_at(&target, READ.name).await.map(drop)
                },
            )
            .case("D14"),
        STATUS
            .check(
                "status.created-at-stable",
                "`createdAt` stays the same when a function is scaled and updated.",
                keeps_its_birthday,
            )
            .case("D14")
            .level(Level::Full)
            .needs(&[Capability::ScaleMany]),
        STATUS
            .check(
                "status.read-only",
                "`readOnlyRootFilesystem` is true in the status when it was deployed so.",
                |target| async move {
                    let more = json!({"readOnlyRootFilesystem": true});
                    target.have("read-only", "cat", more).await?;
                    all_equal(&target, "read-only", "readOnlyRootFilesystem", &json!(true)).await
                },
            )
            .case("D13")
            .needs(&[Capability::ReadOnly]),
    ]
}

async fn takes_usage(target: Target) -> Outcome {
    target.have_sample(&READ).await?;
    let path = format!(
        "/system/function/{}?namespace={}",
        target.name(READ.name),
        target.namespace
    );
    for usage in ["", "&usage=1", "&usage=0", "&usage=false"] {
        let answer = target.get(&format!("{path}{usage}")).await?;
        answer.with_status(&[200])?;
    }
    Ok(())
}

async fn created_at(target: &Target, short: &str) -> Outcome<OffsetDateTime> {
    let view = target.view(short).await?;
    let text = view.function["createdAt"].as_str().unwrap_or_default();
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        let got = view.function["createdAt"].to_string();
        view.fault("`createdAt` to be a time of RFC 3339".to_owned(), &got)
    })
}

async fn keeps_its_birthday(target: Target) -> Outcome {
    target.have("born", "cat", json!({})).await?;
    let born = created_at(&target, "born").await?;
    target.scale("born", 2).await?.with_success()?;
    let change = json!({"annotations": {"v": "2"}});
    target.update("born", "cat", change).await?.with_success()?;
    let now = created_at(&target, "born").await?;
    let view = target.view("born").await?;
    match now == born {
        true => Ok(()),
        false => Err(view.fault(format!("`createdAt` to stay {born}"), &now.to_string())),
    }
}

fn metadata() -> Vec<Check> {
    vec![
        STATUS
            .check(
                "deploy.annotations-exact",
                "Annotations come back byte for byte: letters beyond ASCII, an empty value, 10 KiB, keys with `/` and `.`.",
                |target| async move {
                    let odd = odd_annotations();
                    target
                        .have("annotated", "cat", json!({"annotations": odd}))
                        .await?;
                    let views = target.both_views("annotated").await?;
                    views.iter().try_for_each(|view| view.has_entries("annotations", &odd))
                },
            )
            .case("D4")
            .group(Group::Labels),
        STATUS
            .check(
                "deploy.labels-exact",
                "Labels with a long, an empty or an odd value come back exactly, or are refused with 400.",
                keeps_odd_labels,
            )
            .case("D5")
            .group(Group::Labels),
    ]
}

fn odd_annotations() -> Value {
    json!({
        "unicode": "ü €  😀 \u{2028}",
        "empty": "",
        "long": "0123456789abcdef".repeat(640),
        "example.com/team.name": "a/b.c",
        "quotes": "\"it's\" \\ <b>&amp;",
    })
}

async fn keeps_odd_labels(target: Target) -> Outcome {
    let odd = json!({"long": "x".repeat(200), "empty": "", "odd": "a b=c, d/e: ü"});
    let answer = target
        .deploy("labelled", "cat", json!({"labels": odd}))
        .await?;
    if answer.status == 400 {
        return answer.refused(&[400]);
    }
    answer.with_success()?;
    let views = target.both_views("labelled").await?;
    views
        .iter()
        .try_for_each(|view| view.has_entries("labels", &odd))
}

/// One value, deployed under `key`, comes back the same in status and list.
fn exact(
    id: &'static str,
    says: &'static str,
    key: &'static str,
    value: fn(&Target) -> Value,
) -> Check {
    STATUS.check(id, says, move |target| async move {
        let short = id.replace('.', "-");
        let value = value(&target);
        target.have(&short, "cat", json!({key: value})).await?;
        all_equal(&target, &short, key, &value).await
    })
}

async fn all_equal(target: &Target, short: &str, key: &str, value: &Value) -> Outcome {
    let views = target.both_views(short).await?;
    views.iter().try_for_each(|view| view.equal(key, value))
}

fn values() -> Vec<Check> {
    vec![
        exact(
            "deploy.env-exact",
            "Variables come back exactly: with `=`, newlines, quotes, braces, letters beyond ASCII, and empty.",
            "envVars",
            |_| odd_variables(),
        )
        .case("D6"),
        STATUS
            .check(
                "deploy.env-seen-exact",
                "A function's process sees its variables exactly: with `=`, newlines, quotes, braces, and empty.",
                sees_odd_variables,
            )
            .case("D7")
            .group(Group::Invoke)
            .source("programs are configured by their environment"),
        exact(
            "deploy.process-odd",
            "An `envProcess` with `=` and blanks comes back exactly.",
            "envProcess",
            |_| json!("env A=b  cat"),
        )
        .case("D8"),
        exact(
            "deploy.limits-large",
            "Limits come back as they were written: 1024Mi and 0.5.",
            "limits",
            |_| json!({"memory": "1024Mi", "cpu": "0.5"}),
        )
        .case("D10")
        .group(Group::Limits)
        .needs(&[Capability::MemoryLimits, Capability::CpuLimits]),
        exact(
            "deploy.limits-decimal",
            "Limits come back as they were written: 128M and 500m.",
            "limits",
            |_| json!({"memory": "128M", "cpu": "500m"}),
        )
        .case("D10")
        .group(Group::Limits)
        .needs(&[Capability::MemoryLimits, Capability::CpuLimits]),
        exact(
            "deploy.constraints-order",
            "Constraints come back in their order.",
            "constraints",
            |_| json!(["node.platform.os == linux", "node.role != nobody", "node.hostname != nowhere"]),
        )
        .case("D11")
        .needs(&[Capability::Constraints]),
        STATUS
            .check(
                "deploy.secrets-order",
                "Secrets come back in their order.",
                keeps_the_order_of_secrets,
            )
            .case("D12")
            .group(Group::Secrets)
            .needs(&[Capability::Secrets]),
        exact(
            "deploy.image-untagged",
            "An image without a tag comes back without one.",
            "image",
            |target| json!(target.options().image.rsplit_once(':').map_or("", |(image, _)| image)),
        )
        .case("D20"),
    ]
}

fn odd_variables() -> Value {
    json!({
        "certifier_equals": "a=b=c",
        "certifier_newline": "one\ntwo",
        "certifier_quotes": "\"double\" 'single' \\ $HOME",
        "certifier_unicode": "ü€😀",
        "certifier_empty": "",
        "certifier_braces": "{{.Node.Hostname}} ${x}",
    })
}

async fn sees_odd_variables(target: Target) -> Outcome {
    let variables = odd_variables();
    target
        .have("odd-variables", "env", json!({"envVars": variables}))
        .await?;
    let call = target.call(hyper::Method::POST, "odd-variables", "");
    let answer = target.call_until(&call, 200).await?;
    let text = format!("\n{}", answer.text());
    for (name, value) in variables.as_object().into_iter().flatten() {
        let line = format!("\n{name}={}\n", value.as_str().unwrap_or_default());
        if !text.contains(&line) {
            return Err(answer.fault(format!("{line:?} in the environment"), "it is not there"));
        }
    }
    Ok(())
}

async fn keeps_the_order_of_secrets(target: Target) -> Outcome {
    let names = ["order-b", "order-c", "order-a"];
    for name in names {
        let created = target.create_secret(name, json!({"value": "x"})).await?;
        created.with_success()?;
    }
    let secrets = json!(names.map(|name| target.name(name)));
    target
        .have("ordered", "cat", json!({"secrets": secrets}))
        .await?;
    all_equal(&target, "ordered", "secrets", &secrets).await
}
