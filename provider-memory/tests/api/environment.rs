//! What a function sees: its own environment, its program, its files, and nothing of ours.

use std::collections::BTreeMap;

use faas_provider_memory::sandbox::Allowed;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Home, Provider, accepted, answer, function, ok, until, with};

/// What `env -0` says, without what the watchdog adds for each call.
async fn variables(provider: &Provider, name: &str) -> BTreeMap<String, String> {
    let (status, text) = provider.call(name, "").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let pairs = text.split_terminator('\0');
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
    let own = pairs.filter(|(name, _)| !name.starts_with("Http_"));
    own.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn variables_arrive_byte_for_byte_and_beside_them_who_the_function_is() {
    let provider = Provider::start().await;
    let odd = json!({
        "EQUALS": "a=b=c",
        "LINES": "one\ntwo\n",
        "UNICODE": "grüße 🦀",
        "BRACES": "{{x}} ${HOME} $PORT",
        "QUOTES": "\"'`",
        "BLANKS": "  a  b ",
        "EMPTY": "",
        "lower.case-name": "x",
    });
    let body = with(function("show", "env -0"), json!({"envVars": odd}));
    provider.have(&body).await;
    let mut expected: BTreeMap<String, String> = serde_json::from_value(odd).unwrap();
    expected.insert("fprocess".into(), "env -0".into());
    expected.insert("OPENFAAS_NAME".into(), "show".into());
    expected.insert("OPENFAAS_NAMESPACE".into(), "openfaas-fn".into());
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    expected.insert("PATH".into(), path.into());
    assert_eq!(variables(&provider, "show").await, expected);
}

/// What a watchdog with `jwt_auth` makes sure that a token was made for.
#[tokio::test]
async fn a_function_knows_who_it_is_unless_its_variables_say_otherwise() {
    let provider = Provider::start().await;
    provider.create_namespace("staging").await;
    let own = json!({"envVars": {"OPENFAAS_NAME": "own", "OPENFAAS_NAMESPACE": ""}});
    for (name, namespace, more, expected) in [
        ("plain", "openfaas-fn", json!({}), ("plain", "openfaas-fn")),
        ("moved", "staging", json!({}), ("moved", "staging")),
        ("told", "openfaas-fn", own, ("own", "")),
    ] {
        let body = with(function(name, "env -0"), json!({"namespace": namespace}));
        let body = with(body, more);
        provider.have(&body).await;
        let seen = variables(&provider, &format!("{name}.{namespace}")).await;
        let identity = (&*seen["OPENFAAS_NAME"], &*seen["OPENFAAS_NAMESPACE"]);
        assert_eq!(identity, expected);
        // The deployment is told as it was sent.
        let path = format!("{name}?namespace={namespace}");
        let status = provider.status(&path).await;
        assert_eq!(status.get("envVars"), body.get("envVars"));
    }
}

#[tokio::test]
async fn the_variable_fprocess_wins_over_env_process() {
    let provider = Provider::start().await;
    let more = json!({"envVars": {"fprocess": "wc -c"}});
    provider.have(&with(function("both", "cat"), more)).await;
    assert_eq!(provider.call("both", "hello").await, ok("5\n"));
    let status = provider.status("both").await;
    assert_eq!(
        (&status["envProcess"], &status["envVars"]["fprocess"]),
        (&json!("cat"), &json!("wc -c"))
    );
}

#[tokio::test]
async fn an_image_without_a_program_is_refused_with_what_to_set() {
    let provider = Provider::start().await;
    let body = json!({"service": "f", "image": "functions/alpine:latest"});
    let (status, words) = provider.post_function(&body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let expected = "image: `functions/alpine:latest` has no program here; set envProcess to the program to run, \
                    or map the image in image_map\n";
    assert_eq!(words, expected);
}

#[tokio::test]
async fn the_image_map_gives_an_image_its_program_environment_and_directory() {
    let home = Home::new();
    std::fs::create_dir(home.path("elsewhere")).unwrap();
    std::fs::write(home.path("elsewhere/words"), "from elsewhere").unwrap();
    let map = home.path("images.toml");
    let directory = home.path("elsewhere");
    let text = format!(
        "[\"functions/words:latest\"]\ncommand = \"cat words\"\ndirectory = {directory:?}\n\
         [\"show\"]\ncommand = \"env -0\"\nenvironment = {{ A = \"image\", B = \"image\" }}\n"
    );
    std::fs::write(&map, &text).unwrap();
    let provider = Provider::with(
        home,
        |config| config.image_map = Some(map.clone()),
        Allowed::default(),
    )
    .await;

    let image = "docker.io/functions/words";
    provider
        .have(&json!({"service": "words", "image": image}))
        .await;
    assert_eq!(provider.call("words", "").await, ok("from elsewhere"));
    let status = provider.status("words").await;
    assert_eq!(
        (&status["image"], status.get("envProcess")),
        (&json!(image), None)
    );

    let more = json!({"service": "show", "image": "show", "envVars": {"B": "own"}});
    provider.have(&more).await;
    let seen = variables(&provider, "show").await;
    assert_eq!((&*seen["A"], &*seen["B"]), ("image", "own"));

    // What is deployed wins; the map is read anew each time.
    let own = json!({"service": "own", "image": "show", "envProcess": "wc -c"});
    provider.have(&own).await;
    assert_eq!(provider.call("own", "hello").await, ok("5\n"));
    let later = "[\"later\"]\ncommand = \"wc -c\"\n[\"unseen\"]\ncommand = \"ls\"\ndirectory = \"/tmp/x\"\n";
    std::fs::write(&map, text + later).unwrap();
    provider
        .have(&json!({"service": "later", "image": "later"}))
        .await;
    // But for directories, which the sandbox has to know.
    let unseen = json!({"service": "unseen", "image": "unseen"});
    let (status, words) = provider.post_function(&unseen).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        words.contains("/tmp/x while the provider runs; restart it"),
        "{words}"
    );
}

#[tokio::test]
async fn port_stands_for_a_free_port_in_the_program() {
    let provider = Provider::start().await;
    provider.have(&function("port", "echo $PORT")).await;
    let (_, port) = provider.call("port", "").await;
    assert!(
        port.trim().parse::<u16>().is_ok_and(|port| port > 1024),
        "{port}"
    );
    assert_eq!(provider.status("port").await["envProcess"], "echo $PORT");
}

#[tokio::test]
async fn functions_start_in_their_directory_and_cannot_write_there() {
    let provider = Provider::start().await;
    provider.home.script(
        "look.sh",
        "pwd; (echo x > new) 2>/dev/null || echo sealed; echo x > /tmp/new && echo private",
    );
    provider.have(&function("look", "sh look.sh")).await;
    let directory = provider.home.path("functions");
    let expected = format!("{}\nsealed\nprivate\n", directory.display());
    assert_eq!(provider.call("look", "").await, ok(&expected));
    assert!(!directory.join("new").exists());
}

#[tokio::test]
async fn every_replica_has_a_tmp_of_its_own() {
    let provider = Provider::start().await;
    provider
        .home
        .script("count.sh", "echo x >> /tmp/calls; wc -l < /tmp/calls");
    provider.have(&function("tmp", "sh count.sh")).await;
    assert_eq!(provider.call("tmp", "").await, ok("1\n"));
    assert_eq!(provider.call("tmp", "").await, ok("2\n"));
    provider.scale("tmp", 2).await;
    provider.available("tmp", 2).await;
    until("the other replica", async || {
        provider.call("tmp", "").await == ok("1\n")
    })
    .await;
    provider.have(&function("other", "ls /tmp")).await;
    assert_eq!(provider.call("other", "").await, ok(""));
}

#[tokio::test]
async fn a_read_only_root_is_read_only_but_for_tmp() {
    let provider = Provider::start().await;
    provider.home.script("write.sh", "(touch /var/x || touch /root/x || touch /x) 2>/dev/null || echo sealed; touch /tmp/x && echo tmp");
    let more = json!({"readOnlyRootFilesystem": true});
    provider
        .have(&with(function("sealed", "sh write.sh"), more))
        .await;
    assert_eq!(provider.call("sealed", "").await, ok("sealed\ntmp\n"));
}

#[tokio::test]
async fn the_providers_data_is_out_of_sight() {
    let provider = Provider::start().await;
    provider
        .create_secret(&json!({"name": "key", "value": "hidden-value"}))
        .await;
    let data = provider.home.path("data");
    let list = format!("cat {}", data.join("provider-memory.json").display());
    assert!(std::fs::read_to_string(data.join("provider-memory.json")).is_ok());
    provider.have(&function("spy", &list)).await;
    let (status, words) = provider.call("spy", "").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!words.contains("aGlkZGVuLXZhbHVl"), "{words}");
}

