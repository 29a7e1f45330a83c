//! Strings and decimals into integers. Everything is exact: text that would need rounding is refused.

use crate::model::{Compare, Comparison, Micros, Rate};

/// `12.5` scaled by `10^digits`; `None` for anything else (a sign, an exponent, more digits than that, `nan`).
pub(crate) fn decimal(text: &str, digits: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty()
        || !is_number(whole)
        || !is_number(fraction)
        || (text.contains('.') && fraction.is_empty())
    {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = digits.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let scale = 10u64.checked_pow(digits)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let fraction = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?.checked_mul(10u64.pow(missing))?
    };
    whole.checked_add(fraction)
}

/// Units of durations with their length in microseconds.
pub(crate) const UNITS: &[(&str, u64)] =
    &[("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];

/// `250ms`, `1.5s`. The error says what is wrong with the text.
pub(crate) fn duration(text: &str) -> Result<Micros, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err("a duration is not negative".to_owned());
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..unit_at], text[unit_at..].trim_start());
    if number.is_empty() {
        return Err(format!("`{text}` is not a duration"));
    }
    if unit.is_empty() {
        return Err(format!("`{text}` has no unit: seconds or milliseconds?"));
    }
    let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("`{unit}` is not a unit of time"));
    };
    // Six digits are enough for every unit; finer ones must still come out as whole microseconds.
    let scaled = decimal(number, 6).ok_or_else(|| format!("`{number}` is not a decimal number in range"))?;
    let micros = u128::from(scaled) * u128::from(*size);
    if !micros.is_multiple_of(1_000_000) {
        return Err("durations have microsecond precision".to_owned());
    }
    u64::try_from(micros / 1_000_000).map(Micros).map_err(|_| format!("`{text}` is too long"))
}

/// `50/s`, `0.5/s`, `30/m`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let Some((number, unit)) = text.trim().split_once('/') else {
        return Err(format!("`{text}` has no unit: per second or per minute?"));
    };
    let milli = decimal(number.trim(), 3)
        .ok_or_else(|| format!("`{number}` is not a number with at most three decimals"))?;
    match unit.trim() {
        "s" => Ok(Rate(milli)),
        "m" if milli.is_multiple_of(60) => Ok(Rate(milli / 60)),
        "m" => Err("a rate has a precision of 0.001 per second".to_owned()),
        other => Err(format!("`{other}` is not a unit of rates, use `s` or `m`")),
    }
}

/// `1Mbit`, `64 kbit`: bits per second, above 0.
pub(crate) fn bandwidth(text: &str) -> Option<u64> {
    const UNITS: [(&str, u32); 4] = [("kbit", 3), ("Mbit", 6), ("Gbit", 9), ("bit", 0)];
    let (unit, digits) = UNITS.iter().find(|(unit, _)| text.trim().ends_with(unit))?;
    let number = text.trim().strip_suffix(unit)?.trim_end();
    decimal(number, *digits).filter(|bits| *bits > 0)
}

/// Operators, longer ones first.
pub(crate) const OPERATORS: &[(&str, Compare)] = &[
    (">=", Compare::GreaterOrEqual),
    ("<=", Compare::LessOrEqual),
    ("==", Compare::Equal),
    ("!=", Compare::NotEqual),
    (">", Compare::Greater),
    ("<", Compare::Less),
];

/// `>= 5`.
pub(crate) fn comparison(text: &str) -> Option<Comparison> {
    let text = text.trim();
    let (sign, op) = OPERATORS.iter().find(|(sign, _)| text.starts_with(sign))?;
    let value = text[sign.len()..].trim().replace('_', "").parse().ok()?;
    Some(Comparison { op: *op, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidths() {
        for (text, bits) in [
            ("1Mbit", Some(1_000_000)),
            ("0.5 kbit", Some(500)),
            ("9bit", Some(9)),
            ("0bit", None),
            ("1MB", None),
        ] {
            assert_eq!(bandwidth(text), bits, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, micros) in [
            ("250ms", 250_000),
            ("1.2ms", 1_200),
            ("0.000001s", 1),
            ("2m", 120_000_000),
            ("0s", 0),
            ("3 h", 10_800_000_000),
        ] {
            assert_eq!(duration(text), Ok(Micros(micros)), "{text}");
        }
        for text in [
            "",
            "10",
            "s",
            "10 parsecs",
            "0.5us",
            "-1s",
            "1e3s",
            "1.s",
            "99999999999999999999h",
            "18446744073709551615s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn display_of_a_duration_reads_back() {
        for micros in [0, 1, 999, 1_000, 1_500_000, 60_000_000, 3_600_000_000, 7_200_000_001] {
            assert_eq!(duration(&Micros(micros).to_string()), Ok(Micros(micros)));
        }
    }

    #[test]
    fn decimals_and_rates_are_exact() {
        assert_eq!(decimal("0.05", 6), Some(50_000));
        assert_eq!(decimal("1", 6), Some(1_000_000));
        for text in ["nan", "inf", "1e-3", "-1", ".5", "1.", "0.0000001", "", "+1"] {
            assert_eq!(decimal(text, 6), None, "{text}");
        }
        assert_eq!(rate("0.5/s"), Ok(Rate(500)));
        assert_eq!(rate("30/m"), Ok(Rate(500)));
        assert!(rate("50").is_err() && rate("50/h").is_err() && rate("0.0001/s").is_err());
    }

    #[test]
    fn comparisons() {
        assert_eq!(comparison(">= 5").map(|c| (c.holds(4), c.holds(5))), Some((false, true)));
        assert_eq!(comparison("<=1_000").map(|c| (c.holds(1_000), c.holds(1_001))), Some((true, false)));
        assert!(comparison("5").is_none() && comparison("=> 5").is_none() && comparison(">").is_none());
    }
}
