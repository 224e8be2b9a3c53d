//! What one call wishes for: the header `X-Probe`, written like a query.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the wish.
pub(super) const HEADER: &str = "x-probe";

/// Which body the answer has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    /// The request, described in JSON.
    #[default]
    Description,
    /// The request's body, as it comes.
    Echo,
    /// So many bytes of the alphabet.
    Bytes(u64),
    /// So many pieces, one after the other.
    Pieces(u64, Piece),
    /// `certified` and a newline, compressed.
    Gzip,
    /// The process's environment.
    Environment,
    /// What is in this file.
    Read(String),
    /// The request's body is put into this file.
    Write(String),
    /// Who may do what with this file.
    Stat(String),
    /// What became of the calls with this mark.
    Counts(String),
}

/// How a piece looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text,
    Event,
    Line,
}

/// Where an answer breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abort {
    Before,
    Middle,
}

/// Everything that one call asks for.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) status: Option<u16>,
    pub(super) sleep: Duration,
    pub(super) every: Duration,
    pub(super) content: Content,
    pub(super) chunked: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) trailers: HeaderMap,
    pub(super) without_type: bool,
    pub(super) abort: Option<Abort>,
    pub(super) exit: Option<i32>,
    pub(super) mark: Option<String>,
    pub(super) log: u64,
    pub(super) length: usize,
    pub(super) kind: String,
    pub(super) allocate: usize,
}

impl Wish {
    /// Reads all headers of that name; what is not understood is an error that says so.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, String> {
        let mut wish = Self::default();
        for value in headers.get_all(HEADER) {
            for (name, value) in url::form_urlencoded::parse(value.as_bytes()) {
                wish.take(&name, &value)
                    .ok_or_else(|| format!("X-Probe: {name}={value} is not understood\n"))?;
            }
        }
        Ok(wish)
    }

    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "status" => self.status = Some(value.parse().ok()?),
            "sleep" => self.sleep = milliseconds(value)?,
            "every" => self.every = milliseconds(value)?,
            "chunked" => self.chunked = true,
            "header" => self.headers.push(field(value)?),
            "trailer" => self.trailers.extend([field(value)?]),
            "no-type" => self.without_type = true,
            "abort" if value == "before" => self.abort = Some(Abort::Before),
            "abort" if value == "middle" => self.abort = Some(Abort::Middle),
            "exit" => self.exit = Some(value.parse().ok()?),
            "mark" => self.mark = Some(value.to_owned()),
            "log" => self.log = value.parse().ok()?,
            "length" => self.length = value.parse().ok()?,
            "kind" => self.kind = value.to_owned(),
            "allocate" => self.allocate = value.parse().ok()?,
            _ => self.content = content(name, value)?,
        }
        Some(())
    }
}

fn content(name: &str, value: &str) -> Option<Content> {
    let text = || value.to_owned();
    Some(match name {
        "echo" => Content::Echo,
        "bytes" => Content::Bytes(value.parse().ok()?),
        "pieces" => Content::Pieces(value.parse().ok()?, Piece::Text),
        "events" => Content::Pieces(value.parse().ok()?, Piece::Event),
        "lines" => Content::Pieces(value.parse().ok()?, Piece::Line),
        "gzip" => Content::Gzip,
        "env" => Content::Environment,
        "read" => Content::Read(text()),
        "write" => Content::Write(text()),
        "stat" => Content::Stat(text()),
        "counts" => Content::Counts(text()),
        _ => return None,
    })
}

fn milliseconds(value: &str) -> Option<Duration> {
    value.parse().ok().map(Duration::from_millis)
}

/// `Name: value`
fn field(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    Some((name, HeaderValue::from_str(value.trim()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Wish, String> {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        Wish::read(&headers)
    }

    #[test]
    fn a_wish_is_written_like_a_query() {
        let wish =
            read("status=418&sleep=20&header=Set-Cookie%3A+a%3D1%3B+Path%3D/&bytes=7").unwrap();
        assert_eq!(wish.status, Some(418));
        assert_eq!(wish.sleep, Duration::from_millis(20));
        assert_eq!(wish.headers[0].1, "a=1; Path=/");
        assert_eq!(wish.content, Content::Bytes(7));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (value, word) in [
            ("stauts=4", "stauts"),
            ("sleep=soon", "soon"),
            ("abort=late", "late"),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
