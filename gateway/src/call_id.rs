//! The headers by which a call is followed through every hop: `X-Call-Id` and `X-Start-Time`.

use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
const START_TIME: HeaderName = HeaderName::from_static("x-start-time");
/// Longest id that a caller may choose; a longer one is replaced.
const LONGEST_ID: usize = 256;

/// What identifies one call.
#[derive(Clone, Debug)]
pub(crate) struct CallId {
    id: HeaderValue,
    start: HeaderValue,
}

impl CallId {
    /// The caller's id, or a new one; and the time now.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let own = headers
            .get(CALL_ID)
            .filter(|id| (1..=LONGEST_ID).contains(&id.len()) && id.to_str().is_ok());
        let new = || HeaderValue::from_str(&Uuid::new_v4().to_string()).ok();
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let nanos = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
        let id = own
            .cloned()
            .or_else(new)
            .unwrap_or_else(|| HeaderValue::from_static("unknown"));
        Self {
            id,
            start: HeaderValue::from(nanos),
        }
    }

    /// Writes both, over whatever stood there.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(CALL_ID, self.id.clone());
        headers.insert(START_TIME, self.start.clone());
    }

    /// The id, for logs.
    pub(crate) fn as_str(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(id: &str) -> HeaderMap {
        HeaderMap::from_iter([(CALL_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap())])
    }

    #[test]
    fn the_callers_id_is_kept_unless_it_is_no_id() {
        assert_eq!(CallId::of(&with("c-77")).as_str(), "c-77");
        for odd in ["", &"x".repeat(257), "\u{e9}"] {
            assert_eq!(CallId::of(&with(odd)).as_str().len(), 36, "{odd}");
        }
        assert_eq!(CallId::of(&HeaderMap::new()).as_str().len(), 36);
    }
}
