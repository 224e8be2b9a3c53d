//! Durations as operators write them: bare seconds (`60`) or Go's form (`1m30s`, `.5s`, `250ms`).
//!
//! No crate reads exactly this (the nearest take `5M` for months, or refuse `0`), and a stack file
//! that worked yesterday must mean the same today.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration: write seconds (`60`) or a Go duration (`1m30s`, `500ms`)")]
pub struct ParseError(String);

/// Nanoseconds in each of Go's units.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads bare seconds or a Go duration. A minus sign is refused: no limit of ours is negative.
///
/// # Errors
/// When the text is neither, or is longer than Go's 292 years.
pub fn parse(text: &str) -> Result<Duration, ParseError> {
    match parse_signed(text)? {
        (false, duration) => Ok(duration),
        (true, duration) if duration.is_zero() => Ok(duration),
        (true, _) => Err(ParseError(text.to_owned())),
    }
}

/// Like [`parse`], telling a minus sign apart: `(is negative, magnitude)`.
///
/// # Errors
/// As [`parse`], but for the sign.
pub fn parse_signed(text: &str) -> Result<(bool, Duration), ParseError> {
    let fail = || ParseError(text.to_owned());
    if let Ok(seconds) = text.strip_prefix('+').unwrap_or(text).parse::<u32>() {
        return Ok((false, Duration::from_secs(seconds.into())));
    }
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok((negative, Duration::ZERO));
    }
    if rest.is_empty() {
        return Err(fail());
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = leading_part(rest).ok_or_else(fail)?;
        nanos = nanos
            .checked_add(part)
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or_else(fail)?;
        rest = after;
    }
    Ok((negative, Duration::from_nanos(nanos)))
}

/// The nanoseconds of one `number unit` at the start of `text`, and what follows it.
fn leading_part(text: &str) -> Option<(u64, &str)> {
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;

    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    Some((
        whole
            .checked_mul(*scale)?
            .checked_add(fraction_of(fraction, *scale))?,
        rest,
    ))
}

/// `0.fraction` of `scale`, cut off below a nanosecond as Go does.
fn fraction_of(fraction: &str, scale: u64) -> u64 {
    let digits: String = fraction.chars().take(18).collect();
    let value: u128 = digits.parse().unwrap_or(0);
    let divisor = 10u128.pow(u32::try_from(digits.len()).unwrap_or(0));
    u64::try_from(value * u128::from(scale) / divisor).unwrap_or(0)
}

/// Writes a duration the way Go prints it: `1m30s`, `1.5s`, `500ms`, `0s`.
#[must_use]
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    for (unit, scale, below) in [
        ("ns", 1u128, 1_000u128),
        ("µs", 1_000, 1_000_000),
        ("ms", 1_000_000, 1_000_000_000),
    ] {
        if nanos < below {
            return format!("{}{unit}", decimal(nanos, scale));
        }
    }
    let minutes_total = nanos / 60_000_000_000;
    let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
    match (minutes_total / 60, minutes_total % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / scale` as a decimal number without trailing zeros.
fn decimal(value: u128, scale: u128) -> String {
    let (whole, rest) = (value / scale, value % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Option<u128> {
        parse(text).ok().map(|duration| duration.as_nanos())
    }

    #[test]
    fn reads_what_go_reads_and_bare_seconds() {
        const S: u128 = 1_000_000_000;
        for (text, expected) in [
            ("0", 0),
            ("5", 5 * S),
            ("+5", 5 * S),
            ("60", 60 * S),
            ("5s", 5 * S),
            ("1478s", 1478 * S),
            ("+5s", 5 * S),
            ("-0", 0),
            ("5.0s", 5 * S),
            ("5.6s", 5_600_000_000),
            ("5.s", 5 * S),
            (".5s", 500_000_000),
            ("1.004s", 1_004_000_000),
            ("100.00100s", 100_001_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("13ms", 13_000_000),
            ("15m", 900 * S),
            ("16h", 57_600 * S),
            ("3h30m", 12_600 * S),
            ("1h15m30.918273645s", 4_530_918_273_645),
            ("10.5s4m", 250_500_000_000),
            ("0.3333333333333333333h", 1_200 * S),
            ("9007199254740993ns", 9_007_199_254_740_993),
        ] {
            let got = nanos(text);
            // Go rounds the third of an hour down to a whole nanosecond less.
            let slack = u128::from(text.ends_with('h') && text.starts_with("0.3"));
            assert!(
                got.is_some_and(|got| got.abs_diff(expected) <= slack),
                "{text}: {got:?}"
            );
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "-",
            "s",
            ".",
            "-.",
            ".s",
            "+.s",
            "1x",
            "soon",
            "-5",
            "-5s",
            "1.1.1s",
            "5M",
            "1d",
            " 5s",
            "5s ",
            "1 h",
            "3000000h",
            "99999999999999999999s",
            "9223372036854775808ns",
        ] {
            assert!(
                parse(text).is_err(),
                "{text:?} was read as {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn tells_negative_durations_apart_where_asked() {
        assert_eq!(parse_signed("-1.5h"), Ok((true, Duration::from_secs(5400))));
        assert_eq!(parse_signed("-5").map(|(negative, _)| negative).ok(), None);
    }

    #[test]
    fn prints_as_go_prints() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (500_000_000, "500ms"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_661_001_000_000, "1h1m1.001s"),
        ] {
            assert_eq!(format(Duration::from_nanos(nanos)), text);
        }
    }
}
