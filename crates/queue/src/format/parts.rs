//! Headers of HTTP as headers of an envelope: `H.Name: value`, or `HB.Name: base64` where a value is not plain text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::call::Header;
use crate::envelope::{Envelope, FormatError};

const PLAIN: &str = "H.";
const ENCODED: &str = "HB.";

pub(super) fn push_headers(envelope: &mut Envelope, headers: &[Header]) {
    for (name, value) in headers {
        match plain(value) {
            Some(text) => envelope.push(&format!("{PLAIN}{name}"), text),
            None => envelope.push(&format!("{ENCODED}{name}"), STANDARD.encode(value)),
        }
    }
}

/// Blanks at the ends are lost on the way through NATS, and control characters break its lines.
fn plain(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let safe = text.trim() == text && !text.chars().any(char::is_control);
    safe.then_some(text)
}

pub(super) fn take_headers(envelope: &Envelope) -> Result<Vec<Header>, FormatError> {
    let mut headers = Vec::new();
    for (name, value) in &envelope.headers {
        if let Some(name) = name.strip_prefix(ENCODED) {
            let value = STANDARD.decode(value).map_err(FormatError::garbage)?;
            headers.push((name.to_owned(), value));
        } else if let Some(name) = name.strip_prefix(PLAIN) {
            headers.push((name.to_owned(), value.clone().into_bytes()));
        }
    }
    Ok(headers)
}
