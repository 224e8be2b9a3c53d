//! A measurement as a picture: how long which part of the calls took.

use std::fmt::Write;
use std::time::Duration;

use super::measured::{Measured, Side};
use super::tally::Tally;
use crate::xml::escape;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 560.0;

/// The frame of the curves.
const LEFT: f64 = 76.0;
const RIGHT: f64 = WIDTH - 32.0;
const TOP: f64 = 96.0;
const BOTTOM: f64 = HEIGHT - 120.0;

/// Two that people who see few colours can tell apart, too; the second is dashed besides.
const COLOURS: [&str; 2] = ["#1d4ed8", "#d9480f"];
const DASHES: [&str; 2] = ["none", "9 5"];

/// So many points of a curve for each nine.
const POINTS: u32 = 60;

/// More of a URL would run into the numbers beside it.
const LONGEST_NAME: usize = 42;

/// Shorter is not told apart: the histogram counts microseconds.
const SHORTEST: f64 = 1e-6;

const STYLE: &str = "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:13px;fill:#475569}\
                     .title{font-size:19px;font-weight:600;fill:#0f172a}.strong{fill:#0f172a;font-weight:600}\
                     .grid{stroke:#e2e8f0;stroke-width:1}.frame{stroke:#94a3b8;stroke-width:1;fill:none}\
                     .curve{fill:none;stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}";

impl Measured {
    /// A plot in SVG: the latency, counted from when calls were due, over the part of the calls that stayed within it.
    pub fn to_svg(&self) -> String {
        let totals: Vec<_> = self.sides.iter().map(Side::total).collect();
        let curves: Vec<_> = totals.iter().map(curve).collect();
        let axes = Axes::of(&curves);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<style>{STYLE}</style>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
        );
        text(&mut svg, (LEFT, 38.0), "start", "title", &self.heading());
        text(&mut svg, (LEFT, 62.0), "start", "", &self.asked());
        axes.draw(&mut svg);
        for (number, points) in curves.iter().enumerate() {
            line(&mut svg, &axes, number, points);
        }
        for (number, (side, total)) in self.sides.iter().zip(&totals).enumerate() {
            legend(&mut svg, number, &side.url, total);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn heading(&self) -> String {
        let name = self.sides.first().map_or("", |side| side.function.as_str());
        match self.interrupted {
            true => format!("Latency of {name} by percentile (interrupted)"),
            false => format!("Latency of {name} by percentile"),
        }
    }
}

/// A point: nines of the part (0.9 is 1, 0.99 is 2) and seconds.
type Point = (f64, f64);

/// From none of the calls to all but one.
fn curve(total: &Tally) -> Vec<Point> {
    let end = (total.timed() as f64).log10();
    let seconds = |part| total.latency(part).unwrap_or_default().as_secs_f64();
    let steps = (0..).map(|step| f64::from(step) / f64::from(POINTS));
    let mut points: Vec<_> = steps
        .take_while(|nines| *nines < end)
        .map(|nines| (nines, seconds(1.0 - 10f64.powf(-nines)).max(SHORTEST)))
        .collect();
    if total.timed() > 0 {
        points.push((end, seconds(1.0).max(SHORTEST)));
    }
    points
}

/// Both logarithmic: nines to the right, seconds up.
struct Axes {
    nines: f64,
    /// Powers of ten of a second.
    least: f64,
    most: f64,
}

impl Axes {
    fn of(curves: &[Vec<Point>]) -> Self {
        let points = || curves.iter().flatten();
        let nines = points().map(|point| point.0).fold(1.0, f64::max);
        let least = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let most = points().map(|point| point.1).fold(SHORTEST, f64::max);
        let (least, most) = (round_down(least.min(most)), round_up(most));
        Self {
            nines,
            least: least.log10(),
            most: most.log10().max(least.log10() + 0.3),
        }
    }

    fn x(&self, nines: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * nines / self.nines
    }

    fn y(&self, seconds: f64) -> f64 {
        let part = (seconds.log10() - self.least) / (self.most - self.least);
        BOTTOM - (BOTTOM - TOP) * part
    }

    fn draw(&self, svg: &mut String) {
        for seconds in ticks(self.least, self.most) {
            let y = self.y(seconds);
            grid(svg, (LEFT, y), (RIGHT, y));
            text(svg, (LEFT - 10.0, y + 4.0), "end", "", &shown(seconds));
        }
        for (nines, name) in marks(self.nines) {
            let x = self.x(nines);
            grid(svg, (x, TOP), (x, BOTTOM));
            text(svg, (x, BOTTOM + 20.0), "middle", "", &name);
        }
        let (width, height) = (RIGHT - LEFT, BOTTOM - TOP);
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\"/>"
        );
        let below =
            "part of the calls that were answered within this time, counted from when each was due";
        text(
            svg,
            ((LEFT + RIGHT) / 2.0, BOTTOM + 42.0),
            "middle",
            "",
            below,
        );
    }
}

