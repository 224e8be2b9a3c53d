//! Deploy, list, inspect, scale, delete: every change can be read as soon as it is answered.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Provider, accepted, function, ok, until, with};

#[tokio::test]
async fn a_function_is_read_as_soon_as_it_is_deployed_and_gone_as_soon_as_it_is_deleted() {
    let provider = Provider::start().await;
    assert_eq!(provider.get("/system/functions").await, ok("[]"));
    for _ in 0..3 {
        assert_eq!(
            provider.post_function(&function("count", "wc -c")).await,
            accepted()
        );
        assert_eq!(provider.status("count").await["name"], "count");
        assert_eq!(provider.json("/system/functions").await[0]["name"], "count");
        assert_eq!(provider.delete("count").await, accepted());
        assert_eq!(
            provider.get("/system/function/count").await.0,
            StatusCode::NOT_FOUND
        );
        assert_eq!(provider.get("/system/functions").await, ok("[]"));
    }
}

#[tokio::test]
async fn what_does_not_exist_is_404_in_one_line() {
    let provider = Provider::start().await;
    let body = function("nothing", "cat");
    for (status, words) in [
        provider.get("/system/function/nothing").await,
        provider.update(&body).await,
        provider.delete("nothing").await,
        provider.scale("nothing", 1).await,
        provider.get("/system/logs?name=nothing").await,
        provider.call("nothing", "").await,
    ] {
        assert_eq!(status, StatusCode::NOT_FOUND, "{words}");
        assert_eq!(words, "function nothing.openfaas-fn not found\n");
    }
    assert_eq!(provider.get("/system/functions").await, ok("[]"));
}

#[tokio::test]
async fn a_function_that_exists_is_not_deployed_again() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    let again = provider.post_function(&function("count", "cat")).await;
    assert_eq!(again.0, StatusCode::CONFLICT, "{}", again.1);
    assert_eq!(provider.call("count", "hello").await, ok("5\n"));
}

#[tokio::test]
async fn lists_are_sorted_by_name() {
    let provider = Provider::start().await;
    for name in ["b", "c", "a", "b-1"] {
        assert_eq!(
            provider.post_function(&function(name, "cat")).await,
            accepted()
        );
    }
    let list = provider.json("/system/functions").await;
    let names = list.as_array().unwrap().iter().map(|one| &one["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "b-1", "c"]);
}

#[tokio::test]
async fn replicas_come_and_go_as_asked_and_both_views_agree() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    for replicas in [3, 0, 2] {
        assert_eq!(provider.scale("count", replicas).await, accepted());
        assert_eq!(provider.status("count").await["replicas"], replicas);
        provider.available("count", replicas).await;
        let listed = &provider.json("/system/functions").await[0];
        assert_eq!(listed["availableReplicas"], replicas);
        assert_eq!(listed["replicas"], replicas);
    }
    assert_eq!(provider.call("count", "hello").await, ok("5\n"));
}

#[tokio::test]
async fn a_function_scaled_to_zero_refuses_calls() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    provider.scale("count", 0).await;
    until("the last replica to leave", async || {
        provider.call("count", "").await.0 != 200
    })
    .await;
    let (status, words) = provider.call("count", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(words, "no replica of count.openfaas-fn is ready\n");
}

#[tokio::test]
async fn the_minimum_label_is_where_replicas_begin() {
    let provider = Provider::start().await;
    let min = |min: &str| json!({"labels": {"com.openfaas.scale.min": min}});
    let body = with(function("count", "wc -c"), min("2"));
    assert_eq!(provider.post_function(&body).await, accepted());
    assert_eq!(provider.status("count").await["replicas"], 2);
    provider
        .update(&with(function("count", "wc -c"), min("3")))
        .await;
    assert_eq!(provider.status("count").await["replicas"], 3);
}

#[tokio::test]
async fn an_update_keeps_the_replicas_that_were_asked_for() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    provider.scale("count", 2).await;
    assert_eq!(provider.update(&function("count", "cat")).await, accepted());
    assert_eq!(provider.status("count").await["replicas"], 2);
    provider.scale("count", 0).await;
    assert_eq!(
        provider.update(&function("count", "wc -c")).await,
        accepted()
    );
    assert_eq!(provider.status("count").await["replicas"], 0);
}

#[tokio::test]
async fn the_time_of_creation_survives_scaling_and_updates() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    let created = provider.status("count").await["createdAt"].clone();
    assert!(
        created.as_str().is_some_and(|time| time.ends_with('Z')),
        "{created}"
    );
    provider.scale("count", 2).await;
    provider.update(&function("count", "cat")).await;
    assert_eq!(provider.status("count").await["createdAt"], created);
}

