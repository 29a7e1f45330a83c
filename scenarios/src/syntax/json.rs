//! JSON into the tree. Our own small reader, since the usual ones do not say where a value stands.

use super::tree::{Entry, Node, Table, Val};
use crate::diagnostic::Diagnostic;
use crate::model::Span;

/// Deeper nesting than any scenario has; bounds the recursion.
const DEPTH_MAX: usize = 64;

/// The tree and the syntax errors: the first error ends the reading, duplicate keys do not.
pub(crate) fn parse(text: &str) -> (Node, Vec<Diagnostic>) {
    let mut reader = Reader { text, at: 0, findings: Vec::new() };
    let result = reader.value(0).and_then(|node| {
        reader.skip_space();
        if reader.at < text.len() {
            Err(reader.error("there is something after the end of the document"))
        } else {
            Ok(node)
        }
    });
    match result {
        Ok(node @ Node { value: Val::Table(_), .. }) => (node, reader.findings),
        Ok(node) => {
            let finding = Diagnostic::error("scn::syntax", "a scenario is a JSON object").at(node.span, "");
            (Node { span: node.span, value: Val::Table(Table::default()) }, vec![finding])
        }
        Err(finding) => {
            let mut findings = reader.findings;
            findings.push(finding);
            (Node { span: Span::new(0, 0), value: Val::Table(Table::default()) }, findings)
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    findings: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        while let Some(' ' | '\t' | '\n' | '\r') = self.peek() {
            self.at += 1;
        }
    }

    fn error(&self, message: impl Into<String>) -> Diagnostic {
        let end = self.peek().map_or(self.at, |c| self.at + c.len_utf8());
        Diagnostic::error("scn::syntax", message).at(Span::new(self.at, end), "")
    }

    fn expect(&mut self, wanted: char) -> Result<(), Diagnostic> {
        self.skip_space();
        if self.peek() != Some(wanted) {
            return Err(self.error(format!("expected `{wanted}`")));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Node, Diagnostic> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        self.skip_space();
        let start = self.at;
        let value = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => Val::Str(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { span: Span::new(start, self.at), value })
    }

    fn object(&mut self, depth: usize) -> Result<Val, Diagnostic> {
        self.expect('{')?;
        let mut table = Table::default();
        self.skip_space();
        if self.peek() == Some('}') {
            self.at += 1;
            return Ok(Val::Table(table));
        }
        loop {
            self.skip_space();
            let start = self.at;
            let key = self.string()?;
            let key_span = Span::new(start, self.at);
            self.expect(':')?;
            let node = self.value(depth + 1)?;
            match table.get(&key) {
                Some(first) => self.findings.push(
                    Diagnostic::error("scn::duplicate_key", format!("`{key}` is set twice"))
                        .at(first.key_span, "first set here")
                        .at(key_span, "set again here"),
                ),
                None => table.entries.push(Entry { key, key_span, node }),
            }
            self.skip_space();
            if self.peek() == Some(',') {
                self.at += 1;
                continue;
            }
            self.expect('}')?;
            return Ok(Val::Table(table));
        }
    }

    fn array(&mut self, depth: usize) -> Result<Val, Diagnostic> {
        self.expect('[')?;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(Val::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.peek() == Some(',') {
                self.at += 1;
                continue;
            }
            self.expect(']')?;
            return Ok(Val::Array(items));
        }
    }

    /// Finds the end of the string, then lets `serde_json` undo its escapes.
    fn string(&mut self) -> Result<String, Diagnostic> {
        let start = self.at;
        self.expect('"')?;
        let mut escaped = false;
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let source = &self.text[start..self.at];
                    return serde_json::from_str(source).map_err(|_| {
                        Diagnostic::error("scn::syntax", "this is not a JSON string")
                            .at(Span::new(start, self.at), "")
                    });
                }
                _ => {}
            }
        }
        Err(Diagnostic::error("scn::syntax", "this string has no end").at(Span::new(start, start + 1), ""))
    }

    fn number(&mut self) -> Result<Val, Diagnostic> {
        let start = self.at;
        while let Some('-' | '+' | '.' | 'e' | 'E' | '0'..='9') = self.peek() {
            self.at += 1;
        }
        let source = &self.text[start..self.at];
        if serde_json::from_str::<serde_json::Number>(source).is_err() {
            return Err(Diagnostic::error("scn::syntax", format!("`{source}` is not a JSON number"))
                .at(Span::new(start, self.at), ""));
        }
        Ok(source.parse().map_or_else(|_| Val::Decimal(source.to_owned()), Val::Int))
    }

    fn word(&mut self) -> Result<Val, Diagnostic> {
        for (word, value) in [("true", true), ("false", false)] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(Val::Bool(value));
            }
        }
        Err(self.error("expected a value: an object, a list, a string, a number, `true` or `false`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_toml_reads() {
        let (json, json_findings) =
            parse(r#"{"format": 1, "cluster": {"brokers": 3}, "tags": ["a\n"], "x": 0.5}"#);
        let (toml, toml_findings) =
            super::super::toml::parse("format = 1\ntags = [\"a\\n\"]\nx = 0.5\n[cluster]\nbrokers = 3");
        assert!(json_findings.is_empty() && toml_findings.is_empty());
        assert_eq!(json.to_json(), toml.to_json());
    }

    #[test]
    fn bad_text_is_an_error_with_a_place() {
        for (text, at) in [
            ("{", 1),
            ("[]", 0),
            ("{\"a\":1,\"a\":2}", 1),
            ("{\"a\":nul}", 5),
            ("{\"a\":1} x", 8),
            ("{\"a", 1),
        ] {
            let (_, findings) = parse(text);
            assert_eq!(findings.first().map(Diagnostic::start), Some(at), "{text}");
        }
        assert!(!parse(&"[".repeat(10_000)).1.is_empty());
    }
}
