//! Targets, conditions and partitions, and what else in the file they name: kept until the whole file is known.

use super::Walk;
use crate::diagnostic::Diagnostic;
use crate::model::{Condition, PartitionIndex, PartitionRef, Target};
use crate::syntax::scanner::{Parsed, Reference, Scanner};
use crate::syntax::tree::{Node, Val};
use crate::syntax::{condition, target};

impl Walk<'_> {
    pub(super) fn target(&mut self, node: &Node) -> Option<Target> {
        self.expression(node, "a target is a string such as \"leader(orders/0)\"", target::target)
    }

    pub(super) fn condition(&mut self, node: &Node) -> Option<Condition> {
        self.expression(
            node,
            "a condition is a string such as \"isr_size(orders/0) == 2\"",
            condition::condition,
        )
    }

    /// Two targets.
    pub(super) fn two_targets(&mut self, node: &Node) -> Option<(Target, Target)> {
        let items = self.list(node, "this is a list of two targets")?;
        let [one, other] = items else {
            self.bad_value(node.span, "this is a list of two targets");
            return None;
        };
        let (one, other) = (self.target(one), self.target(other));
        one.zip(other)
    }

    fn expression<T>(
        &mut self,
        node: &Node,
        what: &str,
        parse: fn(&mut Scanner<'_>) -> Parsed<T>,
    ) -> Option<T> {
        let Val::Str(content) = &node.value else {
            self.wrong_type(node, what);
            return None;
        };
        let mut scanner = Scanner::new(content);
        let result = parse(&mut scanner);
        for (reference, range) in std::mem::take(&mut scanner.references) {
            let span = self.inner_span(node, content, range);
            self.references.push((reference, span));
        }
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let span = self.inner_span(node, content, error.range);
                let mut finding = Diagnostic::error(error.code, error.message).at(span, "");
                finding.help = error.help;
                self.report(finding);
                None
            }
        }
    }

    /// `orders/0` as a value of its own.
    pub(super) fn partition(&mut self, node: &Node) -> Option<PartitionRef> {
        self.expression(node, "a partition is a string such as \"orders/0\"", |scanner| {
            let partition = scanner.partition()?;
            scanner.end()?;
            Ok(partition)
        })
    }

    /// Remembers that the file names a topic here.
    pub(super) fn refer_topic(&mut self, topic: &str, node: &Node) {
        self.references.push((Reference::Topic(topic.to_owned()), node.span));
    }

    /// Remembers that the file names a partition here.
    pub(super) fn refer_partition(&mut self, topic: &str, partition: u32, node: &Node) {
        let partition = PartitionRef { topic: topic.to_owned(), partition: PartitionIndex::One(partition) };
        self.references.push((Reference::Partition(partition), node.span));
    }

    /// Remembers that the file names a broker here.
    pub(super) fn refer_broker(&mut self, id: u32, node: &Node) {
        self.references.push((Reference::Broker(id), node.span));
    }

    /// Remembers that the file names a fault here.
    pub(super) fn refer_fault(&mut self, id: &str, node: &Node) {
        self.references.push((Reference::Fault(id.to_owned()), node.span));
    }
}
