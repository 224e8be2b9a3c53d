//! The README taken apart: prose, and commands with what they print.

use regex::Regex;

/// A part of the README.
pub(crate) enum Line {
    /// Everything that is not typed.
    Prose(String),
    /// A command and its output.
    Command { command: String, expected: String },
}

/// Takes the `console` blocks out of the prose.
pub(crate) fn parse(readme: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut inside = false;
    for text in readme.split_inclusive('\n') {
        let fence = text.starts_with("```");
        if fence {
            inside = text.starts_with("```console");
        }
        match (text.strip_prefix("$ "), lines.last_mut()) {
            (Some(command), _) if inside => {
                let command = command.trim_end().to_owned();
                lines.push(Line::Command {
                    command,
                    expected: String::new(),
                });
            }
            (None, Some(Line::Command { expected, .. })) if inside && !fence => {
                expected.push_str(text);
            }
            (_, Some(Line::Prose(prose))) => prose.push_str(text),
            _ => lines.push(Line::Prose(text.to_owned())),
        }
    }
    lines
}

/// Output without what differs from run to run: times and durations.
pub(crate) fn normalised(output: &str) -> String {
    let differing = r"\d{4}-\d{2}-\d{2}T[0-9:.]+Z|\d{4}/\d{2}/\d{2} [0-9:]+|Duration: [0-9.]+s";
    Regex::new(differing)
        .unwrap()
        .replace_all(output, "…")
        .into_owned()
}
