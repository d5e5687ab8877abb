//! A course as a picture.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::trace::{Sample, Trace};

const SIZE: (u32, u32) = (960, 720);
const LOAD: RGBColor = RGBColor(255, 232, 204);
const FIRST: RGBColor = RGBColor(31, 90, 166);
const SECOND: RGBColor = RGBColor(150, 150, 150);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Points = Vec<(f64, f64)>;

/// Writes level, pictures a second, and the time for a picture, one below the other.
pub(super) fn draw(trace: &Trace, file: &Path) -> Result<()> {
    let mut svg = String::new();
    panels(trace, &mut svg).map_err(|error| anyhow!("drawing: {error}"))?;
    fs::write(file, svg).with_context(|| format!("writing {}", file.display()))
}

fn panels(trace: &Trace, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    use SeriesLabelPosition::{LowerRight, UpperRight};
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let of = |value: fn(&Sample) -> f64| -> Points {
        trace.samples.iter().map(|sample| (sample.at, value(sample))).collect()
    };
    let interval = |sample: &Sample| 1_000.0 / sample.target_fps.max(1.0);
    let encode = of(|sample| sample.encode_ms);
    let highest = encode.iter().map(|point| point.1).fold(70.0, f64::max);
    let panels = [
        Panel {
            title: "degradation level (shaded: another program has the cores)",
            most: 3.2,
            thin: None,
            thick: ("", levels(trace)),
            legend: UpperRight,
        },
        Panel {
            title: "pictures a second",
            most: 34.0,
            thin: Some(("aimed at", stairs(&of(|sample| sample.target_fps)))),
            thick: ("sent", of(|sample| sample.fps)),
            legend: LowerRight,
        },
        Panel {
            title: "time to convert and encode a picture, ms",
            most: (highest * 1.05).min(200.0),
            thin: Some(("frame interval", stairs(&of(interval)))),
            thick: ("moving average", encode),
            legend: UpperRight,
        },
    ];
    let areas = root.split_evenly((panels.len(), 1));
    for (panel, area) in panels.into_iter().zip(&areas) {
        panel.draw(trace, area)?;
    }
    root.present()?;
    Ok(())
}

struct Panel {
    title: &'static str,
    most: f64,
    /// A line's name and its points.
    thin: Option<(&'static str, Points)>,
    thick: (&'static str, Points),
    legend: SeriesLabelPosition,
}

impl Panel {
    fn draw(self, trace: &Trace, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 16))
            .margin(8)
            .x_label_area_size(30)
            .y_label_area_size(40)
            .build_cartesian_2d(seconds(trace), 0.0..self.most)?;
        if let Some((from, to)) = trace.loaded {
            chart.draw_series([Rectangle::new([(from, 0.0), (to, self.most)], LOAD.filled())])?;
        }
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .y_labels(5)
            .y_label_formatter(&|value| format!("{value:.0}"))
            .x_label_formatter(&|value| format!("{value:.0} s"))
            .draw()?;
        let named = self.thin.is_some();
        for ((name, points), style) in self
            .thin
            .into_iter()
            .map(|line| (line, SECOND.stroke_width(1)))
            .chain([(self.thick, FIRST.stroke_width(2))])
        {
            let line = chart.draw_series(LineSeries::new(points, style))?;
            if named {
                line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
            }
        }
        if named {
            chart
                .configure_series_labels()
                .position(self.legend)
                .background_style(WHITE.mix(0.8))
                .border_style(TRANSPARENT)
                .draw()?;
        }
        Ok(())
    }
}

fn seconds(trace: &Trace) -> Range<f64> {
    0.0..trace.samples.last().map_or(1.0, |sample| sample.at.max(1.0))
}

/// The level by its steps, which are known to the moment.
fn levels(trace: &Trace) -> Points {
    let mut points = vec![(0.0, 0.0)];
    for step in &trace.steps {
        points.extend([(step.at, step.from as f64), (step.at, step.to as f64)]);
    }
    let last = points.last().map_or(0.0, |point| point.1);
    points.push((seconds(trace).end, last));
    points
}

/// Holds each value until the next.
fn stairs(points: &[(f64, f64)]) -> Points {
    let corners = points.windows(2).flat_map(|pair| [pair[0], (pair[1].0, pair[0].1)]);
    corners.chain(points.last().copied()).collect()
}
