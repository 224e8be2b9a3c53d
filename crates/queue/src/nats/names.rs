//! What streams and subjects are called.

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
        }
        assert_eq!(names.calls(), "OF_faas-request");
        assert_eq!(names.dead(), "OFDLQ_faas-request");
    }
}
