//! A function as the API describes it, in a status or in a list.

use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::http::Answer;

/// One JSON description of a function, and the answer it came in.
pub(crate) struct View {
    place: &'static str,
    answer: Answer,
    pub(crate) function: Value,
}

impl View {
    pub(crate) fn new(place: &'static str, answer: Answer, function: Value) -> Self {
        Self {
            place,
            answer,
            function,
        }
    }

    /// The value at `key` is exactly `expected`.
    pub(crate) fn equal(&self, key: &str, expected: &Value) -> Outcome {
        match &self.function[key] {
            got if got == expected => Ok(()),
            got => Err(self.fault(format!("`{key}` to be {expected}"), &got.to_string())),
        }
    }

    /// The value at `key` is an object with at least these entries.
    pub(crate) fn has_entries(&self, key: &str, expected: &Value) -> Outcome {
        self.object(key)?;
        for (name, value) in expected.as_object().into_iter().flatten() {
            let got = &self.function[key][name];
            if got != value {
                let expected = format!("`{key}` to hold {name:?} with {value}");
                return Err(self.fault(expected, &got.to_string()));
            }
        }
        Ok(())
    }

    /// There is no entry `name` in the object at `key`.
    pub(crate) fn lacks_entry(&self, key: &str, name: &str) -> Outcome {
        match self.function[key].get(name) {
            None => Ok(()),
            Some(got) => Err(self.fault(format!("no {name:?} in `{key}`"), &got.to_string())),
        }
    }

    /// The value at `key` is an object: neither null nor missing.
    pub(crate) fn object(&self, key: &str) -> Outcome {
        match &self.function[key] {
            Value::Object(_) => Ok(()),
            got => Err(self.fault(format!("`{key}` to be an object"), &self.shown(key, got))),
        }
    }

    /// There is nothing at `key`, or null; with `empty_is_fine` also an empty array.
    pub(crate) fn nothing(&self, key: &str, empty_is_fine: bool) -> Outcome {
        match &self.function[key] {
            Value::Null => Ok(()),
            Value::Array(items) if empty_is_fine && items.is_empty() => Ok(()),
            got => Err(self.fault(format!("no `{key}`: none was deployed"), &got.to_string())),
        }
    }

    /// The number at `key`. A missing one is zero, as in clients written in Go.
    pub(crate) fn number(&self, key: &str) -> Outcome<u64> {
        match &self.function[key] {
            Value::Null => Ok(0),
            got => got.as_u64().ok_or_else(|| {
                self.fault(format!("`{key}` to be a whole number"), &got.to_string())
            }),
        }
    }

    pub(crate) fn exactly(&self, key: &str, expected: u64) -> Outcome {
        match self.number(key)? {
            got if got == expected => Ok(()),
            got => Err(self.fault(format!("`{key}` to be {expected}"), &got.to_string())),
        }
    }

    pub(crate) fn at_least(&self, key: &str, least: u64) -> Outcome {
        match self.number(key)? {
            got if got >= least => Ok(()),
            got => Err(self.fault(format!("`{key}` to be {least} or more"), &got.to_string())),
        }
    }

    pub(crate) fn fault(&self, expected: String, got: &str) -> Failure {
        self.answer
            .fault(format!("{expected}, in {}", self.place), got)
    }

    fn shown(&self, key: &str, got: &Value) -> String {
        match self.function.get(key) {
            None => "no such key".to_owned(),
            Some(_) => got.to_string(),
        }
    }
}
