//! A call as the probe saw it.

use hyper::Method;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Request};
use crate::target::Target;

/// The probe's description of the call that it got, and the answer it came in.
pub(super) struct Seen {
    pub(super) answer: Answer,
    told: Value,
}

/// What the shared probe sees of a call to `rest`.
pub(super) async fn seen(target: &Target, method: Method, rest: &str) -> Outcome<Seen> {
    let request = target.shared_probe(method, rest, &[]).await?;
    seen_of(target, request).await
}

/// What the probe sees of this call of it.
pub(super) async fn seen_of(target: &Target, request: Request) -> Outcome<Seen> {
    Seen::new(target.send(request).await?)
}

impl Seen {
    pub(super) fn new(answer: Answer) -> Outcome<Self> {
        let answer = answer.with_status(&[200])?;
        let told = answer.json()?;
        Ok(Self { answer, told })
    }

    /// What the probe says at `key`.
    pub(super) fn value(&self, key: &str) -> &Value {
        &self.told[key]
    }

    pub(super) fn is(&self, key: &str, wanted: impl Into<Value>) -> Outcome {
        let wanted = wanted.into();
        match self.value(key) {
            got if *got == wanted => Ok(()),
            got => Err(self.fault(
                format!("a call with the {key} {wanted} at the function"),
                got.to_string(),
            )),
        }
    }

    /// Every value of a header, in order, with lists taken apart.
    pub(super) fn header(&self, name: &str) -> Vec<String> {
        let pairs = self.told["headers"].as_array().into_iter().flatten();
        let values = pairs.filter(|pair| pair[0] == name);
        values
            .filter_map(|pair| pair[1].as_str())
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_owned())
            .collect()
    }

    pub(super) fn header_is(&self, name: &str, wanted: &[&str]) -> Outcome {
        let got = self.header(name);
        match got == wanted {
            true => Ok(()),
            false => Err(self.fault(
                format!("{name}: {} at the function", json!(wanted)),
                json!(got).to_string(),
            )),
        }
    }

    pub(super) fn fault(&self, expected: impl Into<String>, got: impl Into<String>) -> Failure {
        self.answer.fault(expected, got)
    }
}
