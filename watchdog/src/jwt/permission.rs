//! What a token allows: patterns of functions.

use serde::Deserialize;

/// The claim `function`. Each entry is a pattern of `<namespace>:<name>`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Permissions {
    /// What may be called.
    #[serde(default)]
    permissions: Option<Vec<String>>,
    /// Whom the token is for; everybody if it says nothing.
    #[serde(default)]
    audience: Option<Vec<String>>,
}

impl Permissions {
    /// Whether they let the function be called.
    pub(super) fn allow(&self, function: &str) -> bool {
        let matched = |patterns: &[String]| patterns.iter().any(|each| matches(each, function));
        let permissions = self.permissions.as_deref().unwrap_or_default();
        let audience = self.audience.as_deref().unwrap_or_default();
        (audience.is_empty() || matched(audience)) && matched(permissions)
    }
}

/// Whether the pattern is the whole text, where each `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    // The earliest place leaves the most for those that follow.
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_the_whole_name_or_nothing() {
        for (pattern, text, whole) in [
            ("*", "openfaas-fn:env", true),
            ("openfaas-fn:*", "openfaas-fn:env", true),
            ("openfaas-fn:env", "openfaas-fn:env", true),
            ("*:env", "openfaas-fn:env", true),
            ("*fn:e*v", "openfaas-fn:env", true),
            ("a*a", "aa", true),
            ("**", "", true),
            ("fn:en", "openfaas-fn:env", false),
            ("openfaas-fn:env", "openfaas-fn:environment", false),
            ("openfaas-fn:env", "my-openfaas-fn:env", false),
            ("*env", "openfaas-fn:environment", false),
            ("a*a", "a", false),
            ("a*b*c", "acb", false),
            ("openfaas.fn:env", "openfaas-fn:env", false),
            ("", "openfaas-fn:env", false),
        ] {
            assert_eq!(matches(pattern, text), whole, "{pattern} {text}");
        }
    }
}
