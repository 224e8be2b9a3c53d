//! Prime factors: a whole number on each line of stdin becomes a line with its factors on stdout.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

/// The largest number that is taken: its factors are found in a few milliseconds.
const LARGEST: u64 = 1_000_000_000_000;
/// The most input that is read, in bytes.
const LONGEST_INPUT: u64 = 1 << 20;

fn main() -> ExitCode {
    let input = io::stdin().lock().take(LONGEST_INPUT);
    let mut output = io::BufWriter::new(io::stdout().lock());
    match answer(input, &mut output).and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // The watchdog makes a 500 of this, with what was written so far in it.
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer(input: impl BufRead, output: &mut impl Write) -> io::Result<()> {
    for line in input.lines() {
        let line = line?;
        let Some(number) = number(&line) else {
            writeln!(output, "not a number from 1 to {LARGEST}: {line}")?;
            return output.flush().and(Err(io::ErrorKind::InvalidData.into()));
        };
        write!(output, "{number}:")?;
        for factor in factors(number) {
            write!(output, " {factor}")?;
        }
        writeln!(output)?;
    }
    Ok(())
}

fn number(line: &str) -> Option<u64> {
    let number = line.trim().parse().ok()?;
    (1..=LARGEST).contains(&number).then_some(number)
}

fn factors(mut number: u64) -> Vec<u64> {
    let mut found = Vec::new();
    let mut candidate = 2;
    while candidate * candidate <= number {
        while number.is_multiple_of(candidate) {
            found.push(candidate);
            number /= candidate;
        }
        candidate += 1;
    }
    if number > 1 {
        found.push(number);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_product_of_its_factors() {
        for (number, expected) in [
            (1, vec![]),
            (2, vec![2]),
            (360, vec![2, 2, 2, 3, 3, 5]),
            (999_999_999_989, vec![999_999_999_989]),
            (LARGEST, [[2; 12], [5; 12]].concat()),
        ] {
            assert_eq!(factors(number), expected, "{number}");
        }
    }

    #[test]
    fn what_is_no_number_ends_with_an_error_that_quotes_it() {
        for line in ["", "0", "-1", "1.5", "1000000000001", "twelve"] {
            assert_eq!(number(line), None, "{line}");
        }
        let mut output = Vec::new();
        assert!(answer(&b"6\ntwelve\n7\n"[..], &mut output).is_err());
        let output = String::from_utf8_lossy(&output).into_owned();
        assert_eq!(
            output,
            "6: 2 3\nnot a number from 1 to 1000000000000: twelve\n"
        );
    }
}
