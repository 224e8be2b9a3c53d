//! Metrics in the text form of Prometheus.

use std::collections::BTreeMap;

/// One line: a series and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Every sample of a page, or the first line that is none.
pub(crate) fn samples(page: &str) -> Result<Vec<Sample>, String> {
    let lines = page.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| sample(line).ok_or_else(|| line.to_owned()))
        .collect()
}

/// `name{label="value",…} value`, perhaps with a time after it.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    let mut rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            let label = label.trim_start_matches([',', ' ']);
            labels.insert(label.to_owned(), value);
            rest = after.trim_start_matches(',');
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    is_name(name).then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// A label's value up to its closing quote, and what follows that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_samples() {
        let page = "# HELP a b\na 1\n\nb{c=\"d\",e=\"f \\\"g\\\"}\"} 2.5e3 1700000000\nn{} NaN\n";
        let samples = samples(page).unwrap();
        let names: Vec<_> = samples.iter().map(|sample| &sample.name[..]).collect();
        assert_eq!(names, ["a", "b", "n"]);
        assert_eq!(samples[1].label("c"), "d");
        assert_eq!(samples[1].label("e"), "f \"g\"}");
        assert_eq!(samples[1].value, 2500.0);
    }

    #[test]
    fn what_is_no_sample_is_told() {
        for page in ["a\n", "a{b=\"c} 1\n", "a{b} 1\n", "a one\n", "<html>\n"] {
            assert_eq!(samples(page), Err(page.trim().to_owned()), "{page}");
        }
    }
}
