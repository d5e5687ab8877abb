//! The rows as a table, for the terminal and for the documentation.

use super::measured::{Measured, SEEN};
use super::row::{Expect, Row};

/// What a row came to.
pub(super) type Outcome<'a> = (&'a Row, Measured);

const HEAD: &str = "\
| fault | what the user sees | after | code | exit | threads left |
| --- | --- | --- | --- | --- | --- |
";

/// As Markdown.
pub(super) fn markdown(outcomes: &[Outcome<'_>]) -> String {
    let rows = outcomes.iter().map(|(row, measured)| {
        let [fault, seen, after, reason, exit, left] = cells(row, measured);
        let reason = if reason.is_empty() { String::new() } else { format!("`{reason}`") };
        format!("| {fault} | {seen} | {after} | {reason} | {exit} | {left} |\n")
    });
    format!("{HEAD}{}", rows.collect::<String>())
}

/// One line for people.
pub(super) fn line(row: &Row, measured: &Measured) -> String {
    let [fault, seen, after, reason, exit, left] = cells(row, measured);
    format!("   {fault:<58} {after:>7}  {reason:<20} {exit:>2} {left:>2}  {seen}")
}

fn cells(row: &Row, measured: &Measured) -> [String; 6] {
    let exit = match row.expect {
        Expect::Ends { .. } | Expect::Refused { .. } => {
            measured.code.map_or_else(|| "signal".to_owned(), |code| code.to_string())
        }
        _ => "–".to_owned(),
    };
    let after = format!("{:.1} s", measured.took.max(0.0));
    let left = measured.left.to_string();
    [row.fault.to_owned(), seen(row, measured), after, measured.reason.clone(), exit, left]
}

fn seen(row: &Row, measured: &Measured) -> String {
    let froze = match measured.froze {
        Some(froze) if froze > SEEN => format!("picture stands for {froze:.1} s, goes on"),
        Some(_) => "picture goes on".to_owned(),
        None => String::new(),
    };
    match row.expect {
        Expect::Starts { .. } => "share starts late".to_owned(),
        Expect::Refused { .. } => "share does not start; the app's other path begins".to_owned(),
        Expect::Ends { reason: "requested", .. } => "share ends as asked".to_owned(),
        Expect::Ends { reason: "window_closed" | "monitor_removed", .. } => {
            "share ends with its source".to_owned()
        }
        Expect::Ends { .. } => "share ends; the app's other path begins".to_owned(),
        Expect::Resized { .. } => format!("{froze} in its new size"),
        Expect::GivesWay { .. } => format!("{froze} with fewer pictures meanwhile"),
        _ => froze,
    }
}

/// `page` with its table of measured faults replaced by `table`; none if it has no such table.
pub(super) fn into_page(page: &str, table: &str) -> Option<String> {
    let head = HEAD.lines().next()?;
    let from = page.find(head)?;
    let rest = &page[from..];
    let len: usize = rest.split_inclusive('\n').take_while(|line| line.starts_with('|')).map(str::len).sum();
    Some(format!("{}{table}{}", &page[..from], &rest[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let page = format!("# Before\n\n{HEAD}| old | row |\n\nAfter | all\n");
        let table = format!("{HEAD}| new | row |\n");
        let replaced = into_page(&page, &table).unwrap();
        assert_eq!(replaced, format!("# Before\n\n{table}\nAfter | all\n"));
        assert_eq!(into_page("# Nothing\n", &table), None);
    }
}
