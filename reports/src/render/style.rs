//! How text is laid out: width, colours, wrapping, columns.

/// What the caller knows about the screen. Nothing here looks for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to write ANSI colours.
    pub colour: bool,
    /// Columns of the screen. Sentences are wrapped to it; commands and paths never are, so that they can be copied.
    pub width: usize,
    /// The most lines a timeline has. What matters least is left out first, and the number left out is printed.
    pub timeline_lines: usize,
}

impl Default for Style {
    fn default() -> Self {
        Style { colour: false, width: 100, timeline_lines: 40 }
    }
}

/// A meaning, not a colour: which colour it has is decided here once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Doubt,
    Faint,
    Strong,
    Plain,
}

impl Style {
    /// `text` in the colour of `tone`. Every meaning is also in the words: without colours nothing is lost.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colour => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Doubt => "33",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// `text` after `first`, wrapped to the width; further lines are indented by the width of `first`. Control
    /// characters become `\u{FFFD}`: text from a scenario or a panic must not steer the terminal.
    pub(super) fn wrapped(&self, first: &str, tone: Tone, text: &str) -> String {
        let indent = columns(first);
        // A narrow screen still gets some words on a line.
        let room = self.width.saturating_sub(indent).max(24);
        let pad = " ".repeat(indent);
        let mut out = String::new();
        for (index, line) in wrap(&printable(text), room).iter().enumerate() {
            out.push_str(if index == 0 { first } else { &pad });
            out.push_str(&self.paint(tone, line));
            out.push('\n');
        }
        out
    }
}

/// `text` without control characters.
pub(super) fn printable(text: &str) -> String {
    let visible = |c: char| {
        if c == '\n' || c == '\t' {
            ' '
        } else if c.is_control() {
            '\u{FFFD}'
        } else {
            c
        }
    };
    text.chars().map(visible).collect()
}

/// Columns that `text` takes. One a character: our own words are ASCII, and a wide name only misaligns its row.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// `text` and blanks up to `width` columns.
pub(super) fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Blanks and `text`, together `width` columns.
pub(super) fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// `1 record`, `2 records`.
pub(super) fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Breaks at blanks; a word that is longer than `room` stays whole on its own line. Runs of blanks inside of a line
/// stay as they are. At least one line.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("starts with one line and only grows");
        if line.is_empty() {
            line.push_str(word);
        } else if columns(line) + 1 + columns(word) <= room {
            line.push(' ');
            line.push_str(word);
        } else {
            line.truncate(line.trim_end().len());
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_long_words_stay_whole() {
        assert_eq!(wrap("", 10), [""]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a/very/long/path and", 5), ["a/very/long/path", "and"]);
        assert_eq!(wrap("one   two", 20), ["one   two"]);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let style = Style { width: 80, ..Style::default() };
        assert_eq!(style.wrapped("x ", Tone::Plain, "a\u{1b}[2Jb\nc"), "x a\u{FFFD}[2Jb c\n");
    }

    #[test]
    fn colours_only_when_asked_for() {
        let plain = Style::default();
        assert_eq!(plain.paint(Tone::Bad, "no"), "no");
        let coloured = Style { colour: true, ..plain };
        assert_eq!(coloured.paint(Tone::Bad, "no"), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(coloured.paint(Tone::Plain, "no"), "no");
    }
}
