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
        ("queue p50/p95", |score| format!("{:.0}/{:.0}", score.queue_p50_ms, score.queue_p95_ms)),
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
