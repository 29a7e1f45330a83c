//! Microseconds as seconds, without floats.

/// `us` as seconds with three decimals: `40.512s`. Cut, not rounded: a printed moment is never after the event.
pub fn seconds(us: u64) -> String {
    format!("{}.{:03}s", us / 1_000_000, us % 1_000_000 / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_decimals_cut() {
        assert_eq!(seconds(0), "0.000s");
        assert_eq!(seconds(999), "0.000s");
        assert_eq!(seconds(1_000), "0.001s");
        assert_eq!(seconds(40_511_999), "40.511s");
        assert_eq!(seconds(u64::MAX), "18446744073709.551s");
    }
}
