use super::*;

fn wish() -> FunctionDeployment {
    FunctionDeployment {
        service: "echo".into(),
        image: "echo:1".into(),
        ..Default::default()
    }
}

fn written(deployment: &FunctionDeployment, onto: Value) -> Result<Value, ProviderError> {
    let name = FunctionName::new("echo", "openfaas-fn");
    let plan = Plan {
        name: &name,
        service: "echo",
        deployment,
        network: "net1",
        secrets: &[MountedSecret {
            id: "s1".into(),
            swarm_name: "key__v2".into(),
            name: "key".into(),
        }],
    };
    let Value::Object(mut spec) = onto else {
        panic!("no object")
    };
    plan.write(&mut spec)?;
    Ok(Value::Object(spec))
}

fn complaint(change: impl FnOnce(&mut FunctionDeployment)) -> String {
    let mut deployment = wish();
    change(&mut deployment);
    written(&deployment, json!({})).unwrap_err().to_string()
}

fn amounts_of(memory: &str, cpu: &str) -> FunctionResources {
    FunctionResources {
        memory: memory.into(),
        cpu: cpu.into(),
        ..Default::default()
    }
}

#[test]
fn a_plain_deployment() {
    let spec = written(&wish(), json!({})).unwrap();
    let template = &spec["TaskTemplate"];
    let container = &template["ContainerSpec"];
    assert_eq!(spec["EndpointSpec"], json!({"Mode": "dnsrr"}));
    assert_eq!(container["Image"], "echo:1");
    assert_eq!(container["Mounts"], json!([]));
    assert_eq!(
        container["Secrets"][0]["File"]["Name"],
        "/var/openfaas/secrets/key"
    );
    assert_eq!(container["Secrets"][0]["SecretName"], "key__v2");
    assert_eq!(
        template["RestartPolicy"],
        json!({"Condition": "any", "Delay": 2_000_000_000})
    );
    assert_eq!(
        template["Placement"]["Constraints"],
        json!(["node.platform.os==linux"])
    );
    assert_eq!(template["Networks"], json!([{"Target": "net1"}]));
    assert_eq!(spec["UpdateConfig"]["Order"], "start-first");
    assert_eq!(spec["UpdateConfig"]["FailureAction"], "rollback");
    assert!(container.get("Healthcheck").is_none());
}

#[test]
fn an_update_keeps_what_it_does_not_know_and_replaces_all_it_does() {
    let mut first = wish();
    first.env_vars = [("A".to_owned(), "1".to_owned())].into();
    first.read_only_root_filesystem = true;
    let mut spec = written(&first, json!({})).unwrap();
    let container = &mut spec["TaskTemplate"]["ContainerSpec"];
    container["Healthcheck"] = json!({"Test": ["CMD", "x"]});
    container["Mounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"Target": "/data"}));
    spec["TaskTemplate"]["LogDriver"] = json!({"Name": "local"});
    set_replicas(spec.as_object_mut().unwrap(), 7);

    let spec = written(&wish(), spec).unwrap();
    let template = &spec["TaskTemplate"];
    assert_eq!(
        template["ContainerSpec"]["Healthcheck"],
        json!({"Test": ["CMD", "x"]})
    );
    assert_eq!(
        template["ContainerSpec"]["Mounts"],
        json!([{"Target": "/data"}])
    );
    assert_eq!(template["ContainerSpec"]["Env"], json!([]));
    assert_eq!(template["LogDriver"], json!({"Name": "local"}));
    assert_eq!(template["ForceUpdate"], 2);
    assert_eq!(spec["Mode"], json!({"Replicated": {"Replicas": 7}}));
}

#[test]
fn variables_are_sorted_and_no_templates() {
    let mut deployment = wish();
    deployment.env_process = "cat -".into();
    deployment.env_vars = [("Z", "{{.Node.ID}}"), ("A", "a=b"), ("fprocess", "other")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let expected = ["A=a=b", r#"Z={{"{{"}}.Node.ID}}"#, "fprocess=other"];
    assert_eq!(environment(&deployment), expected);
}

#[test]
fn a_read_only_root_leaves_tmp_writable() {
    let mut deployment = wish();
    deployment.read_only_root_filesystem = true;
    let container = &written(&deployment, json!({})).unwrap()["TaskTemplate"]["ContainerSpec"];
    assert_eq!(container["ReadOnly"], true);
    assert_eq!(container["Mounts"][0]["Target"], "/tmp");
    assert_eq!(container["Mounts"][0]["Type"], "tmpfs");
}

#[test]
fn amounts_in_the_units_of_kubernetes_and_of_old_deployments() {
    for (given, expected) in [
        (
            amounts_of("128Mi", "100m"),
            json!({"MemoryBytes": 128 << 20, "NanoCPUs": 100_000_000}),
        ),
        (
            amounts_of("64 MB", "500000000"),
            json!({"MemoryBytes": 64 << 20, "NanoCPUs": 500_000_000}),
        ),
        (amounts_of("", "0.5"), json!({"NanoCPUs": 500_000_000})),
    ] {
        let mut deployment = wish();
        deployment.limits = Some(given);
        let spec = written(&deployment, json!({})).unwrap();
        assert_eq!(spec["TaskTemplate"]["Resources"]["Limits"], expected);
        assert_eq!(spec["TaskTemplate"]["Resources"]["Reservations"], json!({}));
    }
    let small = complaint(|wish| wish.limits = Some(amounts_of("1Mi", "")));
    assert!(
        small.starts_with("limits.memory: `1Mi` is below"),
        "{small}"
    );
    let gpu = complaint(|wish| {
        wish.requests = Some(FunctionResources {
            nvidia_gpu: "1".into(),
            ..Default::default()
        });
    });
    assert!(gpu.starts_with("requests.nvidia.com/gpu: "), "{gpu}");
}

#[test]
fn constraints_that_the_swarm_would_not_understand() {
    for good in [
        "node.role == worker",
        "node.labels.zone!=b",
        "engine.labels.x==y",
        "Node.Hostname==n1",
    ] {
        assert!(constraints(&[good.to_owned()]).is_ok(), "{good}");
    }
    for bad in [
        "",
        "zone=b",
        "node.role",
        "node.role==",
        "node.labels.==x",
        "disk==ssd",
    ] {
        let error = constraints(&[bad.to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("constraints: "), "{error}");
    }
}

#[test]
fn a_task_may_drain_as_long_as_its_watchdog_takes() {
    let grace = |variables: &[(&str, &str)], annotations: &[(&str, &str)]| {
        let texts = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).into(), (*b).into()))
                .collect()
        };
        let mut deployment = wish();
        deployment.env_vars = texts(variables);
        deployment.annotations = texts(annotations);
        stop_grace(&deployment).as_secs()
    };
    assert_eq!(grace(&[], &[]), 65);
    assert_eq!(grace(&[("write_timeout", "2m")], &[]), 245);
    assert_eq!(
        grace(
            &[("write_timeout", "10"), ("healthcheck_interval", "5s")],
            &[]
        ),
        20
    );
    assert_eq!(grace(&[("write_timeout", "soon")], &[]), 65);
    assert_eq!(
        grace(&[("grace_period", "20s"), ("write_timeout", "2m")], &[]),
        20
    );
    assert_eq!(grace(&[], &[("grace_period", "7s")]), 7);
}
