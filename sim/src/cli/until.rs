//! `--until`: a simulated time or an event number.

use broker::time::Instant;

use super::{Exit, Failure};
use crate::run::Until;

const UNITS: [(&str, u64); 5] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];

/// Reads `12s`, `49.6s`, `250ms` or an event number such as `151002`. Errors: a usage failure that says what is possible.
pub fn parse(text: &str) -> Result<Until, Failure> {
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let read = if is_number { text.parse().ok().map(Until::Event) } else { time(text).map(Until::Time) };
    read.ok_or_else(|| {
        let help = "expected a simulated time such as 12s, 49.6s, 250ms, or an event number such as 151002";
        Failure::new(Exit::Usage, format!("--until {text}: {help}"))
    })
}

fn time(text: &str) -> Option<Instant> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let (_, size) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str| (!text.is_empty() && text.len() <= 12).then(|| text.parse::<u64>().ok()).flatten();
    // A fraction of a microsecond is cut off.
    let part = digits(fraction)?.checked_mul(size)? / 10_u64.pow(fraction.len() as u32);
    digits(whole)?.checked_mul(size)?.checked_add(part).map(Instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_events() {
        for (text, wanted) in [
            ("12s", Until::Time(Instant(12_000_000))),
            ("49.6s", Until::Time(Instant(49_600_000))),
            ("250ms", Until::Time(Instant(250_000))),
            ("1.5m", Until::Time(Instant(90_000_000))),
            ("7us", Until::Time(Instant(7))),
            ("151002", Until::Event(151_002)),
        ] {
            assert_eq!(parse(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn anything_else_is_a_usage_error() {
        for text in ["", "s", "12 parsecs", "-1s", ".5s", "1.s", "1e3s", "99999999999999999999"] {
            assert_eq!(parse(text).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }
}
