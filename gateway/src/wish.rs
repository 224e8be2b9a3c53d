//! What the headers of an asynchronous call ask of the queue.

use std::time::Duration;

use faas_http::duration;
use faas_queue::target;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Error;

const CALLBACK_URL: &str = "X-Callback-Url";
const DELAY: &str = "X-Delay";
const RESULT: &str = "X-Async-Result";
const KEYS: [&str; 2] = ["Idempotency-Key", "X-Idempotency-Key"];

/// Beside the call itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Where the answer is to be posted.
    pub(crate) callback_url: Option<String>,
    /// How long the call is put off.
    pub(crate) delay: Duration,
    /// Whether the answer is to be kept.
    pub(crate) keep_result: bool,
    /// What makes two calls the same one.
    key: Option<Vec<u8>>,
}

impl Wish {
    /// Reads the wish, and takes out of the headers what is meant for us alone. The function sees the callback URL, as it
    /// always did, and the key.
    pub(crate) fn take(headers: &mut HeaderMap, max_delay: Duration) -> Result<Self, Error> {
        let callback_url = text(headers, CALLBACK_URL)?.map(callback).transpose()?;
        let delay = text(headers, DELAY)?.map(|text| delay(text, max_delay));
        let keep_result = text(headers, RESULT)?.map(keep).transpose()?;
        let key = KEYS.iter().find_map(|name| headers.get(*name));
        let wish = Self {
            callback_url,
            delay: delay.transpose()?.unwrap_or_default(),
            keep_result: keep_result.unwrap_or_default(),
            key: key
                .map(|key| key.as_bytes().to_vec())
                .filter(|key| !key.is_empty()),
        };
        headers.remove(DELAY);
        headers.remove(RESULT);
        Ok(wish)
    }

    /// A hash of the function and the key, under which the call is found when it comes again.
    pub(crate) fn idempotency(&self, function: &str) -> Option<[u8; 32]> {
        let key = self.key.as_ref()?;
        // No function's name has a zero in it.
        let hash = Sha256::new_with_prefix(function)
            .chain_update([0])
            .chain_update(key);
        Some(hash.finalize().into())
    }
}

fn wrong(name: &'static str, reason: impl ToString) -> Error {
    Error::Header {
        name,
        reason: reason.to_string(),
    }
}

/// A header's text; an empty one asks for nothing.
fn text<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, Error> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| wrong(name, "it is no text"))?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

fn callback(text: &str) -> Result<String, Error> {
    let url = target::parse(text).map_err(|error| wrong(CALLBACK_URL, error))?;
    Ok(url.into())
}

fn delay(text: &str, most: Duration) -> Result<Duration, Error> {
    let delay = match OffsetDateTime::parse(text, &Rfc3339) {
        // What is past already is due now.
        Ok(instant) => (instant - OffsetDateTime::now_utc())
            .try_into()
            .unwrap_or_default(),
        Err(_) => duration::parse(text).map_err(|_| {
            let right = "write a duration (`30s`) or an instant (`2031-01-01T00:00:00Z`)";
            wrong(DELAY, format!("`{text}` is neither; {right}"))
        })?,
    };
    if delay > most {
        let most = duration::format(most);
        return Err(wrong(
            DELAY,
            format!("`{text}` is more than max_message_age={most}"),
        ));
    }
    Ok(delay)
}

fn keep(text: &str) -> Result<bool, Error> {
    match text {
        "keep" => Ok(true),
        _ => Err(wrong(RESULT, format!("`{text}` is not `keep`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn wish(pairs: &[(&'static str, &str)]) -> Result<(Wish, HeaderMap), String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let mut headers = HeaderMap::from_iter(pairs);
        let wish = Wish::take(&mut headers, DAY).map_err(|error| error.to_string())?;
        Ok((wish, headers))
    }

    #[test]
    fn what_can_be_asked() {
        let (none, _) = wish(&[("x-callback-url", ""), ("x-delay", "  ")]).unwrap();
        assert_eq!(none, Wish::default());
        let (all, left) = wish(&[
            ("x-callback-url", "http://u:p@sink/x?y"),
            ("x-delay", "1m30s"),
            ("x-async-result", "keep"),
            ("idempotency-key", "k"),
        ])
        .unwrap();
        assert_eq!(all.callback_url.as_deref(), Some("http://u:p@sink/x?y"));
        assert_eq!((all.delay.as_secs(), all.keep_result), (90, true));
        let mut names: Vec<_> = left.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["idempotency-key", "x-callback-url"]);
    }

    #[test]
    fn an_instant_is_a_delay_and_the_past_is_now() {
        let soon = OffsetDateTime::now_utc() + Duration::from_secs(60);
        let (wish_soon, _) = wish(&[("x-delay", &soon.format(&Rfc3339).unwrap())]).unwrap();
        assert!((50..=60).contains(&wish_soon.delay.as_secs()));
        let (past, _) = wish(&[("x-delay", "1999-12-31T23:59:59+01:00")]).unwrap();
        assert_eq!(past.delay, Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_asked_is_told_with_the_headers_name() {
        for (name, value, words) in [
            (
                "x-callback-url",
                "nowhere at all",
                "X-Callback-Url: it is no URL",
            ),
            (
                "x-callback-url",
                "ftp://sink/",
                "X-Callback-Url: it is no http://",
            ),
            ("x-delay", "soon", "X-Delay: `soon` is neither"),
            ("x-delay", "-1s", "X-Delay: `-1s` is neither"),
            (
                "x-delay",
                "25h",
                "X-Delay: `25h` is more than max_message_age=24h",
            ),
            (
                "x-delay",
                "9999-01-01T00:00:00Z",
                "more than max_message_age",
            ),
            (
                "x-async-result",
                "yes",
                "X-Async-Result: `yes` is not `keep`",
            ),
        ] {
            let error = wish(&[(name, value)]).unwrap_err();
            assert!(error.contains(words), "{name} {value}: {error}");
        }
    }

    #[test]
    fn the_same_key_of_another_function_is_another_call() {
        let with = |name, key: &str| wish(&[(name, key)]).unwrap().0;
        let key = with("idempotency-key", "k");
        assert_eq!(key.idempotency("f.dev"), key.idempotency("f.dev"));
        assert_ne!(key.idempotency("f.dev"), key.idempotency("g.dev"));
        let other = with("x-idempotency-key", "k2");
        assert_ne!(key.idempotency("f.dev"), other.idempotency("f.dev"));
        assert_eq!(with("idempotency-key", "").idempotency("f.dev"), None);
    }
}
