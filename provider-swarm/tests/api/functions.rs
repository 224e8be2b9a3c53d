//! Functions from their deployment to their end, and what they look like in the swarm.

use std::collections::HashSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Provider, accepted, function, unique, until, with};
use crate::swarm::{has_service, service};

#[tokio::test]
async fn a_function_is_deployed_called_scaled_and_deleted() {
    let provider = Provider::start().await;
    let name = unique("life");
    provider.have(&function(&name, "hostname")).await;
    assert_eq!(provider.call(&name, "").await.0, 200);

    assert_eq!(provider.scale(&name, 3).await, accepted());
    assert_eq!(provider.status(&name).await["replicas"], 3);
    let mut hosts = HashSet::new();
    until("an answer of each replica", async || {
        hosts.insert(provider.call(&name, "").await.1);
        hosts.len() == 3
    })
    .await;

    assert_eq!(provider.scale(&name, 0).await, accepted());
    let status = provider.status(&name).await;
    assert_eq!(
        (&status["replicas"], &status["availableReplicas"]),
        (&json!(0), &json!(0))
    );
    let (refused, words) = provider.call(&name, "").await;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE, "{words}");

    assert_eq!(provider.delete(&name).await, accepted());
    assert_eq!(provider.json("/system/functions").await, json!([]));
    assert_eq!(
        provider.get(&format!("/system/function/{name}")).await.0,
        404
    );
    assert_eq!(provider.call(&name, "").await.0, 404);
    assert_eq!(provider.delete(&name).await.0, 404);
    assert!(!has_service(&name));
}

#[tokio::test]
async fn a_deployment_comes_back_as_it_was_sent() {
    let provider = Provider::start().await;
    let name = unique("exact");
    let secret = unique("key");
    let created = provider
        .post(
            "/system/secrets",
            &json!({"name": secret, "value": " s \n"}),
        )
        .await;
    assert_eq!(created.0, 201);
    let sent = with(
        function(&name, "env"),
        json!({
            "envVars": {"TEMPLATE": "{{.Node.Hostname}} {{{ }}", "QUOTES": "'\"\\", "healthcheck_interval": "0s"},
            "labels": {"tier": "a b", "com.openfaas.scale.min": "1"},
            "annotations": {"topic": "ü,=;", "com.openfaas.timeout": "7s"},
            "constraints": ["node.role == manager", "node.platform.os==linux"],
            "secrets": [secret],
            "limits": {"memory": "64Mi", "cpu": "500m"},
            "requests": {"memory": "16 MB", "cpu": "100000000"},
            "readOnlyRootFilesystem": true,
        }),
    );
    provider.have(&sent).await;
    let status = provider.status(&name).await;
    for key in [
        "image",
        "envProcess",
        "envVars",
        "annotations",
        "constraints",
        "secrets",
        "limits",
        "requests",
        "readOnlyRootFilesystem",
    ] {
        assert_eq!(status[key], sent[key], "{key}");
    }
    let labels = json!({"tier": "a b", "com.openfaas.scale.min": "1", "faas_function": name});
    assert_eq!(status["labels"], labels);
    assert_eq!(status["namespace"], provider.namespace.as_str());
    assert_eq!(provider.json("/system/functions").await, json!([status]));

    let environment = provider.call(&name, "").await.1;
    assert!(
        environment.contains("TEMPLATE={{.Node.Hostname}} {{{ }}\n"),
        "{environment}"
    );
}

#[tokio::test]
async fn a_service_is_what_swarm_does_well() {
    let provider = Provider::start().await;
    let name = unique("spec");
    let limits = json!({"limits": {"memory": "64Mi", "cpu": "500m"}, "requests": {"memory": "16Mi"}, "readOnlyRootFilesystem": true});
    provider
        .have(&with(function(&name, "sh -c echo>/tmp/x&&cat"), limits))
        .await;
    let spec = &service(&name)["Spec"];
    assert_eq!(spec["EndpointSpec"]["Mode"], "dnsrr");
    assert_eq!(spec["UpdateConfig"]["Order"], "start-first");
    assert_eq!(spec["UpdateConfig"]["FailureAction"], "rollback");
    let template = &spec["TaskTemplate"];
    assert_eq!(
        template["Resources"]["Limits"],
        json!({"MemoryBytes": 64 << 20, "NanoCPUs": 500_000_000})
    );
    assert_eq!(
        template["Resources"]["Reservations"],
        json!({"MemoryBytes": 16 << 20})
    );
    assert_eq!(template["RestartPolicy"]["MaxAttempts"], 0);
    assert_eq!(template["ContainerSpec"]["Healthcheck"], Value::Null);
    assert_eq!(
        template["ContainerSpec"]["StopGracePeriod"],
        10_000_000_000_u64
    );
}

