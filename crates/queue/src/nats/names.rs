//! What streams and subjects are called.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use sha2::{Digest, Sha256};

use crate::DeadId;

/// The names of one queue.
#[derive(Clone, Debug)]
pub(super) struct Names {
    queue: String,
}

impl Names {
    pub(super) fn of(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
        }
    }

    /// The stream of calls that wait.
    pub(super) fn calls(&self) -> String {
        format!("OF_{}", self.queue)
    }

    /// The stream of calls that were put off.
    pub(super) fn delayed(&self) -> String {
        format!("OF_delayed_{}", self.queue)
    }

    /// The stream of dead letters.
    pub(super) fn dead(&self) -> String {
        format!("OFDLQ_{}", self.queue)
    }

    pub(super) fn calls_subjects(&self) -> String {
        format!("openfaas.queue.{}.>", self.queue)
    }

    pub(super) fn delayed_subject(&self) -> String {
        format!("openfaas.delayed.{}", self.queue)
    }

    /// The stream of callbacks, of all queues.
    pub(super) fn callbacks() -> String {
        "OF_callbacks".to_owned()
    }

    /// The bucket of ends: one record of each call that has ended, for a while.
    pub(super) fn ends(&self) -> String {
        format!("KV_OF_status_{}", self.queue)
    }

    /// The bucket of what went before: of calls that were taken more than once.
    pub(super) fn attempts(&self) -> String {
        format!("KV_OF_attempts_{}", self.queue)
    }

    /// The bucket of cancelled calls.
    pub(super) fn cancels(&self) -> String {
        format!("KV_OF_cancel_{}", self.queue)
    }

    /// The bucket of what was counted, of all queues.
    pub(super) fn counts() -> String {
        "KV_OF_books".to_owned()
    }

    /// The object store of bodies that no message holds.
    pub(super) fn bodies(&self) -> String {
        format!("OF_bodies_{}", self.queue)
    }

    pub(super) fn bodies_stream(&self) -> String {
        format!("OBJ_OF_bodies_{}", self.queue)
    }

    pub(super) fn bodies_subject(&self, rest: &str) -> String {
        format!("$O.OF_bodies_{}.{rest}", self.queue)
    }

    /// Where is told what an object is.
    pub(super) fn object(&self, name: &str) -> String {
        self.bodies_subject(&format!("M.{}", BASE64_URL_SAFE.encode(name)))
    }

    /// Where its pieces are.
    pub(super) fn pieces(&self, name: &str) -> String {
        self.bodies_subject(&format!("C.{name}"))
    }

    pub(super) fn end_subject(&self, key: &str) -> String {
        format!("$KV.OF_status_{}.{key}", self.queue)
    }

    pub(super) fn attempt_subject(&self, key: &str) -> String {
        format!("$KV.OF_attempts_{}.{key}", self.queue)
    }

    pub(super) fn cancel_subject(&self, key: &str) -> String {
        format!("$KV.OF_cancel_{}.{key}", self.queue)
    }

    pub(super) fn counts_subject(&self) -> String {
        format!("$KV.OF_books.{}", self.queue)
    }

    /// Where the server is asked for the time.
    pub(super) fn time_subject(&self) -> String {
        format!("$KV.OF_books.{}.time", self.queue)
    }

    pub(super) fn callback_subject(&self) -> String {
        format!("openfaas.callback.{}", self.queue)
    }

    /// Where a dead letter is found by its name.
    pub(super) fn dead_subject(&self, id: &DeadId) -> String {
        let (kind, id) = match id {
            DeadId::Call(id) => ("call", id),
            DeadId::Callback(id) => ("callback", id),
        };
        format!("openfaas.dlq.{}.{kind}.{id}", self.queue)
    }

    /// Where is told that there is something to take: what kind of, with the function in the message.
    pub(super) fn wake_subject(&self, kind: &str) -> String {
        format!("openfaas.wake.{}.{kind}", self.queue)
    }

    /// The consumer of one function's calls.
    pub(super) fn consumer(&self, function: &str) -> String {
        let (name, namespace) = function.rsplit_once('.').unwrap_or((function, "_"));
        let readable =
            |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        let hash = Sha256::digest(function.as_bytes());
        let hash: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("f_{}_{}_{hash}", readable(namespace), readable(name))
    }

    /// The consumer of this queue's callbacks.
    pub(super) fn callbacks_consumer(&self) -> String {
        format!("callbacks_{}", self.queue)
    }

    /// The function whose calls are put there.
    pub(super) fn function(&self, subject: &str) -> Option<String> {
        let rest = subject.strip_prefix(&format!("openfaas.queue.{}.", self.queue))?;
        let (namespace, name) = rest.split_once('.')?;
        let name = untoken(name)?;
        Some(match namespace {
            "_" => name,
            namespace => format!("{name}.{namespace}"),
        })
    }

    pub(super) fn dead_subjects(&self) -> String {
        format!("openfaas.dlq.{}.>", self.queue)
    }

    /// Where calls of a function, `name.namespace`, are put.
    pub(super) fn subject(&self, function: &str) -> String {
        let (name, namespace) = function.rsplit_once('.').unwrap_or((function, "_"));
        format!("openfaas.queue.{}.{namespace}.{}", self.queue, token(name))
    }
}

/// A text as one token of a subject: dots would end it, and what else subjects and streams cannot hold is encoded too.
fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => token.push(byte.into()),
            _ => token.push_str(&format!("={byte:02X}")),
        }
    }
    token
}

/// A text that was made a token.
fn untoken(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token;
    while let Some((plain, encoded)) = rest.split_once('=') {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(u8::from_str_radix(encoded.get(..2)?, 16).ok()?);
        rest = &encoded[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_subject_has_its_namespace_before_it() {
        let names = Names::of("faas-request");
        for (function, subject) in [
            ("f.openfaas-fn", "openfaas.queue.faas-request.openfaas-fn.f"),
            ("a.b.dev", "openfaas.queue.faas-request.dev.a=2Eb"),
            ("f", "openfaas.queue.faas-request._.f"),
            ("a*>.dev", "openfaas.queue.faas-request.dev.a=2A=3E"),
        ] {
            assert_eq!(names.subject(function), subject);
            assert_eq!(names.function(subject).as_deref(), Some(function));
        }
        assert_eq!(names.calls(), "OF_faas-request");
        assert_eq!(names.dead(), "OFDLQ_faas-request");
        let consumer = names.consumer("a.b.dev");
        assert!(consumer.starts_with("f_dev_a_b_"), "{consumer}");
    }
}
