//! Nothing secret leaves in a report.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::options::Credentials;

const HIDDEN: &str = "***";

/// Members of a JSON object whose value is nobody's business.
const KEYS: [&str; 3] = ["value", "rawValue", "registryAuth"];

/// Hides the run's credentials, and what stands in requests about secrets.
#[derive(Clone, Default)]
pub(crate) struct Mask {
    texts: Vec<String>,
}

impl Mask {
    pub(crate) fn new(credentials: &Credentials) -> Self {
        let texts = match credentials {
            Credentials::None => Vec::new(),
            Credentials::Token(token) => vec![token.clone()],
            Credentials::Basic { user, password } => {
                let header = BASE64_STANDARD.encode(format!("{user}:{password}"));
                vec![header, password.clone()]
            }
        };
        let texts = texts.into_iter().filter(|text| !text.is_empty());
        Self {
            texts: texts.collect(),
        }
    }

    pub(crate) fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.texts {
            text = text.replace(secret.as_str(), HIDDEN);
        }
        for key in KEYS {
            text = without_values(&text, key);
        }
        text
    }
}

/// Replaces the string behind every `"key":`.
fn without_values(text: &str, key: &str) -> String {
    let member = format!("\"{key}\"");
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(&member) {
        let (before, after) = rest.split_at(start + member.len());
        masked.push_str(before);
        let value = after.trim_start().strip_prefix(':').map(str::trim_start);
        rest = match value.and_then(|value| value.strip_prefix('"')) {
            Some(value) => {
                masked.push_str(&format!(":\"{HIDDEN}\""));
                &value[end_of_string(value)..]
            }
            None => after,
        };
    }
    masked.push_str(rest);
    masked
}

/// Where what follows a JSON string begins, its first quote being gone already.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_secret_is_hidden() {
        let mask = Mask::default();
        for (text, masked) in [
            (
                r#"{"name":"a","value":"to\"p"}"#,
                r#"{"name":"a","value":"***"}"#,
            ),
            (
                r#"{"rawValue" : "eA==", "b":1}"#,
                r#"{"rawValue":"***", "b":1}"#,
            ),
            (r#"{"value":7}"#, r#"{"value":7}"#),
            (r#"{"value":"cut off"#, r#"{"value":"***""#),
            ("no JSON at all", "no JSON at all"),
        ] {
            assert_eq!(mask.apply(text), masked);
        }
    }

    #[test]
    fn credentials_are_hidden_in_each_of_their_forms() {
        let basic = Mask::new(&Credentials::Basic {
            user: "admin".into(),
            password: "pass word".into(),
        });
        let text = "Http_Authorization=Basic YWRtaW46cGFzcyB3b3Jk and pass word";
        assert_eq!(basic.apply(text), "Http_Authorization=Basic *** and ***");
        let token = Mask::new(&Credentials::Token("t0k".into()));
        assert_eq!(token.apply("Bearer t0k"), "Bearer ***");
    }
}
