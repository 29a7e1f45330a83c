//! `invariant!`: what only a bug can break.

/// Asserts a fact that only a bug of this code can break. On in every profile.
///
/// The driver catches the panic and reports it as a violation with node, time and trace position; it is never an abort of
/// the whole run. What a client or an operator can cause is a typed error instead. Source: ours.
#[macro_export]
macro_rules! invariant {
    ($cond:expr, $($context:tt)+) => {
        assert!($cond, "broker invariant broken: {}", format_args!($($context)+))
    };
}
