//! Reading bodies as existing clients write them: keys in any case, `null` for empty, unknown keys ignored; everything
//! else is an error in one line that names the field.

use serde_json::{Map, Value};

use crate::wire::FunctionResources;
use crate::{ProviderError, Wire};

/// Reads a body.
///
/// # Errors
/// [`ProviderError::Invalid`] with the field's path, or `body` where it is no JSON object.
pub fn decode<T: Wire>(body: &[u8]) -> Result<T, ProviderError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        ProviderError::invalid("body", format!("not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    if text.trim().is_empty() {
        return Err(ProviderError::invalid(
            "body",
            "empty; a JSON object is expected",
        ));
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|error| ProviderError::invalid("body", format!("not JSON ({error})")))?;
    let Value::Object(fields) = value else {
        return Err(ProviderError::invalid("body", "a JSON object is expected"));
    };
    let mut fields = canonical(fields, T::FIELDS);
    for name in ["limits", "requests"] {
        if let Some(Value::Object(resources)) = fields.get_mut(name) {
            *resources = canonical(std::mem::take(resources), FunctionResources::FIELDS);
        }
    }
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let field = match error.path().to_string() {
            whole if whole == "." => "body".to_owned(),
            field => field,
        };
        ProviderError::invalid(field, error.inner().to_string())
    })
}

/// The fields under their exact names, without those that are `null` or unknown.
fn canonical(fields: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let known = |key: &str| {
        names
            .iter()
            .find(|name| name.eq_ignore_ascii_case(key))
            .map(|name| (*name).to_owned())
    };
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .filter_map(|(key, value)| Some((known(&key)?, value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FunctionDeployment, ScaleServiceRequest};

    fn complaint<T: Wire + std::fmt::Debug>(body: &[u8]) -> String {
        decode::<T>(body).unwrap_err().to_string()
    }

    #[test]
    fn keys_in_any_case_nulls_and_unknown_keys() {
        let deployment: FunctionDeployment = decode(
            br#"{"Service":"a","IMAGE":"i","labels":null,"annotations":null,"limits":{"Memory":"5Mi","cpu":null},"x":1,
                "envprocess":"cat"}"#,
        )
        .unwrap();
        assert_eq!(
            (deployment.service.as_str(), deployment.env_process.as_str()),
            ("a", "cat")
        );
        assert_eq!(deployment.limits.unwrap().memory, "5Mi");
    }

    #[test]
    fn a_mistake_is_told_with_its_field() {
        for (body, expected) in [
            (
                &br#"{"labels":{"a":5}}"#[..],
                "labels.a: invalid type: integer `5`, expected a string",
            ),
            (br#"{"labels":[]}"#, "labels: invalid type"),
            (br#"{"secrets":"x"}"#, "secrets: invalid type"),
            (br#"{"secrets":[1]}"#, "secrets[0]: invalid type"),
            (br#"{"service":1}"#, "service: invalid type"),
            (br#"{"limits":{"memory":5}}"#, "limits.memory: invalid type"),
            (b"{", "body: not JSON (EOF"),
            (b"{} trailing", "body: not JSON (trailing"),
            (b"", "body: empty"),
            (b"[]", "body: a JSON object"),
            (b"{\"service\":\"\xff\"}", "body: not UTF-8 at byte 12"),
        ] {
            let complaint = complaint::<FunctionDeployment>(body);
            assert!(complaint.starts_with(expected), "{complaint}");
        }
        for body in [&b"{}"[..], br#"{"replicas":null}"#] {
            let complaint = complaint::<ScaleServiceRequest>(body);
            assert_eq!(complaint, "body: missing field `replicas`");
        }
        for body in [
            &br#"{"replicas":-1}"#[..],
            br#"{"replicas":1.5}"#,
            br#"{"replicas":"2"}"#,
            br#"{"replicas":99999999999999999999}"#,
        ] {
            assert!(
                complaint::<ScaleServiceRequest>(body).starts_with("replicas: invalid"),
                "{body:?}"
            );
        }
    }
}
