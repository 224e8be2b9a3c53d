//! A committed list of the skips that are in order.

use crate::failure::{Failure, Outcome};
use crate::report::{Line, Verdict};

/// A skip that is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Id of the check.
    pub id: String,
    /// Where it may be skipped; `None`: everywhere.
    pub namespace: Option<String>,
}

impl Allowed {
    /// Reads a list: one `id` or `id NAMESPACE` a line; `#` begins a comment.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        let lines = text.lines().enumerate();
        let lines =
            lines.map(|(index, line)| (index + 1, line.split('#').next().unwrap_or("").trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty());
        lines
            .map(|(number, line)| Self::parse(number, line))
            .collect()
    }

    fn parse(number: usize, line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some(id), namespace, None) => Ok(Self {
                id: id.to_owned(),
                namespace: namespace.map(str::to_owned),
            }),
            _ => Err(format!(
                "line {number}: {line:?} is not `id` or `id NAMESPACE`"
            )),
        }
    }

    fn covers(&self, line: &Line) -> bool {
        let here = match &self.namespace {
            Some(namespace) => line.namespace.as_ref() == Some(namespace),
            None => true,
        };
        here && self.id == line.rule.id
    }
}

/// Every skip is allowed.
pub(crate) fn only_allowed(lines: &[Line], allowed: &[Allowed]) -> Outcome {
    let unexpected: Vec<_> = lines
        .iter()
        .filter(|line| matches!(line.verdict, Verdict::Skipped(_)))
        .filter(|line| !allowed.iter().any(|allowed| allowed.covers(line)))
        .map(|line| {
            let namespace = line.namespace.as_deref().unwrap_or_default();
            format!("{} {namespace}", line.rule.id)
                .trim_end()
                .to_owned()
        })
        .collect();
    match unexpected.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(
            "no skip but those on the list",
            format!("also skipped:\n{}", unexpected.join("\n")),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_an_id_and_perhaps_a_namespace_a_line() {
        let text = "# ours\n\nscale.from-zero # no gateway\ncall.call-id second\n";
        let allowed = Allowed::list(text).unwrap();
        assert_eq!(allowed[0].id, "scale.from-zero");
        assert_eq!(allowed[0].namespace, None);
        assert_eq!(allowed[1].namespace.as_deref(), Some("second"));
        assert_eq!(allowed.len(), 2);
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_line() {
        let error = Allowed::list("a.b\nthis is prose\n").unwrap_err();
        assert!(error.starts_with("line 2:"), "{error}");
    }
}
