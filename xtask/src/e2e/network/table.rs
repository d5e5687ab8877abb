//! The networks as a table, for the terminal and for the documentation.

use serde_json::{Value, json};
use yc_simulator::Profile;

use super::course::rounded;
use super::measured::Measured;

type Cell = fn(&Measured) -> String;

/// What there is a column for.
const COLUMNS: [(&str, Cell); 12] = [
    ("first picture", |measured| or_dash(measured.first_picture, |after| format!("{after:.1} s"))),
    ("pictures a second", |measured| format!("{:.1}", measured.fps)),
    ("freezes", |measured| match measured.freezes {
        0 => "0".to_owned(),
        freezes => format!("{freezes}, {:.0} ms", measured.frozen_ms),
    }),
    ("longest stand", |measured| format!("{:.1} s", measured.longest_gap)),
    ("latency p50, p95", |measured| {
        let [p50, p95] = measured.latency_ms.map(|ms| or_dash(ms, |ms| format!("{ms:.0}")));
        format!("{p50}, {p95} ms")
    }),
    ("queue p95", |measured| format!("{:.0} ms", measured.queue_ms[1])),
    ("used", |measured| or_dash(measured.used, |used| format!("{:.0} %", used * 100.0))),
    ("lost", |measured| {
        format!("{:.1} %", measured.dropped.total() as f64 / measured.sent.max(1) as f64 * 100.0)
    }),
    ("asked, resent, repaired", |measured| {
        let resent = or_dash(measured.resent, |resent| resent.to_string());
        format!("{}, {resent}, {}", measured.asked, measured.repaired)
    }),
    ("key frames", |measured| measured.key_frames.to_string()),
    ("estimate", |measured| or_dash(measured.estimate_kbps, |kbps| format!("{kbps:.0} kbit/s"))),
    ("held back by", |measured| match (measured.limited_by.as_str(), measured.highest_level) {
        ("none", 0) => "nothing".to_owned(),
        (by, 0) => by.to_owned(),
        (by, highest) => format!("{by}, level {} (up to {highest})", measured.level),
    }),
];

const BEGIN: &str = "<!-- cargo xtask e2e network --docs -->\n";
const END: &str = "<!-- end -->\n";

/// As Markdown.
pub(super) fn markdown(rows: &[(&Profile, Measured)]) -> String {
    let head: String = COLUMNS.iter().map(|(name, _)| format!(" {name} |")).collect();
    let line = " --- |".repeat(COLUMNS.len());
    let rows = rows.iter().map(|(profile, measured)| {
        let cells: String = COLUMNS.iter().map(|(_, cell)| format!(" {} |", cell(measured))).collect();
        format!("| {} |{cells}\n", profile.about)
    });
    format!("| network |{head}\n| --- |{line}\n{}", rows.collect::<String>())
}

/// One line for people.
pub(super) fn line(profile: &Profile, measured: &Measured) -> String {
    let cells: Vec<String> =
        COLUMNS.iter().map(|(name, cell)| format!("{name} {}", cell(measured))).collect();
    let falls = measured.falls.iter().map(|after| format!("; flows again after {after:.1} s"));
    let rises = measured
        .rises
        .iter()
        .map(|after| or_dash(*after, |after| format!("{after:.1} s")))
        .map(|after| format!("; rise used after {after}"));
    let changes: String = falls.chain(rises).collect();
    format!(
        "   {:<9} {}{changes}; nothing sent for {:.2} s; relay late {} ms",
        profile.name,
        cells.join("; "),
        measured.longest_silence,
        measured.relay_late_ms
    )
}

/// `page` with what stands between its two markers replaced by `table`; none if it has no such markers.
pub(super) fn into_page(page: &str, table: &str) -> Option<String> {
    let from = page.find(BEGIN)? + BEGIN.len();
    let to = from + page[from..].find(END)?;
    Some(format!("{}\n{table}\n{}", &page[..from], &page[to..]))
}

fn or_dash<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), text)
}

impl Measured {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "first_picture": self.first_picture.map(rounded),
            "seconds": rounded(self.seconds),
            "fps": rounded(self.fps),
            "freezes": self.freezes,
            "frozen_ms": rounded(self.frozen_ms),
            "longest_gap": rounded(self.longest_gap),
            "longest_silence": rounded(self.longest_silence),
            "frames_dropped": self.frames_dropped,
            "latency_ms": self.latency_ms,
            "unreadable": self.unreadable,
            "jitter_buffer_ms": self.jitter_buffer_ms.map(rounded),
            "size": [self.size.0, self.size.1],
            "used": self.used.map(rounded),
            "rises": self.rises,
            "falls": self.falls,
            "queue_ms": self.queue_ms,
            "queue_unsettled_ms": self.queue_unsettled_ms,
            "relay_late_ms": self.relay_late_ms,
            "sent": self.sent,
            "dropped": {
                "queue": self.dropped.queue,
                "loss": self.dropped.loss,
                "outage": self.dropped.outage,
                "capacity": self.dropped.capacity,
            },
            "unseen": self.unseen,
            "asked": self.asked,
            "resent": self.resent,
            "repaired": self.repaired,
            "viewer_nacks": self.viewer_nacks,
            "viewer_plis": self.viewer_plis,
            "key_frames": self.key_frames,
            "estimate_kbps": self.estimate_kbps,
            "limited_by": self.limited_by,
            "level": self.level,
            "highest_level": self.highest_level,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_measured_and_what_was_not_with_a_dash() {
        let measured = Measured {
            first_picture: Some(0.34),
            fps: 29.96,
            longest_gap: 0.78,
            freezes: 2,
            frozen_ms: 812.4,
            latency_ms: [Some(61.2), None],
            queue_ms: [3.0, 48.25],
            used: Some(0.914),
            sent: 1_000,
            asked: 12,
            repaired: 9,
            key_frames: 3,
            limited_by: "bandwidth".to_owned(),
            level: 1,
            highest_level: 2,
            ..Measured::default()
        };
        let profile = Profile::by_name("1-mbit").unwrap();
        let table = markdown(&[(profile, measured)]);
        let row = table.lines().last().unwrap();
        let expected = "| 0.3 s | 30.0 | 2, 812 ms | 0.8 s | 61, – ms | 48 ms | 91 % | 0.0 % | 12, –, 9 | 3 | – | \
                        bandwidth, level 1 (up to 2) |";
        assert!(row.starts_with(&format!("| {} |", profile.about)) && row.ends_with(expected), "{row}");
        let columns = |line: &str| line.matches('|').count();
        assert!(table.lines().all(|line| columns(line) == columns(row)), "{table}");
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_between_the_markers() {
        let page = format!("Before\n\n{BEGIN}\n| old |\n\n{END}\nAfter\n");
        let replaced = into_page(&page, "| new |\n").unwrap();
        assert_eq!(replaced, format!("Before\n\n{BEGIN}\n| new |\n\n{END}\nAfter\n"));
        assert_eq!(into_page(&replaced, "| new |\n").as_deref(), Some(replaced.as_str()));
        assert_eq!(into_page("Nothing\n", "| new |\n"), None);
    }
}