#[tokio::test]
async fn a_read_only_function_writes_to_tmp_and_nowhere_else() {
    let provider = Provider::start().await;
    let name = unique("fixed");
    let process = "sh -c cat>/tmp/f;cat</tmp/f;touch${IFS}/x||echo${IFS}refused";
    let read_only = json!({"readOnlyRootFilesystem": true});
    provider
        .have(&with(function(&name, process), read_only))
        .await;
    let (status, text) = provider.call(&name, "kept ").await;
    assert_eq!(status, 200);
    assert!(
        text.starts_with("kept ") && text.ends_with("Read-only file system\nrefused\n"),
        "{text}"
    );
}

#[tokio::test]
async fn of_two_deployments_at_once_one_is_taken() {
    let provider = Provider::start().await;
    let name = unique("twice");
    let wish = function(&name, "cat");
    let (first, second) = tokio::join!(provider.deploy(&wish), provider.deploy(&wish));
    let mut statuses = [first.0.as_u16(), second.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409], "{first:?} {second:?}");
    let again = provider.deploy(&wish).await;
    let words = format!("function {name}.{} already exists\n", provider.namespace);
    assert_eq!(again, (StatusCode::CONFLICT, words));
}

#[tokio::test]
async fn an_update_replaces_everything_but_the_replicas() {
    let provider = Provider::start().await;
    let name = unique("update");
    assert_eq!(provider.update(&function(&name, "cat")).await.0, 404);
    let variables =
        json!({"envVars": {"OLD": "1", "healthcheck_interval": "0s"}, "labels": {"a": "1"}});
    provider
        .have(&with(function(&name, "env"), variables))
        .await;
    assert_eq!(provider.scale(&name, 2).await, accepted());
    let created = provider.status(&name).await["createdAt"].clone();

    assert_eq!(provider.update(&function(&name, "env")).await, accepted());
    let status = provider.status(&name).await;
    assert_eq!(
        (&status["replicas"], &status["createdAt"]),
        (&json!(2), &created)
    );
    assert_eq!(status["labels"], json!({"faas_function": name}));
    until("answers of the new replicas only", async || {
        let (status, text) = provider.call(&name, "").await;
        status == 200
            && !text.contains("OLD=1")
            && service(&name)["UpdateStatus"]["State"] == "completed"
    })
    .await;
}

#[tokio::test]
async fn changes_that_get_in_each_other_s_way_all_take_place() {
    let provider = Provider::start().await;
    let name = unique("busy");
    provider.have(&function(&name, "cat")).await;
    let scaled = (0..8).map(|i| {
        let (api, name) = (provider.clone(), name.clone());
        tokio::spawn(async move { api.scale(&name, 1 + i % 2).await })
    });
    for answer in scaled.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), accepted());
    }
}

#[tokio::test]
async fn a_network_that_is_not_here_means_the_functions_network() {
    let provider = Provider::start().await;
    let name = unique("elsewhere");
    let wish = with(function(&name, "cat"), json!({"network": "func_functions"}));
    provider.have(&wish).await;
    let plain = unique("here");
    provider.have(&function(&plain, "cat")).await;
    let networks = |name: &str| service(name)["Spec"]["TaskTemplate"]["Networks"].clone();
    assert!(networks(&name).is_array());
    assert_eq!(networks(&name), networks(&plain));
}

#[tokio::test]
async fn a_deployment_that_cannot_be_is_refused_before_anything_is_touched() {
    let provider = Provider::start().await;
    let name = unique("wrong");
    for (wrong, words) in [
        (
            json!({"secrets": ["nobody-has-this"]}),
            "secrets: `nobody-has-this` does not exist",
        ),
        (json!({"constraints": ["zone=b"]}), "constraints: `zone=b`"),
        (
            json!({"limits": {"memory": "1Mi"}}),
            "limits.memory: `1Mi` is below",
        ),
        (
            json!({"labels": {"ferrofaas.owner": "me"}}),
            "labels.ferrofaas.owner: ",
        ),
        (
            json!({"network": "bridge"}),
            "network: `bridge` is no overlay network",
        ),
        (json!({"registryAuth": "???"}), "registryAuth: no base64"),
        (json!({"image": "Not/An//Image"}), "image: "),
        (
            json!({"namespace": "nobody-made-this"}),
            "namespace: `nobody-made-this` does not exist",
        ),
    ] {
        let (status, text) = provider.deploy(&with(function(&name, "cat"), wrong)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(
            text.starts_with(words),
            "`{text}` does not start with `{words}`"
        );
    }
    assert!(!has_service(&name));
    provider.have(&function(&name, "cat")).await;
    let before = service(&name)["Version"].clone();
    let missing = with(
        function(&name, "cat"),
        json!({"secrets": ["nobody-has-this"]}),
    );
    assert_eq!(provider.update(&missing).await.0, 400);
    assert_eq!(service(&name)["Version"], before);
}
