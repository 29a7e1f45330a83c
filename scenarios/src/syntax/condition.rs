//! Conditions: `isr_size(orders/0) == 2 && hw(orders/0) < leo(orders/0)`. `&&` binds tighter than `||`.

use super::scalar;
use super::scanner::{Parsed, Reference, Scanner};
use super::target;
use crate::model::{Compare, Condition, Measure, NodeState, Operand, PartitionRef, Target};

/// Every word that may begin a condition.
const MEASURES: &[&str] = &[
    "isr_size",
    "isr",
    "leader",
    "hw",
    "leo",
    "lso",
    "epoch",
    "state",
    "acked",
    "acked_since",
    "caught",
    "time",
    "drained",
    "all_isr_full",
    "group_state",
    "txn_state",
    "event",
];

/// A whole condition.
pub(crate) fn condition(scanner: &mut Scanner<'_>) -> Parsed<Condition> {
    let condition = any(scanner)?;
    scanner.end()?;
    Ok(condition)
}

fn any(scanner: &mut Scanner<'_>) -> Parsed<Condition> {
    scanner.descend()?;
    let mut parts = vec![all(scanner)?];
    while scanner.take("||") {
        parts.push(all(scanner)?);
    }
    scanner.ascend();
    Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Or(parts) })
}

fn all(scanner: &mut Scanner<'_>) -> Parsed<Condition> {
    let mut parts = vec![unary(scanner)?];
    while scanner.take("&&") {
        parts.push(unary(scanner)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::And(parts) })
}

fn unary(scanner: &mut Scanner<'_>) -> Parsed<Condition> {
    if scanner.starts_with("!") && !scanner.starts_with("!=") {
        scanner.take("!");
        scanner.descend()?;
        let inner = unary(scanner)?;
        scanner.ascend();
        return Ok(Condition::Not(Box::new(inner)));
    }
    if scanner.take("(") {
        let inner = any(scanner)?;
        scanner.expect(")")?;
        return Ok(inner);
    }
    comparison(scanner)
}

fn comparison(scanner: &mut Scanner<'_>) -> Parsed<Condition> {
    let start = scanner.position();
    let left = match operand(scanner)? {
        Side::Flag(flag) => return Ok(flag),
        Side::Operand(operand) => operand,
    };
    let Some((sign, op)) = scalar::OPERATORS.iter().find(|(sign, _)| scanner.starts_with(sign)) else {
        return Err(scanner.unexpected("a comparison such as `== 2`"));
    };
    scanner.take(sign);
    let right_start = scanner.position();
    let right = match operand(scanner)? {
        Side::Flag(_) => {
            let range = scanner.since(right_start);
            return Err(scanner.error(range, "this is true or false by itself and is not compared"));
        }
        Side::Operand(operand) => operand,
    };
    let range = scanner.since(start);
    let (left_type, right_type) = (type_of(&left), type_of(&right));
    if !comparable(left_type, right_type) {
        let message = format!("{} cannot be compared with {}", left_type.name(), right_type.name());
        return Err(scanner.error(range, message));
    }
    let is_ordered =
        matches!(left_type, Type::Number | Type::Time) && matches!(right_type, Type::Number | Type::Time);
    if !is_ordered && !matches!(op, Compare::Equal | Compare::NotEqual) {
        let message = format!("{} has no order: use `==` or `!=`", left_type.name());
        return Err(scanner.error(range, message));
    }
    if !matches!(left, Operand::Measure(_)) && !matches!(right, Operand::Measure(_)) {
        return Err(scanner.error(range, "this compares two constants"));
    }
    Ok(Condition::Compare { left, op: *op, right })
}

enum Side {
    Flag(Condition),
    Operand(Operand),
}

fn operand(scanner: &mut Scanner<'_>) -> Parsed<Side> {
    let operand = match scanner.peek() {
        Some('[') => set(scanner)?,
        Some(c) if c.is_ascii_digit() => number(scanner)?,
        _ => return word(scanner),
    };
    Ok(Side::Operand(operand))
}

