//! Amounts of memory and CPU as deployments write them.

/// Reads an amount of memory in bytes: a Kubernetes quantity (`128Mi`, `128M`, `1e6`, `0.5Gi`) or a Docker size
/// (`128m`, `128 MB`, powers of 1024).
///
/// # Errors
/// In words, when it is neither or not above zero.
pub fn memory_bytes(text: &str) -> Result<u64, String> {
    let fail =
        || format!("`{text}` is no amount of memory: write `128Mi`, `128M`, `0.5Gi` or bytes");
    let (number, unit) = split(text).ok_or_else(fail)?;
    let scale = memory_unit(unit).ok_or_else(fail)?;
    whole(number * scale)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(fail)
}

/// Reads an amount of CPU in thousandths of one: a Kubernetes quantity (`100m`, `0.5`, `2`).
///
/// # Errors
/// In words, when it is none or not above zero.
pub fn cpu_millis(text: &str) -> Result<u64, String> {
    let fail = || format!("`{text}` is no amount of CPU: write `100m`, `0.5` or `2`");
    let (number, unit) = split(text).ok_or_else(fail)?;
    let millis = match unit {
        // Compat: Swarm deployments wrote nano-CPUs; nobody asks for a million CPUs.
        "" if number >= 1_000_000.0 && number.fract() == 0.0 => number / 1_000_000.0,
        "" => number * 1000.0,
        "m" => number,
        "u" => number / 1000.0,
        "n" => number / 1_000_000.0,
        _ => return Err(fail()),
    };
    whole(millis.ceil())
        .filter(|millis| *millis > 0)
        .ok_or_else(fail)
}

/// Number and unit, exponent included in the number.
fn split(text: &str) -> Option<(f64, &str)> {
    let digits = |from: usize| from + text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(0);
    let whole = end > 0;
    if text[end..].starts_with('.') {
        let after = digits(end + 1);
        if after == end + 1 && !whole {
            return None;
        }
        end = after;
    } else if !whole {
        return None;
    }
    // `1e6` is a number with an exponent, `1E` is an exabyte.
    if let Some(exponent) = text[end..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        let after = digits(end + 1 + sign);
        if after > end + 1 + sign {
            end = after;
        }
    }
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn memory_unit(unit: &str) -> Option<f64> {
    let power = |letter: char| {
        "kmgtpe"
            .find(letter.to_ascii_lowercase())
            .map(|at| i32::try_from(at).unwrap_or(0) + 1)
    };
    let mut letters = unit.trim_start().chars();
    let spaced = unit.starts_with(' ');
    let Some(first) = letters.next() else {
        return (!spaced).then_some(1.0);
    };
    let rest = letters.as_str();
    if matches!(unit, "b" | "B") {
        return Some(1.0);
    }
    let power = power(first)?;
    match rest {
        // Kubernetes writes decimal units bare, and only kilo in lower case.
        "" if !spaced && (first == 'k' || first.is_ascii_uppercase() && first != 'K') => {
            Some(1000f64.powi(power))
        }
        "" | "i" | "I" | "b" | "B" | "ib" | "iB" | "Ib" | "IB" => Some(1024f64.powi(power)),
        _ => None,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: f64) -> Option<u64> {
    // 2^63: everything below fits, and nothing above is an amount of anything we run.
    (value.is_finite() && (0.0..9.2e18).contains(&value)).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_in_the_units_of_kubernetes_and_docker() {
        for (text, bytes) in [
            ("128Mi", 128 << 20),
            ("1024Mi", 1 << 30),
            ("128M", 128_000_000),
            ("5Mi", 5 << 20),
            ("0.5Gi", 1 << 29),
            ("1e6", 1_000_000),
            ("1E", 1_000_000_000_000_000_000),
            ("512k", 512_000),
            ("512Ki", 512 << 10),
            ("134217728", 128 << 20),
            ("128m", 128 << 20),
            ("128 MB", 128 << 20),
            ("1gb", 1 << 30),
            ("128MiB", 128 << 20),
        ] {
            assert_eq!(memory_bytes(text), Ok(bytes), "{text}");
        }
        for text in [
            "", "lots", "-1Mi", "0", "Mi", "1.2.3", "5 apples", "1Xi", "NaN", "inf", " 5Mi",
            "5Mi ", ".", "1e99",
        ] {
            assert!(memory_bytes(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn cpu_in_thousandths() {
        for (text, millis) in [
            ("100m", 100),
            ("0.5", 500),
            ("2", 2000),
            ("1", 1000),
            ("0.0001", 1),
            ("500000000", 500),
        ] {
            assert_eq!(cpu_millis(text), Ok(millis), "{text}");
        }
        for text in ["", "x", "-1", "0", "100M", "1 m", "m"] {
            assert!(cpu_millis(text).is_err(), "{text:?}");
        }
    }
}
