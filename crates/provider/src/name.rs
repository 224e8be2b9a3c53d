//! Names of functions, namespaces and secrets, and how a path names a function.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A function's full name: `name.namespace`. A bare name is in the default namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionName {
    full: String,
    dot: usize,
}

impl FunctionName {
    /// A name and a namespace, neither checked: whether a function has it is the provider's to say.
    #[must_use]
    pub fn new(name: &str, namespace: &str) -> Self {
        Self {
            full: format!("{name}.{namespace}"),
            dot: name.len(),
        }
    }

    /// Reads `name` or `name.namespace`, split at the last dot.
    #[must_use]
    pub fn parse(text: &str, default_namespace: &str) -> Self {
        match text.rfind('.') {
            Some(dot) if dot + 1 < text.len() => Self {
                full: text.to_owned(),
                dot,
            },
            Some(dot) => Self::new(&text[..dot], default_namespace),
            None => Self::new(text, default_namespace),
        }
    }

    /// The name within its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.full[..self.dot]
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.full[self.dot + 1..]
    }

    /// `name.namespace`, the form of metric labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.full
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

// As `str` does, so that a map keyed by names answers for `name.namespace` texts.
impl Hash for FunctionName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.full.hash(state);
    }
}

impl Borrow<str> for FunctionName {
    fn borrow(&self) -> &str {
        &self.full
    }
}

/// What the path of a call says: which function, and the path that the function sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionPath<'a> {
    /// The name as written, perhaps with a namespace.
    pub function: &'a str,
    /// The rest, percent-encoding untouched; `/` where there is none.
    pub rest: &'a str,
}

impl<'a> FunctionPath<'a> {
    /// Takes `/function/NAME/rest` apart, `prefix` being `/function/`. A name outside of `A-Z a-z 0-9 - _ .` is none.
    #[must_use]
    pub fn parse(path: &'a str, prefix: &str) -> Option<Self> {
        let named = path.strip_prefix(prefix)?;
        let (function, rest) = named.split_at(named.find('/').unwrap_or(named.len()));
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if function.is_empty() || !function.bytes().all(allowed) {
            return None;
        }
        Some(Self {
            function,
            rest: if rest.is_empty() { "/" } else { rest },
        })
    }
}

/// Whether a text is a DNS label: 1 to 63 of `a-z 0-9 -`, beginning and ending with a letter or digit. Names of
/// functions and namespaces are such.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a text is a secret's name: DNS labels joined by dots, at most 253 bytes.
#[must_use]
pub fn is_secret_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dot_divides_name_and_namespace() {
        for (text, name, namespace) in [
            ("echo", "echo", "openfaas-fn"),
            ("echo.dev", "echo", "dev"),
            ("a.b.dev", "a.b", "dev"),
            (".dev", "", "dev"),
            ("echo.", "echo", "openfaas-fn"),
        ] {
            let parsed = FunctionName::parse(text, "openfaas-fn");
            assert_eq!(
                (parsed.name(), parsed.namespace()),
                (name, namespace),
                "{text}"
            );
        }
    }

    #[test]
    fn a_path_keeps_its_bytes() {
        for (path, function, rest) in [
            ("/function/echo", "echo", "/"),
            ("/function/echo/", "echo", "/"),
            ("/function/echo.dev/a%2Fb//c/", "echo.dev", "/a%2Fb//c/"),
            ("/function/e_C-1/..", "e_C-1", "/.."),
        ] {
            assert_eq!(
                FunctionPath::parse(path, "/function/"),
                Some(FunctionPath { function, rest }),
                "{path}"
            );
        }
        for path in [
            "/function/",
            "/function",
            "/function//x",
            "/function/%2e%2e/x",
            "/function/a b",
            "/x/echo",
        ] {
            assert_eq!(FunctionPath::parse(path, "/function/"), None, "{path}");
        }
    }

    #[test]
    fn names_that_no_provider_takes() {
        let longest = "a".repeat(63);
        for good in ["a", "a-b", "0", longest.as_str()] {
            assert!(is_dns_label(good), "{good}");
        }
        let too_long = "a".repeat(64);
        for bad in [
            "",
            "A",
            "a_b",
            "-a",
            "a-",
            "a.b",
            "..",
            "a/b",
            "ä",
            too_long.as_str(),
        ] {
            assert!(!is_dns_label(bad), "{bad}");
        }
        assert!(is_secret_name("s3.key-1"));
        for bad in ["", "..", "a..b", "../x", "Upper", "a/b", "a b"] {
            assert!(!is_secret_name(bad), "{bad}");
        }
    }
}
