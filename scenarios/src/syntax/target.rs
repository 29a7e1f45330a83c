//! Target expressions: `random(2, brokers - leader(orders/0))`. `&` binds tighter than `+` and `-`.

use super::scanner::{Parsed, Reference, Scanner};
use crate::model::Target;

/// Every word that may begin a target.
pub(crate) const TARGETS: &[&str] = &[
    "broker",
    "controller",
    "client",
    "rack",
    "leader",
    "follower",
    "isr_follower",
    "non_isr",
    "replica",
    "preferred_leader",
    "active_controller",
    "coordinator",
    "brokers",
    "controllers",
    "clients",
    "random",
];

/// A whole target.
pub(crate) fn target(scanner: &mut Scanner<'_>) -> Parsed<Target> {
    let target = expression(scanner)?;
    scanner.end()?;
    Ok(target)
}

/// A target inside a longer text.
pub(crate) fn expression(scanner: &mut Scanner<'_>) -> Parsed<Target> {
    scanner.descend()?;
    let mut left = intersection(scanner)?;
    loop {
        left = if scanner.take("+") {
            Target::Union(Box::new(left), Box::new(intersection(scanner)?))
        } else if scanner.take("-") {
            Target::Minus(Box::new(left), Box::new(intersection(scanner)?))
        } else {
            break;
        };
    }
    scanner.ascend();
    Ok(left)
}

fn intersection(scanner: &mut Scanner<'_>) -> Parsed<Target> {
    let mut left = atom(scanner)?;
    while scanner.take("&") {
        left = Target::Intersection(Box::new(left), Box::new(atom(scanner)?));
    }
    Ok(left)
}

fn atom(scanner: &mut Scanner<'_>) -> Parsed<Target> {
    if scanner.take("(") {
        let inner = expression(scanner)?;
        scanner.expect(")")?;
        return Ok(inner);
    }
    let start = scanner.position();
    if scanner.take("$") {
        let name = scanner.word().to_owned();
        if name.is_empty() {
            return Err(scanner.unexpected("a name that a fault bound with `as`"));
        }
        let range = scanner.since(start);
        scanner.refer(Reference::Binding(name.clone()), range);
        return Ok(Target::Bound(name));
    }
    let word = scanner.word();
    if word.is_empty() {
        return Err(scanner.unexpected("a target such as `leader(orders/0)`"));
    }
    let range = scanner.since(start);
    let has_arguments = scanner.starts_with("(");
    match word {
        "brokers" => return Ok(Target::Brokers),
        "controllers" => return Ok(Target::Controllers),
        "clients" => return Ok(Target::Clients),
        "active_controller" => return Ok(Target::ActiveController),
        // In the singular and without an id: any of them, as in `random(broker)`.
        "broker" if !has_arguments => return Ok(Target::Brokers),
        "controller" if !has_arguments => return Ok(Target::Controllers),
        "client" if !has_arguments => return Ok(Target::Clients),
        _ if !TARGETS.contains(&word) => return Err(scanner.unknown("target", word, range, TARGETS)),
        _ => {}
    }
    scanner.expect("(")?;
    let target = call(scanner, word, start)?;
    scanner.expect(")")?;
    Ok(target)
}

fn call(scanner: &mut Scanner<'_>, word: &str, start: usize) -> Parsed<Target> {
    Ok(match word {
        "broker" => {
            let (id, range) = scanner.number("a broker id")?;
            scanner.refer(Reference::Broker(id), range);
            Target::Broker(id)
        }
        "controller" => {
            let (id, range) = scanner.number("a controller id")?;
            scanner.refer(Reference::Controller(id), range);
            Target::Controller(id)
        }
        "client" => {
            let (name, range) = scanner.name("a client name such as `p-0`")?;
            scanner.refer(Reference::Client(name.to_owned()), range);
            Target::Client(name.to_owned())
        }
        "rack" => {
            let (name, range) = scanner.name("a rack name")?;
            scanner.refer(Reference::Rack(name.to_owned()), range);
            Target::Rack(name.to_owned())
        }
        "leader" => Target::Leader(scanner.partition()?),
        "follower" => Target::Follower(scanner.partition()?),
        "isr_follower" => Target::IsrFollower(scanner.partition()?),
        "non_isr" => Target::NonIsr(scanner.partition()?),
        "preferred_leader" => Target::PreferredLeader(scanner.partition()?),
        "replica" => {
            let partition = scanner.partition()?;
            scanner.expect(",")?;
            Target::Replica(partition, scanner.number("the place of a replica, from 0")?.0)
        }
        "random" => random(scanner)?,
        _ => {
            scanner.name("a coordinator such as `group:g`")?;
            scanner.expect(":")?;
            scanner.name("a group or transactional id")?;
            let range = scanner.since(start);
            return Err(scanner.not_modelled("a coordinator as a target", range));
        }
    })
}

fn random(scanner: &mut Scanner<'_>) -> Parsed<Target> {
    if !scanner.peek().is_some_and(|c| c.is_ascii_digit()) {
        return Ok(Target::Random { count: 1, of: Box::new(expression(scanner)?) });
    }
    let (count, range) = scanner.number("how many")?;
    if count == 0 {
        return Err(scanner.error(range, "a random choice of none strikes nobody"));
    }
    scanner.expect(",")?;
    Ok(Target::Random { count, of: Box::new(expression(scanner)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_print_as_they_are_written() {
        for text in [
            "broker(2)",
            "client(p-1)",
            "rack(a)",
            "leader(orders.v2-x/0)",
            "leader(orders/*)",
            "replica(orders/0, 1)",
            "active_controller",
            "random(isr_follower(orders/0))",
            "random(2, brokers - leader(orders/0))",
            "brokers - (broker(0) + $victim)",
            "brokers & rack(a)",
        ] {
            let mut scanner = Scanner::new(text);
            assert_eq!(target(&mut scanner).map(|t| t.to_string()), Ok(text.to_owned()));
        }
        let mut scanner = Scanner::new("random(broker)");
        assert_eq!(target(&mut scanner).map(|t| t.to_string()), Ok("random(brokers)".to_owned()));
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, range, help) in [
            ("leadr(orders/0)", 0..5, "did you mean `leader`?"),
            ("leader(orders)", 7..13, "write `orders/0`"),
            ("broker(0) + ", 12..12, ""),
            ("broker(0) broker(1)", 10..11, ""),
            ("random(0, brokers)", 7..8, ""),
            ("coordinator(group:g)", 0..19, "the language knows it"),
            ("broker(99999999999)", 7..18, ""),
        ] {
            let error = target(&mut Scanner::new(text)).expect_err(text);
            assert_eq!(error.range, range, "{text}: {error:?}");
            assert!(error.help.unwrap_or_default().starts_with(help), "{text}");
        }
        assert!(target(&mut Scanner::new(&"(".repeat(100_000))).is_err());
    }
}
