//! The matrix: what is wrong with the platform, and which checks say so. No others may.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use certifier::{Options, Redirector, Report, rules, run};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::model::{Model, SECOND};

macro_rules! faults {
    ($($fault:ident: $($id:literal),+;)+) => {
        /// One way to be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($fault),+ }

        /// Each fault, with the checks that must fail under it.
        const MATRIX: &[(Fault, &[&str])] = &[$((Fault::$fault, &[$($id),+])),+];
    };
}

faults! {
    Unhealthy: "health.ok";
    ShaEmpty: "info.provider";
    NoGatewayVersion: "info.gateway-version";
    NoNamespaces: "namespaces.listed", "namespaces.exact";
    NamespaceTwice: "namespaces.exact";
    NamespaceIgnored: "namespaces.apart", "deploy.listed-at-once";

    DeployIs201: "deploy.accepted";
    NullRefused: "deploy.null-metadata", "secrets.read-text", "secrets.read-bytes",
        "secrets.update-text", "secrets.update-bytes", "secrets.delete-accepted";
    NamespaceNotSaid: "deploy.readable-at-once", "deploy.listed-at-once";
    NotListed: "deploy.listed-at-once", "namespaces.apart";
    ListedTwice: "deploy.listed-at-once", "namespaces.apart";
    NeverAvailable: "deploy.becomes-available", "deploy.available-means-callable",
        "scale.zero-visible-at-once", "scale.from-zero";
    AvailableTooSoon: "deploy.available-means-callable";
    StatusOfUnknown: "status.unknown-is-404", "update.unknown-is-404", "delete.gone";

    LabelsLowered: "deploy.labels-round-trip";
    LabelsMissing: "deploy.labels-never-null", "deploy.null-metadata";
    NoFunctionLabel: "deploy.faas-function-label";
    AnnotationsTrimmed: "deploy.annotations-round-trip";
    AnnotationsNull: "deploy.annotations-never-null", "deploy.null-metadata";
    ImageShortened: "deploy.image-exact";
    ProcessSplit: "deploy.process-exact";
    MemoryInBytes: "deploy.memory-limit-round-trip";
    CpuDropped: "deploy.cpu-limit-round-trip";
    EnvInvented: "deploy.nothing-invented";
    ConstraintInvented: "deploy.nothing-invented";
    RootReadOnly: "deploy.root-writable";

    UpdateCreates: "update.unknown-is-404";
    UpdateIs201: "update.accepted";
    UpdateIgnored: "update.visible-at-once";
    DeleteIs204: "delete.accepted";
    DeleteIgnored: "delete.gone", "clean-up.complete";

    EveryCallIsGet: "call.post", "call.put", "call.patch", "call.delete";
    EveryCallIsPost: "call.get", "call.put", "call.patch", "call.delete";
    EnvValueLost: "call.env-value";
    QueryDropped: "call.query";
    BodyDropped: "call.body-exact", "deploy.available-means-callable", "scale.from-zero",
        "logs.call-ends";
    BodyAsText: "call.body-exact";
    NoCallId: "call.call-id";
    StartTimeInSeconds: "call.start-time";
    UnknownIs503: "call.unknown-function", "call.empty-name";
    EmptyNameIs500: "call.empty-name";
    RedirectFollowed: "call.redirect-not-followed";
    LocationRewritten: "call.redirect-not-followed";

    LogsNeverEnd: "logs.ends-without-follow", "logs.lines", "logs.own-lines", "logs.call-begins",
        "logs.call-ends";
    LogsPlain: "logs.lines", "logs.own-lines", "logs.call-begins", "logs.call-ends";
    LogsOfAnother: "logs.own-lines";
    LogsWithoutNamespace: "logs.own-lines";
    LogsWithoutInstance: "logs.lines";
    NoForkingLine: "logs.call-begins";
    WrongLength: "logs.call-ends";

    MinimumIgnored: "scale.minimum-label";
    ScaleIs204: "scale.zero-accepted";
    ZeroClamped: "scale.zero-visible-at-once";
    StaysAtZero: "scale.from-zero";

    SecretCreateIs204: "secrets.create-text", "secrets.create-bytes";
    RawValueUnknown: "secrets.create-bytes", "secrets.read-bytes", "secrets.update-bytes";
    SecretTrimmed: "secrets.read-bytes", "secrets.update-bytes";
    SecretEncoded: "secrets.read-text", "secrets.read-bytes", "secrets.update-text",
        "secrets.update-bytes";
    SecretsNotListed: "secrets.listed", "secrets.never-disclosed", "secrets.gone";
    SecretsDisclosed: "secrets.never-disclosed";
    SecretUpdateRefused: "secrets.update-accepted", "secrets.update-text", "secrets.update-bytes";
    SecretUpdateIs201: "secrets.update-accepted";
    SecretUpdateIgnored: "secrets.update-text", "secrets.update-bytes";
    SecretDeleteIs204: "secrets.delete-accepted";
    SecretDeleteIgnored: "secrets.gone", "clean-up.complete";
}

/// So many runs at a time: most of each is waiting for something that will not come.
const PARALLEL: usize = 8;

/// Everything the suite has, with as little waiting as a busy machine allows.
pub(crate) fn everything(url: String) -> Options {
    Options {
        namespaces: vec![SECOND.to_owned()],
        timeout: Duration::from_millis(1500),
        redirector: Some(Redirector {
            image: "redirector".into(),
            process: "./handler".into(),
        }),
        ..Options::gateway(url)
    }
}

fn failed(report: &Report) -> BTreeSet<&'static str> {
    report.failed().iter().map(|line| line.rule.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_found_by_the_checks_that_guard_it_and_by_no_others() {
    let turns = Arc::new(Semaphore::new(PARALLEL));
    let mut runs = JoinSet::new();
    for &(fault, expected) in MATRIX {
        let turns = turns.clone();
        runs.spawn(async move {
            let _turn = turns.acquire_owned().await;
            let url = Arc::new(Model::gateway(Some(fault))).serve().await;
            (fault, expected, run(everything(url)).await)
        });
    }
    let mut wrong = Vec::new();
    while let Some(done) = runs.join_next().await {
        let (fault, expected, report) = done.unwrap();
        let (expected, got) = (expected.iter().copied().collect(), failed(&report));
        if got != expected {
            wrong.push(format!(
                "{fault:?}: expected {expected:?}, failed {got:?}\n{report}"
            ));
        }
        assert!(!report.success(), "{fault:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_check_fails_under_some_fault() {
    let guarded: BTreeSet<_> = MATRIX
        .iter()
        .flat_map(|(_, ids)| ids.iter().copied())
        .collect();
    // These two have tests of their own: no platform, and no such check.
    let apart = BTreeSet::from(["reach.answers", "selection.matches"]);
    let all: BTreeSet<_> = rules().iter().map(|rule| rule.id).collect();
    assert_eq!(&guarded | &apart, all);
}