#[tokio::test]
async fn of_ten_deployments_of_one_name_at_once_one_wins() {
    let provider = Provider::start().await;
    let body = function("count", "wc -c");
    let answers = join_all((0..10).map(|_| provider.post_function(&body))).await;
    let with = |status| answers.iter().filter(|answer| answer.0 == status).count();
    assert_eq!(
        (with(StatusCode::ACCEPTED), with(StatusCode::CONFLICT)),
        (1, 9)
    );
    provider.available("count", 1).await;
}

#[tokio::test]
async fn of_twenty_deletions_at_once_one_finds_the_function() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    let answers = join_all((0..20).map(|_| provider.delete("count"))).await;
    let with = |status| answers.iter().filter(|answer| answer.0 == status).count();
    assert_eq!(
        (with(StatusCode::ACCEPTED), with(StatusCode::NOT_FOUND)),
        (1, 19)
    );
}

#[tokio::test]
async fn of_parallel_updates_the_last_is_there_entirely() {
    let provider = Provider::start().await;
    provider.have(&function("echo", "cat")).await;
    let bodies = (0..8).map(|n| {
        with(
            function("echo", "env"),
            json!({"image": format!("i{n}"), "envVars": {"n": n.to_string()}}),
        )
    });
    let bodies: Vec<_> = bodies.collect();
    let answers = join_all(bodies.iter().map(|body| provider.update(body))).await;
    assert!(answers.iter().all(|answer| *answer == accepted()));
    let status = provider.status("echo").await;
    let n = status["envVars"]["n"].as_str().unwrap().to_owned();
    assert_eq!(status["image"], format!("i{n}"));
    until("the last update to run", async || {
        provider
            .call("echo", "")
            .await
            .1
            .contains(&format!("\nn={n}\n"))
    })
    .await;
}

#[tokio::test]
async fn of_parallel_scalings_the_last_one_holds() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    let answers = join_all((0..6).map(|n| provider.scale("count", n % 3))).await;
    assert!(answers.iter().all(|answer| *answer == accepted()));
    let replicas = provider.status("count").await["replicas"].as_u64().unwrap();
    assert!(replicas < 3);
    provider.available("count", replicas).await;
}

#[tokio::test]
async fn deploying_and_deleting_one_name_in_parallel_ends_whole_or_not_at_all() {
    let provider = Provider::start().await;
    let body = function("count", "wc -c");
    let pairs = (0..30).map(|_| async {
        let deployed = provider.post_function(&body).await.0;
        let deleted = provider.delete("count").await.0;
        assert!(matches!(deployed.as_u16(), 202 | 409), "{deployed}");
        assert!(matches!(deleted.as_u16(), 202 | 404), "{deleted}");
    });
    join_all(pairs).await;
    let listed = provider.json("/system/functions").await;
    if listed == json!([]) {
        assert_eq!(
            provider.get("/system/function/count").await.0,
            StatusCode::NOT_FOUND
        );
        assert_eq!(provider.call("count", "").await.0, StatusCode::NOT_FOUND);
        assert_eq!(provider.post_function(&body).await, accepted());
    }
    provider.available("count", 1).await;
    assert_eq!(provider.call("count", "hello").await, ok("5\n"));
}

#[tokio::test]
async fn fifty_functions_deployed_at_once_are_all_there() {
    let provider = Provider::start().await;
    let bodies: Vec<_> = (0..50)
        .map(|n| function(&format!("f-{n}"), "wc -c"))
        .collect();
    let answers = join_all(bodies.iter().map(|body| provider.post_function(body))).await;
    assert!(
        answers.iter().all(|answer| *answer == accepted()),
        "{answers:?}"
    );
    let listed = provider.json("/system/functions").await;
    assert_eq!(listed.as_array().map(Vec::len), Some(50));
    for n in 0..50 {
        provider.available(&format!("f-{n}"), 1).await;
    }
}

#[tokio::test]
async fn the_path_and_the_body_of_a_scaling_may_not_differ() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    for (body, expected) in [
        (json!({"serviceName": "other", "replicas": 2}), 400),
        (json!({"replicas": -1}), 400),
        (json!({"replicas": 1.5}), 400),
        (json!({"replicas": 101}), 400),
        (json!({"replicas": 1}), 202),
    ] {
        let (status, words) = provider
            .send(Method::POST, "/system/scale-function/count", &body)
            .await;
        assert_eq!(status.as_u16(), expected, "{body}: {words}");
    }
    assert_eq!(provider.status("count").await["replicas"], 1);
}