#[tokio::test]
async fn names_and_quantities_that_cannot_be_are_refused_by_field() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    let long = "x".repeat(64);
    for (more, field) in [
        (json!({"service": ""}), "service: "),
        (json!({"service": ".."}), "service: "),
        (json!({"service": "UPPER"}), "service: "),
        (json!({"service": long}), "service: "),
        (json!({"image": ""}), "image: "),
        (json!({"limits": {"memory": "lots"}}), "limits.memory: "),
        (json!({"limits": {"cpu": "x"}}), "limits.cpu: "),
        (
            json!({"labels": {"com.openfaas.scale.min": "-1"}}),
            "labels.com.openfaas.scale.min: ",
        ),
        (json!({"secrets": ["../x"]}), "secrets: "),
        (json!({"secrets": ["a", "a"]}), "secrets: "),
        (json!({"envVars": {"A=B": "x"}}), "envVars.A=B: "),
        (json!({"envVars": {"A": "x\u{0}y"}}), "envVars"),
        (json!({"labels": 5}), "labels"),
        (json!({"envVars": {"A": 1}}), "envVars"),
    ] {
        let body = with(function("count", "cat"), more);
        for (status, words) in [
            provider.post_function(&body).await,
            provider.update(&body).await,
        ] {
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {words}");
            assert!(
                words.starts_with(field) && words.lines().count() == 1,
                "{body}: {words}"
            );
        }
    }
    let raw = |body: Vec<u8>| {
        answer(
            provider
                .request(Method::PUT, "/system/functions")
                .body(body),
        )
    };
    assert_eq!(raw(b"{".to_vec()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(
        raw(b"{\"service\":\"\xff\"}".to_vec()).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        raw(vec![b' '; 2 << 20]).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(provider.call("count", "hello").await, ok("5\n"));
    assert_eq!(
        provider.update(&function("count", "wc -c")).await,
        accepted()
    );
}