/// The next 1, 2 or 5 times a power of ten, downwards.
fn round_down(seconds: f64) -> f64 {
    let power = 10f64.powf(seconds.log10().floor());
    let fits = |digit: &&f64| **digit * power <= seconds * 1.000_001;
    [5.0, 2.0, 1.0].iter().find(fits).unwrap_or(&1.0) * power
}

fn round_up(seconds: f64) -> f64 {
    let power = 10f64.powf(seconds.log10().floor());
    let fits = |digit: &&f64| **digit * power >= seconds;
    [1.0, 2.0, 5.0, 10.0].iter().find(fits).unwrap_or(&10.0) * power
}

/// Times worth a line between two powers of ten: 1, 2 and 5 of each, or 1 only where there are many.
fn ticks(least: f64, most: f64) -> Vec<f64> {
    let digits: &[f64] = match most - least > 3.0 {
        true => &[1.0],
        false => &[1.0, 2.0, 5.0],
    };
    let mut ticks = Vec::new();
    let mut power = least.floor();
    while power <= most + 1e-9 {
        ticks.extend(digits.iter().map(|digit| digit * 10f64.powf(power)));
        power += 1.0;
    }
    let inside = |seconds: &f64| (least - 1e-9..=most + 1e-9).contains(&seconds.log10());
    ticks.retain(inside);
    ticks
}

/// 0 %, 50 %, 90 %, 99 % and so on, as far as the nines go.
fn marks(nines: f64) -> Vec<(f64, String)> {
    let mut marks = vec![(0.0, "0 %".to_owned()), (2f64.log10(), "50 %".to_owned())];
    let mut number = 1u8;
    while f64::from(number) <= nines + 1e-9 {
        let name = match number {
            1 => "90 %".to_owned(),
            2 => "99 %".to_owned(),
            more => format!("99.{} %", "9".repeat(usize::from(more) - 2)),
        };
        marks.push((f64::from(number), name));
        number += 1;
    }
    marks
}

fn shown(seconds: f64) -> String {
    let (value, unit) = match seconds {
        ..0.000_999_9 => (seconds * 1e6, "µs"),
        ..0.999_9 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    format!("{value:.0} {unit}")
}

/// For the legend, where three digits can be told.
fn told(time: Option<Duration>) -> String {
    match time.map(|time| time.as_secs_f64()) {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.2} ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

fn line(svg: &mut String, axes: &Axes, number: usize, points: &[Point]) {
    let places: Vec<_> = points
        .iter()
        .map(|(nines, seconds)| format!("{:.1},{:.1}", axes.x(*nines), axes.y(*seconds)))
        .collect();
    let (colour, dash) = (COLOURS[number % 2], DASHES[number % 2]);
    let _ = writeln!(
        svg,
        "<polyline class=\"curve\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>",
        places.join(" ")
    );
}

fn legend(svg: &mut String, number: usize, url: &str, total: &Tally) {
    let y = BOTTOM + 72.0 + 24.0 * number as f64;
    let (colour, dash) = (COLOURS[number % 2], DASHES[number % 2]);
    let (end, middle) = (LEFT + 36.0, y - 4.5);
    let _ = writeln!(
        svg,
        "<path class=\"curve\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\" d=\"M{LEFT} {middle}H{end}\"/>"
    );
    let name: String = url.chars().take(LONGEST_NAME).collect();
    text(svg, (LEFT + 48.0, y), "start", "strong", &name);
    let (half, most, all) = (total.latency(0.5), total.latency(0.99), total.latency(1.0));
    let numbers = format!(
        "{:.1} calls a second · 50 % {} · 99 % {} · longest {}{}",
        total.sent_per_second(),
        told(half),
        told(most),
        told(all),
        failed(total)
    );
    text(svg, (RIGHT, y), "end", "", &numbers);
}

/// So that nobody takes quick refusals for quick answers.
fn failed(total: &Tally) -> String {
    let refused: u64 = total.statuses().range(400..).map(|(_, count)| count).sum();
    let lost: u64 = total.faults().values().map(|(count, _)| count).sum();
    match refused + lost {
        0 => String::new(),
        failed => format!(" · {failed} failed"),
    }
}

fn grid(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        svg,
        "<line class=\"grid\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, words: &str) {
    let words = escape(words);
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = ticks(0.000_5f64.log10(), 0.05f64.log10());
        let shown: Vec<_> = ticks.into_iter().map(shown).collect();
        let wanted = ["500 µs", "1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn bounds_are_round_and_outside() {
        for (seconds, down, up) in [
            (0.003, 0.002, 0.005),
            (0.001, 0.001, 0.001),
            (0.07, 0.05, 0.1),
            (3.0, 2.0, 5.0),
        ] {
            assert!((round_down(seconds) / down - 1.0).abs() < 1e-9, "{seconds}");
            assert!((round_up(seconds) / up - 1.0).abs() < 1e-9, "{seconds}");
        }
    }

    #[test]
    fn marks_go_as_far_as_the_nines() {
        let names = |nines| {
            marks(nines)
                .into_iter()
                .map(|(_, name)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(1.5), ["0 %", "50 %", "90 %"]);
        assert_eq!(names(4.0)[4..], ["99.9 %", "99.99 %"]);
    }
}
