//! Scores as text.

use std::fmt::Write;

use crate::compare::EstimatorScore;
use crate::{Moment, Score};

/// One line a run, columns aligned.
pub fn scores(scores: &[Score]) -> String {
    let columns: [Column; 20] = [
        ("profile", |score| score.profile.to_owned()),
        ("trace", |score| score.trace.to_owned()),
        ("seed", |score| score.seed.to_string()),
        ("first ms", |score| optional(score.first_picture_ms)),
        ("sharp ms", |score| optional(score.sharp_ms)),
        ("slide ms", |score| optional(score.slide_sharp_ms)),
        ("freezes", |score| score.freezes.to_string()),
        ("frozen ms", |score| whole(score.frozen_ms)),
        ("quality", |score| format!("{:.2}", score.quality)),
        ("used %", |score| optional(score.utilisation.map(|share| share * 100.0))),
        ("rise ms", |score| optional(score.rise_ms)),
        ("recover ms", |score| optional(score.recovery_ms)),
        ("over %", |score| whole(score.overshoot * 100.0)),
        ("queue p50/p95/settled", |score| {
            format!("{:.0}/{:.0}/{:.0}", score.queue_p50_ms, score.queue_p95_ms, score.queue_settled_p95_ms)
        }),
        ("latency p50/p95", |score| format!("{:.0}/{:.0}", score.latency_p50_ms, score.latency_p95_ms)),
        ("target/sent kbps", |score| format!("{:.0}/{:.0}", score.target_kbps, score.sent_kbps)),
        ("keys", |score| score.keyframes.to_string()),
        ("again/recov", |score| format!("{}/{}", score.retransmitted, score.recovered)),
        ("lost %", |score| format!("{:.1}", score.lost * 100.0)),
        ("full drops", |score| score.queue_drops.to_string()),
    ];
    let rows: Vec<Vec<String>> =
        scores.iter().map(|score| columns.iter().map(|(_, cell)| cell(score)).collect()).collect();
    aligned(&columns.map(|(name, _)| name), &rows)
}

/// One line a network and screen: the worst of its runs, which stand one after another in `scores`.
pub fn worst(scores: &[Score]) -> String {
    let heads = [
        "profile",
        "trace",
        "runs",
        "frozen runs",
        "freezes",
        "longest ms",
        "first ms",
        "sharp ms",
        "slide ms",
        "quality",
        "used %",
        "rise ms",
        "recover ms",
        "queue p95/settled",
        "latency p95",
        "keys",
    ];
    let row = |runs: &[Score]| {
        let most = |value: fn(&Score) -> Option<f64>| runs.iter().filter_map(value).reduce(f64::max);
        let least = |value: fn(&Score) -> Option<f64>| runs.iter().filter_map(value).reduce(f64::min);
        // A picture that one run never had is the worst there is.
        let all_or_none = |value: fn(&Score) -> Option<f64>| {
            let all = runs.iter().all(|score| value(score).is_some());
            optional(most(value).filter(|_| all))
        };
        let queue = [most(|score| Some(score.queue_p95_ms)), most(|score| Some(score.queue_settled_p95_ms))];
        vec![
            runs[0].profile.to_owned(),
            runs[0].trace.to_owned(),
            runs.len().to_string(),
            runs.iter().filter(|score| score.freezes > 0).count().to_string(),
            optional(most(|score| Some(score.freezes.into()))),
            optional(most(|score| Some(score.longest_freeze_ms))),
            all_or_none(|score| score.first_picture_ms),
            all_or_none(|score| score.sharp_ms),
            all_or_none(|score| score.slide_sharp_ms),
            format!("{:.2}", least(|score| Some(score.quality)).unwrap_or_default()),
            optional(least(|score| score.utilisation).map(|share| share * 100.0)),
            all_or_none(|score| score.rise_ms),
            all_or_none(|score| score.recovery_ms),
            queue.map(optional).join("/"),
            optional(most(|score| Some(score.latency_p95_ms))),
            optional(most(|score| Some(score.keyframes as f64))),
        ]
    };
    let runs = scores.chunk_by(|a, b| (a.profile, a.trace) == (b.profile, b.trace));
    aligned(&heads, &runs.map(row).collect::<Vec<_>>())
}

