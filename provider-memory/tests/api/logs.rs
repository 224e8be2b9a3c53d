//! Logs: what replicas said, and what they say while somebody listens.

use futures_util::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::binary::Binary;
use crate::support::{Api, Home, Provider, function, soon, until, with};

/// A function that writes what it is sent into its log.
fn loud(process: &str) -> Value {
    with(
        function("loud", process),
        json!({"envVars": {"combine_output": "false"}}),
    )
}

async fn say(api: &Api, words: &str) {
    let (status, answer) = api.call("loud", words).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// Waits until the log has a line with these words.
async fn logged(api: &Api, words: &str) {
    until(words, async || api.log("loud").await.contains(words)).await;
}

/// A log that is followed.
struct Follower {
    stream: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<Vec<u8>>> + Send>>,
    text: String,
}

impl Follower {
    async fn start(api: &Api, query: &str) -> Self {
        let path = format!("/system/logs?name=loud&follow=true{query}");
        let response = soon("the log", api.request(Method::GET, &path).send())
            .await
            .unwrap();
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        Self {
            stream: response
                .bytes_stream()
                .map(|chunk| chunk.map(|bytes| bytes.to_vec()))
                .boxed(),
            text: String::new(),
        }
    }

    async fn hears(&mut self, words: &str) {
        while !self.text.contains(words) {
            let chunk = soon(words, self.stream.next()).await.unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn a_line_has_five_keys_and_says_where_it_comes_from() {
    let provider = Provider::start().await;
    provider.have(&loud("tee /dev/stderr")).await;
    say(&provider, "<&>\n").await;
    logged(&provider, "<&>").await;
    let lines = provider.log_lines("loud", "").await;
    let line = lines.last().unwrap().as_object().unwrap();
    let keys: Vec<&String> = line.keys().collect();
    assert_eq!(keys, ["instance", "name", "namespace", "text", "timestamp"]);
    assert_eq!(
        (&line["name"], &line["namespace"]),
        (&json!("loud"), &json!("openfaas-fn"))
    );
    assert_eq!(line["instance"], "loud-1");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn a_follower_hears_what_is_said_while_it_listens_across_zero_and_back() {
    let provider = Provider::start().await;
    provider.have(&loud("tee /dev/stderr")).await;
    say(&provider, "before\n").await;
    let mut follower = Follower::start(&provider, "").await;
    follower.hears("before").await;
    say(&provider, "during\n").await;
    follower.hears("during").await;
    provider.scale("loud", 0).await;
    provider.available("loud", 0).await;
    provider.scale("loud", 2).await;
    provider.available("loud", 2).await;
    say(&provider, "after\n").await;
    follower.hears("after").await;
    assert!(follower.text.contains("loud-2") && follower.text.contains("loud-3"));
}

#[tokio::test]
async fn a_followed_log_ends_cleanly_when_the_function_is_deleted() {
    let provider = Provider::start().await;
    provider.have(&loud("cat")).await;
    let mut follower = Follower::start(&provider, "").await;
    provider.delete("loud").await;
    let end = async {
        while let Some(chunk) = follower.stream.next().await {
            chunk.expect("a clean end");
        }
    };
    soon("the end", end).await;
}

#[tokio::test]
async fn tail_since_and_instance_choose_lines() {
    let provider = Provider::start().await;
    provider.have(&loud("tee /dev/stderr")).await;
    provider.scale("loud", 2).await;
    provider.available("loud", 2).await;
    for n in 0..20 {
        say(&provider, &format!("word-{n}\n")).await;
    }
    logged(&provider, "word-19").await;
    let lines = provider.log_lines("loud", "").await;

    let tail = provider.log_lines("loud", "&tail=3").await;
    assert_eq!(tail.len(), 6);
    for instance in ["loud-1", "loud-2"] {
        let of = |lines: &[Value]| -> Vec<Value> {
            let of = lines.iter().filter(|line| line["instance"] == instance);
            of.cloned().collect()
        };
        let all = of(&lines);
        assert_eq!(of(&tail), all[all.len() - 3..]);
        let query = format!("&instance={instance}");
        assert_eq!(provider.log_lines("loud", &query).await, all);
    }
    for query in ["&tail=0", "&tail=-1"] {
        assert_eq!(provider.log_lines("loud", query).await, lines);
    }
    let half = lines.len() / 2;
    let since = format!("&since={}", lines[half]["timestamp"].as_str().unwrap());
    assert_eq!(provider.log_lines("loud", &since).await, lines[half..]);
}

#[tokio::test]
async fn a_follower_can_choose_too() {
    let provider = Provider::start().await;
    provider.have(&loud("tee /dev/stderr")).await;
    say(&provider, "old\n").await;
    logged(&provider, "old").await;
    let last = provider.log_lines("loud", "&tail=1").await;
    let mut follower = Follower::start(&provider, "&tail=1&instance=loud-1").await;
    say(&provider, "new\n").await;
    follower.hears("new").await;
    let first: Value = serde_json::from_str(follower.text.lines().next().unwrap()).unwrap();
    assert_eq!(first, last[0]);
}

#[tokio::test]
async fn long_lines_and_garbage_stay_one_line_each() {
    let provider = Provider::start().await;
    provider.home.script(
        "odd.sh",
        "printf 'a\\377b\\n\\ngr\\303\\274n\\n' >&2; head -c 50000 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2",
    );
    provider.have(&loud("sh odd.sh")).await;
    say(&provider, "").await;
    logged(&provider, "end").await;
    let log = provider.log("loud").await;
    for line in ["a\u{fffd}b", "grün", &"x".repeat(50_000)] {
        assert!(log.lines().any(|seen| seen.ends_with(line)), "{line:.20}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_said_by_name() {
    let provider = Provider::start().await;
    provider.have(&loud("cat")).await;
    for (query, status, field) in [
        ("", 400, "name: "),
        ("name=loud&tail=x", 422, "tail: "),
        ("name=loud&since=yesterday", 422, "since: "),
        ("name=..%2F..", 404, "function "),
    ] {
        let (got, words) = provider.get(&format!("/system/logs?{query}")).await;
        assert_eq!(got.as_u16(), status, "{query}: {words}");
        assert!(words.starts_with(field), "{query}: {words}");
    }
}

#[tokio::test]
async fn followers_that_leave_leave_nothing_behind() {
    let home = Home::new();
    let provider = Binary::start(&home).await;
    provider.have(&loud("tee /dev/stderr")).await;
    let before = provider.descriptors();
    for _ in 0..10 {
        let mut followers = Vec::new();
        for _ in 0..20 {
            followers.push(Follower::start(&Api::at(provider.url.clone()), "").await);
        }
        assert!(provider.descriptors() >= before + 20);
        drop(followers);
        until("the connections to close", async || {
            provider.descriptors() <= before + 2
        })
        .await;
    }
}

#[tokio::test]
async fn a_line_of_100_kib_is_one_line() {
    let provider = Provider::start().await;
    let (long, more) = (
        "x".repeat(100 * 1024),
        format!("{}\n", "y".repeat(99)).repeat(1_000),
    );
    for mode in ["classic", "streaming"] {
        let variables = json!({"combine_output": "false", "mode": mode});
        let deployment = with(
            function(mode, "tee /dev/stderr"),
            json!({"envVars": variables}),
        );
        provider.have(&deployment).await;
        for body in [format!("{long}\n"), format!("{more}{long}\n")] {
            let (status, answer) = provider.call(mode, &body).await;
            assert_eq!((status, answer), (StatusCode::OK, body));
        }
        until("both are logged", async || {
            let lines = provider.log_lines(mode, "").await;
            let texts = lines.iter().filter_map(|line| line["text"].as_str());
            let whole = texts.filter(|text| text.ends_with(&long));
            whole.count() == 2
        })
        .await;
        let lines = provider.log_lines(mode, "").await;
        let first = lines.iter().find_map(|line| {
            let said = line["text"].as_str().unwrap();
            said.ends_with(&long).then(|| said.len() - long.len())
        });
        assert_eq!(first, Some("2006/01/02 15:04:05 stderr: ".len()), "{mode}");
    }
}
