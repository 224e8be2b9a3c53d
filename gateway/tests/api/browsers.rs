//! A gateway on a developer's machine, and the web pages that its owner visits.

use faas_gateway::Config;

use crate::support::{Answer, Deployed, Fake, TestGateway, config};

async fn guarded(fake: &Fake) -> TestGateway {
    let config = Config {
        browser_guard: true,
        ..config(fake.address)
    };
    TestGateway::with(config).await.once_ready().await
}

#[tokio::test]
async fn a_page_from_elsewhere_may_not_change_or_call_anything() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = guarded(&fake).await;
    for path in ["/system/functions", "/function/f", "/system/alert"] {
        for (name, value) in [
            ("Origin", "http://evil.example"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Host", "evil.example"),
        ] {
            let asked = gateway.request("POST", path).header(name, value).body("{}");
            let answer = Answer::to(asked).await;
            assert_eq!(answer.status, 403, "{path} {name}");
            assert_eq!(answer.header("x-openfaas-internal"), "gateway");
        }
    }
    assert_eq!(fake.seen("POST").len(), 0);
    let started = [("function_name", "f.openfaas-fn")];
    let calls = gateway.sample("gateway_function_invocation_started", &started);
    assert_eq!(calls.await, None);
}

#[tokio::test]
async fn a_name_elsewhere_that_points_here_reads_nothing() {
    let fake = Fake::start().await;
    let gateway = guarded(&fake).await;
    let asked = gateway.request("GET", "/system/functions");
    let answer = Answer::to(asked.header("Host", "evil.example")).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn the_owner_is_served() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = guarded(&fake).await;
    let own = gateway.request("POST", "/function/f");
    let own = own.header("Origin", format!("http://{}", gateway.at.public));
    assert_eq!(Answer::to(own).await.status, 200);
    assert_eq!(gateway.get("/system/functions").await.status, 200);
}