/// One line a contest, columns aligned.
pub fn estimators(scores: &[EstimatorScore]) -> String {
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let heads = [
        "profile",
        "source",
        "estimator",
        "seed",
        "used %",
        "queue p50/p95",
        "full drops",
        "rise ms",
        "recover ms",
        "estimate %",
        "± %",
        "probes",
        "padding %",
    ];
    let row = |score: &EstimatorScore| {
        vec![
            score.profile.to_owned(),
            score.source.to_owned(),
            score.estimator.to_owned(),
            score.seed.to_string(),
            optional(score.utilisation.map(|share| share * 100.0)),
            format!("{:.0}/{:.0}", score.queue_p50_ms, score.queue_p95_ms),
            score.queue_drops.to_string(),
            optional(score.rise_ms),
            optional(score.recovery_ms),
            percent(score.estimate),
            percent(score.deviation),
            score.probes.to_string(),
            percent(score.padding),
        ]
    };
    aligned(&heads, &scores.iter().map(row).collect::<Vec<_>>())
}

/// One line a tenth of a second, columns aligned.
pub fn moments(moments: &[Moment]) -> String {
    let heads = ["at s", "allowed", "aimed", "sent", "passed kbps", "queue ms", "seen", "sharpness"];
    let row = |moment: &Moment| {
        vec![
            format!("{:.1}", moment.at),
            whole(moment.allowed_kbps),
            whole(moment.aimed_kbps),
            whole(moment.sent_kbps),
            whole(moment.passed_kbps),
            whole(moment.queue_ms),
            moment.shown.to_string(),
            format!("{:.2}", moment.sharpness),
        ]
    };
    aligned(&heads, &moments.iter().map(row).collect::<Vec<_>>())
}

/// A head, and what stands below it.
type Column = (&'static str, fn(&Score) -> String);

/// `rows` below `heads` as a Markdown table: names to the left in the first two columns, numbers to the right.
pub(crate) fn aligned(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (column, cell) in cells.enumerate() {
            let _ = match column {
                0 | 1 => write!(text, "| {cell:<width$} ", width = widths[column]),
                _ => write!(text, "| {cell:>width$} ", width = widths[column]),
            };
        }
        text.push_str("|\n");
    };
    line(&mut heads.iter().copied());
    let rules: Vec<String> = widths
        .iter()
        .enumerate()
        .map(
            |(column, width)| {
                if column < 2 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width - 1)) }
            },
        )
        .collect();
    line(&mut rules.iter().map(String::as_str));
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// The number without its fraction, or a dash.
pub(crate) fn optional(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), whole)
}

pub(crate) fn whole(number: f64) -> String {
    format!("{number:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Profile, Scenario, Trace};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".to_owned(), "bb".to_owned(), "3".to_owned()],
            vec!["long".to_owned(), "b".to_owned(), "10".to_owned()],
        ];
        let expected = "\
            | x    | y  | ±± |\n\
            | ---- | -- | -: |\n\
            | a    | bb |  3 |\n\
            | long | b  | 10 |\n";
        assert_eq!(aligned(&["x", "y", "±±"], &rows), expected);
    }

    #[test]
    fn the_worst_of_the_runs_is_shown() {
        let trace = Trace::by_name("still").unwrap();
        let mut profile = Profile::by_name("clean").unwrap().clone();
        profile.duration = std::time::Duration::from_secs(2);
        let run = |seed| Scenario::new(&profile, trace, seed).score().unwrap();
        let (mut first, mut second) = (run(1), run(2));
        (first.freezes, first.longest_freeze_ms, first.quality) = (3, 250.0, 0.9);
        (second.quality, second.sharp_ms) = (0.5, None);
        let text = worst(&[first, second]);
        let cells: Vec<&str> = text.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        // Runs, frozen ones, freezes, the longest.
        assert_eq!(cells[3..7], ["2", "1", "3", "250"], "{text}");
        // Sharp: one of them never was. Quality.
        assert_eq!((cells[8], cells[10]), ("-", "0.50"), "{text}");
    }
}
