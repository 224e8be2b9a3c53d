//! The names of calls.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// What one accepted call is called from its acceptance to the end of its records, over all its attempts.
///
/// 74 bits of it are random, so that knowing one is as good as a permission; they sort by the time they were made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvocationId(Uuid);

/// The random bits of a UUID whose first 48 bits are something else.
const RANDOM: u128 = 0x0fff_3fff_ffff_ffff_ffff;
/// The version of UUIDs that mean something of our own.
const PLACED: u128 = 8;

impl InvocationId {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of a call at a place of a stream, so that it is found there without an index: 48 bits say where, 74 bits of
    /// `secret` make it unguessable (UUID version 8).
    #[must_use]
    pub(crate) fn at(sequence: u64, delayed: bool, secret: Self) -> Self {
        let place = u128::from(sequence << 1 | u64::from(delayed)) & ((1 << 48) - 1);
        let random = secret.to_u128() & RANDOM;
        Self::from_u128(place << 80 | PLACED << 76 | random | 0b10 << 62)
    }

    /// Its place in a stream, where it has one, and whether that is the stream of calls that were put off.
    #[must_use]
    pub(crate) fn place(self) -> Option<(u64, bool)> {
        let number = self.to_u128();
        let place = u64::try_from(number >> 80).ok()?;
        (number >> 76 & 0xf == PLACED).then_some((place >> 1, place & 1 == 1))
    }

    /// Its number, as stores keep it.
    #[must_use]
    pub fn to_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// The id with this number.
    #[must_use]
    pub fn from_u128(number: u128) -> Self {
        Self(Uuid::from_u128(number))
    }
}

impl Default for InvocationId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no [`InvocationId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no invocation id")]
pub struct NoId(String);

impl FromStr for InvocationId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        // Only as we write it: braces and other forms would be second names of one call.
        let id = Uuid::try_parse(text).ok().map(Self);
        id.filter(|id| id.to_string() == text)
            .ok_or_else(|| NoId(text.to_owned()))
    }
}

/// The name of a dead letter: a call that failed for good, or a callback that nobody took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeadId {
    /// A call.
    Call(InvocationId),
    /// The callback of a call.
    Callback(InvocationId),
}

const CALLBACK: &str = "callback-";

impl fmt::Display for DeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(id) => id.fmt(f),
            Self::Callback(id) => write!(f, "{CALLBACK}{id}"),
        }
    }
}

impl FromStr for DeadId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        match text.strip_prefix(CALLBACK) {
            Some(id) => id.parse().map(Self::Callback),
            None => text.parse().map(Self::Call),
        }
    }
}

/// The queue of functions that name none.
pub const DEFAULT_QUEUE: &str = "faas-request";

/// Whether a text can name a queue: 1 to 64 of `a-z 0-9 _ -`.
#[must_use]
pub fn is_queue_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_sort_by_time_and_are_read_as_they_are_written_only() {
        let (first, second) = (InvocationId::new(), InvocationId::new());
        assert!(first < second);
        assert_eq!(first.to_string().parse(), Ok(first));
        assert_eq!(InvocationId::from_u128(first.to_u128()), first);
        for odd in [
            String::new(),
            "c-77".to_owned(),
            first.to_string().to_uppercase(),
            format!("{{{first}}}"),
            first.to_string().replace('-', ""),
        ] {
            assert!(odd.parse::<InvocationId>().is_err(), "{odd}");
        }
        let callback = DeadId::Callback(first);
        assert_eq!(callback.to_string().parse(), Ok(callback));
        assert_eq!(first.to_string().parse(), Ok(DeadId::Call(first)));
    }

    #[test]
    fn a_place_is_in_the_id_and_so_is_all_the_chance() {
        let secret = InvocationId::new();
        let id = InvocationId::at(0x1234, true, secret);
        assert!(id.to_string().starts_with("00000000-2469-8"), "{id}");
        assert_eq!((id.place(), secret.place()), (Some((0x1234, true)), None));
        assert_eq!(id.to_string()[15..18], secret.to_string()[15..18]);
        assert_eq!(id.to_string()[20..], secret.to_string()[20..]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(InvocationId::at(1, false, secret) < InvocationId::at(1, true, secret));
    }

    #[test]
    fn names_of_queues() {
        let longest = "q".repeat(64);
        for good in ["faas-request", "a_1", longest.as_str()] {
            assert!(is_queue_name(good), "{good}");
        }
        let too_long = "q".repeat(65);
        for bad in ["", "A", "a.b", "a b", "a>", "*", too_long.as_str()] {
            assert!(!is_queue_name(bad), "{bad}");
        }
    }
}
