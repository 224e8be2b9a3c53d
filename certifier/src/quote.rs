//! Bytes as they can be shown: a report is printed on terminals.

/// As much of a body as a report quotes.
pub(crate) const LONGEST_QUOTE: usize = 2000;

/// At most [`LONGEST_QUOTE`] characters, with everything escaped that a terminal would act on.
pub(crate) fn quote(bytes: &[u8]) -> String {
    // No character is longer than four bytes; of a long body, the rest is not looked at.
    let begin = bytes.get(..LONGEST_QUOTE * 4 + 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(begin);
    let mut quoted = String::new();
    for character in text.chars().take(LONGEST_QUOTE) {
        match character {
            '\n' | '\t' => quoted.push(character),
            _ if character.is_control() => quoted.extend(character.escape_default()),
            _ => quoted.push(character),
        }
    }
    if text.chars().nth(LONGEST_QUOTE).is_some() {
        quoted.push_str(&format!("… ({} bytes)", bytes.len()));
    }
    quoted
}

/// The first `longest` characters of a text, and whether there were more.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        for (bytes, quoted) in [
            (&b"plain\n\ttext"[..], "plain\n\ttext"),
            (b"\x1b[31m", "\\u{1b}[31m"),
            (b"nul \0, return \r", "nul \\u{0}, return \\r"),
            (b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(quote(bytes), quoted);
        }
    }

    #[test]
    fn a_long_body_is_cut_and_its_length_told() {
        let quoted = quote("ü".repeat(3000).as_bytes());
        assert!(quoted.ends_with("ü… (6000 bytes)"));
        assert_eq!(
            quoted.chars().filter(|&character| character == 'ü').count(),
            LONGEST_QUOTE
        );
    }
}
