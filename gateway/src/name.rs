//! Names of functions, as callers and alerts write them.

use faas_provider::{FunctionName, FunctionPath};

/// `name` or `name.namespace`; `None` for what cannot name a function. The provider's paths are built of these names, so
/// that dots alone are none.
pub(crate) fn parse(text: &str, default_namespace: &str) -> Option<FunctionName> {
    let whole = FunctionPath::parse(text, "")?.function == text;
    let name = FunctionName::parse(text, default_namespace);
    let named = name.name().bytes().any(|byte| byte != b'.');
    (whole && named).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_another_path_is_no_name() {
        for text in [
            "",
            ".",
            "..",
            "...",
            "..dev",
            "../secrets",
            "a/b",
            "a?x",
            "a%2e",
            "ä",
        ] {
            assert_eq!(parse(text, "openfaas-fn"), None, "{text}");
        }
        for (text, full) in [
            ("f", "f.openfaas-fn"),
            ("f.dev", "f.dev"),
            ("a.b.dev", "a.b.dev"),
        ] {
            assert_eq!(parse(text, "openfaas-fn").unwrap().as_str(), full);
        }
    }
}
