//! Guessing a Content-Type from the first bytes of an output, in the order and with the results that callers rely on.
//!
//! The algorithm is that of the WHATWG MIME Sniffing standard, section 7.1, as Go's HTTP server applies it.

/// How many bytes are looked at.
pub(crate) const LOOKED_AT_BYTES: usize = 512;

/// The type of everything readable.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// Tags that make an output HTML when a blank or `>` follows. Upper case; compared without case.
const HTML_TAGS: [&[u8]; 17] = [
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
    b"<!--",
];

/// Documents, images, sound and film. The four bytes after `RIFF` and `FORM` are a size: `?` stands for any byte there.
const MEDIA: [(&[u8], &str); 17] = [
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"RIFF????WEBPVP", "image/webp"),
    (b"\x89PNG\x0d\x0a\x1a\x0a", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"FORM????AIFF", "audio/aiff"),
    (b"ID3", "audio/mpeg"),
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"RIFF????AVI ", "video/avi"),
    (b"RIFF????WAVE", "audio/wave"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
];

/// Fonts and archives, which are looked for last.
const FONTS_AND_ARCHIVES: [(&[u8], &str); 10] = [
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07\x00", "application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed"),
    (b"\x00asm", "application/wasm"),
];

/// The Content-Type of an output that begins with `data`.
pub(crate) fn content_type(data: &[u8]) -> &'static str {
    let data = &data[..data.len().min(LOOKED_AT_BYTES)];
    let text = data.trim_ascii_start();
    if is_html(text) {
        return "text/html; charset=utf-8";
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    byte_order_mark(data)
        .or_else(|| signature(data, &MEDIA))
        .or_else(|| is_mp4(data).then_some("video/mp4"))
        .or_else(|| is_embedded_opentype(data).then_some("application/vnd.ms-fontobject"))
        .or_else(|| signature(data, &FONTS_AND_ARCHIVES))
        .unwrap_or_else(|| {
            if text.iter().copied().any(is_binary) {
                "application/octet-stream"
            } else {
                TEXT
            }
        })
}

fn is_html(text: &[u8]) -> bool {
    HTML_TAGS.iter().any(|tag| {
        text.len() > tag.len()
            && text[..tag.len()].eq_ignore_ascii_case(tag)
            && matches!(text[tag.len()], b' ' | b'>')
    })
}

fn byte_order_mark(data: &[u8]) -> Option<&'static str> {
    if data.len() < 4 {
        return None;
    }
    match data {
        [0xFE, 0xFF, ..] => Some("text/plain; charset=utf-16be"),
        [0xFF, 0xFE, ..] => Some("text/plain; charset=utf-16le"),
        [0xEF, 0xBB, 0xBF, ..] => Some(TEXT),
        _ => None,
    }
}

fn signature(data: &[u8], known: &[(&[u8], &'static str)]) -> Option<&'static str> {
    known
        .iter()
        .find(|(pattern, _)| {
            data.len() >= pattern.len()
                && pattern
                    .iter()
                    .zip(data)
                    .enumerate()
                    .all(|(at, (want, got))| want == got || (*want == b'?' && (4..8).contains(&at)))
        })
        .map(|(_, name)| *name)
}

/// An `ftyp` box that is whole within the data and names a brand beginning `mp4`.
fn is_mp4(data: &[u8]) -> bool {
    let Some((size, rest)) = data.split_first_chunk::<4>() else {
        return false;
    };
    let size = u32::from_be_bytes(*size) as usize;
    data.len() >= 12
        && data.len() >= size
        && size.is_multiple_of(4)
        && rest.starts_with(b"ftyp")
        // The word at 12 is the version of the brand before it.
        && (8..size).step_by(4).any(|at| at != 12 && data[at..].starts_with(b"mp4"))
}

fn is_embedded_opentype(data: &[u8]) -> bool {
    data.get(34..36) == Some(b"LP".as_slice())
}

fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_recognised() {
        let mut opentype = vec![b'x'; 34];
        opentype.extend(b"LP\x01");
        let cases: &[(&[u8], &str)] = &[
            (b"<html><body>hi", "text/html; charset=utf-8"),
            (b"\n\n<!DOCTYPE HTML>x", "text/html; charset=utf-8"),
            (b"<!doctype html >", "text/html; charset=utf-8"),
            (b"<b>x</b>", "text/html; charset=utf-8"),
            (b"<!-- x", "text/html; charset=utf-8"),
            (b"<html", TEXT),
            (b"<bold>", TEXT),
            (b" <?xml version", "text/xml; charset=utf-8"),
            (b" %PDF-1", TEXT),
            (b"%PDF-1", "application/pdf"),
            (b"\xfe\xffab", "text/plain; charset=utf-16be"),
            (b"\xff\xfeab", "text/plain; charset=utf-16le"),
            (b"\xef\xbb\xbfa", TEXT),
            (b"{\"a\":1}", TEXT),
            (b"\x1b[31m", TEXT),
            (b"a\x01b", "application/octet-stream"),
            (b"\x89PNG\x0d\x0a\x1a\x0a...", "image/png"),
            (b"RIFF1234WEBPVP8", "image/webp"),
            (b"RIFF1234WAVE", "audio/wave"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"\x00\x00\x00\x0cftypmp42", "video/mp4"),
            (b"\x00\x00\x00\x0cftypqt  ", "application/octet-stream"),
            (&opentype, "application/vnd.ms-fontobject"),
            (b"wOF2", "font/woff2"),
            (b"\x1f\x8b\x08", "application/x-gzip"),
            (b"PK\x03\x04", "application/zip"),
            (b"\x00asm", "application/wasm"),
            (b"??????", TEXT),
        ];
        for (data, expected) in cases {
            assert_eq!(content_type(data), *expected, "{data:?}");
        }
    }
}
