//! The museum on the terminal: a line per defect.

use super::style::{Style, Tone, columns, left, printable, right};
use crate::model::{MuseumPiece, MuseumReport};

/// The museum as text, each line ended by a newline.
pub fn museum(report: &MuseumReport, style: &Style) -> String {
    let (caught, all) = (report.caught(), report.pieces.len());
    let (word, tone) = if caught == all { ("PASS", Tone::Good) } else { ("FAIL", Tone::Bad) };
    let mut text = format!("{}  {caught} of {all} historic defects caught\n\n", style.paint(tone, word));
    let width = report.pieces.iter().map(|piece| columns(&piece.name)).max().unwrap_or(0).max(6);
    let has_campaigns = report.campaigns > 0;
    let random = if has_campaigns { "    reached  seeds   CPU s" } else { "" };
    let titles = format!("  id    {}  directed  control{random}  first check", left("defect", width));
    text.push_str(&format!("{}\n", style.paint(Tone::Faint, &titles)));
    for piece in &report.pieces {
        text.push_str(&line(piece, width, has_campaigns, style));
    }
    if has_campaigns {
        let note = format!(
            "seeds and CPU s: until random faults show the defect, the median of {} campaigns of at most {} seeds",
            report.campaigns, report.seed_limit
        );
        text.push_str(&format!("\n{}", style.wrapped("  ", Tone::Faint, &note)));
    }
    text
}

fn line(piece: &MuseumPiece, width: usize, has_campaigns: bool, style: &Style) -> String {
    let word = |is_so: bool, yes: &str, no: &str, width: usize| {
        let tone = if is_so { Tone::Good } else { Tone::Bad };
        style.paint(tone, &left(if is_so { yes } else { no }, width))
    };
    let directed = match piece.scenario {
        Some(_) => word(piece.directed_red, "red", "NOT RED", 8),
        None => word(false, "", "MISSING", 8),
    };
    let control = word(piece.control_green, "green", "NOT", 7);
    let random = if has_campaigns {
        let number = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        format!(
            "  {}  {}  {}",
            right(&format!("{}/{}", piece.campaigns_red, piece.campaigns_run), 9),
            right(&number(piece.seeds_to_red_median.map(|seeds| seeds.to_string())), 5),
            right(&number(piece.cpu_s_to_red_median.map(|cpu| format!("{cpu:.3}"))), 6),
        )
    } else {
        String::new()
    };
    let (id, name) = (left(&piece.defect, 4), left(&printable(&piece.name), width));
    let check = piece.first_check.as_deref().unwrap_or("-");
    format!("  {id}  {name}  {directed}  {control}{random}  {check}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(defect: &str) -> MuseumPiece {
        MuseumPiece {
            defect: defect.to_owned(),
            name: "no-maximal-isr".to_owned(),
            scenario: Some("museum/R06-no-maximal-isr".to_owned()),
            directed_red: true,
            control_green: true,
            first_check: Some("candidates-complete".to_owned()),
            seeds_to_red_median: Some(7),
            cpu_s_to_red_median: Some(0.25),
            campaigns_red: 19,
            campaigns_run: 20,
        }
    }

    #[test]
    fn a_line_per_defect() {
        let missing =
            MuseumPiece { defect: "K03".to_owned(), name: "other".to_owned(), ..MuseumPiece::default() };
        let report = MuseumReport::new(20, 100, vec![piece("R06"), missing]);
        let text = museum(&report, &Style::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "FAIL  1 of 2 historic defects caught");
        assert_eq!(
            lines[2],
            "  id    defect          directed  control    reached  seeds   CPU s  first check"
        );
        assert_eq!(
            lines[3],
            "  R06   no-maximal-isr  red       green        19/20      7   0.250  candidates-complete"
        );
        assert_eq!(lines[4], "  K03   other           MISSING   NOT            0/0      -       -  -");
    }

    #[test]
    fn without_campaigns_their_columns_are_left_out() {
        let text = museum(&MuseumReport::new(0, 100, vec![piece("R06")]), &Style::default());
        assert!(text.starts_with("PASS  1 of 1 historic defects caught\n"), "{text}");
        assert!(!text.contains("seeds"), "{text}");
    }
}