fn set(scanner: &mut Scanner<'_>) -> Parsed<Operand> {
    scanner.expect("[")?;
    let mut ids = Vec::new();
    while !scanner.take("]") {
        let (id, range) = scanner.number("a broker id")?;
        scanner.refer(Reference::Broker(id), range);
        ids.push(id);
        if !scanner.take(",") {
            scanner.expect("]")?;
            break;
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(Operand::Set(ids))
}

/// A number, or a duration if letters follow it.
fn number(scanner: &mut Scanner<'_>) -> Parsed<Operand> {
    let start = scanner.position();
    let (text, range) = scanner.name("a number")?;
    let digits = text.replace('_', "");
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return match digits.parse() {
            Ok(n) => Ok(Operand::Int(n)),
            Err(_) => Err(scanner.error(range, format!("`{text}` is too large"))),
        };
    }
    scalar::duration(text)
        .map(Operand::Duration)
        .map_err(|message| scanner.error(scanner.since(start), message))
}

fn word(scanner: &mut Scanner<'_>) -> Parsed<Side> {
    let start = scanner.position();
    let word = scanner.word();
    let range = scanner.since(start);
    if word.is_empty() {
        return Err(scanner.unexpected("a condition such as `isr_size(orders/0) == 2`"));
    }
    match word {
        "drained" => return Ok(Side::Flag(Condition::Drained)),
        "all_isr_full" => return Ok(Side::Flag(Condition::AllIsrFull)),
        "none" => return Ok(Side::Operand(Operand::None)),
        "group_state" | "txn_state" | "event" => {
            return Err(scanner.not_modelled(&format!("the condition `{word}`"), range));
        }
        _ => {}
    }
    if let Some((_, state)) = NodeState::ALL.iter().find(|(name, _)| *name == word) {
        return Ok(Side::Operand(Operand::State(*state)));
    }
    if !MEASURES.contains(&word) {
        return Err(scanner.unknown("condition", word, range, MEASURES));
    }
    scanner.expect("(")?;
    let measure = match word {
        "isr_size" => Measure::IsrSize(scanner.partition()?),
        "isr" => Measure::Isr(scanner.partition()?),
        "leader" => Measure::Leader(scanner.partition()?),
        "hw" => offset(scanner, Measure::HighWatermark)?,
        "leo" => offset(scanner, Measure::LogEndOffset)?,
        "lso" => offset(scanner, Measure::LastStableOffset)?,
        "epoch" => Measure::LeaderEpoch(scanner.partition()?),
        "state" => Measure::State(target::expression(scanner)?),
        "acked" => {
            let (topic, range) = scanner.name("a topic")?;
            scanner.refer(Reference::Topic(topic.to_owned()), range);
            Measure::Acked(topic.to_owned())
        }
        word @ ("acked_since" | "caught") => {
            let (fault, range) = scanner.name("the id of a fault")?;
            scanner.refer(Reference::Fault(fault.to_owned()), range);
            let fault = fault.to_owned();
            if word == "caught" { Measure::Caught(fault) } else { Measure::AckedSince(fault) }
        }
        _ => Measure::Time,
    };
    scanner.expect(")")?;
    Ok(Side::Operand(Operand::Measure(measure)))
}

fn offset(
    scanner: &mut Scanner<'_>,
    measure: fn(PartitionRef, Option<Target>) -> Measure,
) -> Parsed<Measure> {
    let partition = scanner.partition()?;
    let node = if scanner.take(",") { Some(target::expression(scanner)?) } else { None };
    Ok(measure(partition, node))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Number,
    Node,
    None,
    Set,
    Time,
    State,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::Number => "a number",
            Type::Node => "a leader",
            Type::None => "`none`",
            Type::Set => "a set of brokers",
            Type::Time => "a time",
            Type::State => "a state",
        }
    }
}

fn type_of(operand: &Operand) -> Type {
    match operand {
        Operand::Measure(measure) => match measure {
            Measure::Isr(_) => Type::Set,
            Measure::Leader(_) => Type::Node,
            Measure::State(_) => Type::State,
            Measure::Time => Type::Time,
            _ => Type::Number,
        },
        Operand::Int(_) => Type::Number,
        Operand::Set(_) => Type::Set,
        Operand::None => Type::None,
        Operand::Duration(_) => Type::Time,
        Operand::State(_) => Type::State,
    }
}

fn comparable(left: Type, right: Type) -> bool {
    left == right
        || matches!(
            (left, right),
            (Type::Node, Type::Number | Type::None) | (Type::Number | Type::None, Type::Node)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_print_as_they_are_written() {
        for text in [
            "isr_size(orders/0) == 2 && hw(orders/0) < leo(orders/0)",
            "isr(orders/0) == [0] && acked_since(starve) >= 50",
            "leader(orders/0) != none",
            "leader(orders/0) == 2 || (drained && all_isr_full)",
            "!drained",
            "state(broker(1)) == fenced",
            "time() >= 10s",
            "caught(stall) >= 1",
            "hw(orders/0, follower(orders/0)) < leo(orders/0, broker(1))",
            "epoch(orders/*) > 3",
        ] {
            let mut scanner = Scanner::new(text);
            assert_eq!(condition(&mut scanner).map(|c| c.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn and_binds_tighter_than_or() {
        let parsed = condition(&mut Scanner::new("drained || all_isr_full && drained"));
        assert_eq!(parsed.map(|c| c.to_string()), Ok("drained || (all_isr_full && drained)".to_owned()));
    }

    #[test]
    fn types_and_words_are_checked() {
        for (text, message) in [
            ("isr_size(orders/0) == [0]", "a number cannot be compared with a set of brokers"),
            ("isr(orders/0) < [0]", "a set of brokers has no order"),
            ("leader(orders/0) < 2", "a leader has no order"),
            ("time() > 10", "a time cannot be compared with a number"),
            ("2 == 2", "this compares two constants"),
            ("isr_siz(orders/0) == 2", "unknown condition `isr_siz`"),
            ("group_state(g) == none", "the condition `group_state` is not modelled yet"),
            ("isr_size(orders/0)", "expected a comparison"),
            ("drained &&", "expected a condition"),
            ("state(broker(0)) == 3", "a state cannot be compared"),
        ] {
            let error = condition(&mut Scanner::new(text)).expect_err(text);
            assert!(error.message.starts_with(message), "{text}: {}", error.message);
        }
        assert!(condition(&mut Scanner::new(&"!".repeat(100_000))).is_err());
    }
}
