//! A cursor over the text of an expression. Keeps the names that the expression refers to, with their places, so
//! that the walker can check them once the whole file is known.

use std::ops::Range;

use crate::model::{PartitionIndex, PartitionRef};
use crate::names::nearest;

/// A mistake in an expression; the range counts bytes of the expression's text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpressionError {
    pub code: &'static str,
    pub range: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

/// Something outside of the expression that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    Partition(PartitionRef),
    Topic(String),
    Broker(u32),
    Controller(u32),
    Client(String),
    Rack(String),
    Fault(String),
    Binding(String),
}

pub(crate) type Parsed<T> = Result<T, ExpressionError>;

/// Deeper nesting than anyone writes by hand; bounds the recursion.
const DEPTH_MAX: usize = 32;

#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    pub references: Vec<(Reference, Range<usize>)>,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Scanner { text, at: 0, depth: 0, references: Vec::new() }
    }

    /// Where the next thing starts.
    pub fn position(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    /// From `start` to the cursor.
    pub fn since(&self, start: usize) -> Range<usize> {
        start..self.at.max(start)
    }

    pub fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    pub fn starts_with(&mut self, sign: &str) -> bool {
        self.skip_space();
        self.rest().starts_with(sign)
    }

    /// Takes `sign` if it comes next.
    pub fn take(&mut self, sign: &str) -> bool {
        let found = self.starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    pub fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    pub fn end(&mut self) -> Parsed<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    /// A word of our own: letters, digits and underscores.
    pub fn word(&mut self) -> &'a str {
        self.run(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    /// A name that the file chose: topic, client, rack, fault. May hold dots and dashes.
    pub fn name(&mut self, what: &str) -> Parsed<(&'a str, Range<usize>)> {
        let start = self.position();
        let name = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if name.is_empty() { Err(self.unexpected(what)) } else { Ok((name, self.since(start))) }
    }

    pub fn number(&mut self, what: &str) -> Parsed<(u32, Range<usize>)> {
        let start = self.position();
        let digits = self.run(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.unexpected(what));
        }
        let range = self.since(start);
        match digits.parse() {
            Ok(n) => Ok((n, range)),
            Err(_) => Err(self.error(range, format!("`{digits}` is too large"))),
        }
    }

    /// `orders/0` or `orders/*`.
    pub fn partition(&mut self) -> Parsed<PartitionRef> {
        let start = self.position();
        let (topic, _) = self.name("a partition such as `orders/0`")?;
        if !self.take("/") {
            let range = self.since(start);
            let help = format!("write `{topic}/0`, or `{topic}/*` for all partitions");
            return Err(self.error(range, "a partition is written topic/number").with_help(help));
        }
        let partition = if self.take("*") {
            PartitionIndex::All
        } else {
            PartitionIndex::One(self.number("a partition number or `*`")?.0)
        };
        let partition = PartitionRef { topic: topic.to_owned(), partition };
        let range = self.since(start);
        self.refer(Reference::Partition(partition.clone()), range);
        Ok(partition)
    }

    pub fn refer(&mut self, reference: Reference, range: Range<usize>) {
        self.references.push((reference, range));
    }

    /// Counts a level of nesting; [`Scanner::ascend`] must follow.
    pub fn descend(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(self.at..self.at, "nested too deeply"));
        }
        Ok(())
    }

    pub fn ascend(&mut self) {
        self.depth -= 1;
    }

    pub fn error(&self, range: Range<usize>, message: impl Into<String>) -> ExpressionError {
        ExpressionError { code: "scn::bad_expression", range, message: message.into(), help: None }
    }

    pub fn unexpected(&mut self, wanted: &str) -> ExpressionError {
        let start = self.position();
        match self.rest().chars().next() {
            Some(c) => self.error(start..start + c.len_utf8(), format!("expected {wanted}, found `{c}`")),
            None => self.error(start..start, format!("expected {wanted}, found the end")),
        }
    }

    /// An unknown word, with the one that was meant.
    pub fn unknown(
        &self,
        what: &str,
        word: &str,
        range: Range<usize>,
        known: &[&'static str],
    ) -> ExpressionError {
        let error = self.error(range, format!("unknown {what} `{word}`"));
        match nearest(word, known.iter().copied()) {
            Some(name) => error.with_help(format!("did you mean `{name}`?")),
            None => error.with_help(format!("known: {}", known.join(", "))),
        }
    }

    pub fn not_modelled(&self, what: &str, range: Range<usize>) -> ExpressionError {
        ExpressionError {
            code: "scn::not_modelled_yet",
            range,
            message: format!("{what} is not modelled yet"),
            help: Some("the language knows it, the simulator does not: leave it out for now".to_owned()),
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn run(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

impl ExpressionError {
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
