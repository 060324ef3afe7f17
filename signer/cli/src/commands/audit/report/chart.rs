//! Stacked bars over time.

use std::collections::BTreeMap;

use super::gather::Hours;
use super::html::{Html, short};
use super::period::Period;

/// So many series have a colour of their own; the rest share one.
const COLOURS: usize = 7;
const CLASSES: [&str; COLOURS + 1] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "rest"];
/// So many are named.
const MOST_NAMES: usize = 50;
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 48.0;
const BOTTOM: f64 = 34.0;
const TOP: f64 = 10.0;

/// A chart's numbers.
pub(super) struct Chart {
    /// Names with their totals, the largest first.
    series: Vec<(String, u64)>,
    /// The beginning of each part, and how many of each series.
    parts: Vec<(u64, Vec<u64>)>,
}

impl Chart {
    /// Sorts hours into the parts of a period.
    pub(super) fn of(hours: &Hours, period: &Period) -> Self {
        let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, count) in hours.values().flatten() {
            *totals.entry(name).or_default() += count;
        }
        let mut series: Vec<(String, u64)> = totals.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
        series.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let ranks: BTreeMap<&str, usize> = series
            .iter()
            .enumerate()
            .map(|(rank, (name, _))| (name.as_str(), rank))
            .collect();
        let mut parts: Vec<(u64, Vec<u64>)> = period
            .parts()
            .into_iter()
            .map(|start| (start, vec![0; CLASSES.len()]))
            .collect();
        for (hour, counts) in hours {
            let Some((_, row)) = parts.get_mut(period.part_of(*hour)) else {
                continue;
            };
            for (name, count) in counts {
                let rank = ranks.get(name.as_str()).map_or(COLOURS, |rank| (*rank).min(COLOURS));
                if let Some(cell) = row.get_mut(rank) {
                    *cell += count;
                }
            }
        }
        Self { series, parts }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Draws bars and legend; `what` names the series in the legend's head.
    pub(super) fn draw(&self, html: &mut Html, period: &Period, what: &'static str) {
        let most = self
            .parts
            .iter()
            .map(|(_, row)| row.iter().sum::<u64>())
            .max()
            .unwrap_or(0)
            .max(1);
        let top = ceiling(most);
        let scale = (HEIGHT - TOP - BOTTOM) / top as f64;
        html.raw("<figure><svg class=\"bars\" role=\"img\" aria-label=\"Certificates over time\" viewBox=\"0 0 ");
        html.xy(WIDTH).raw(" ").xy(HEIGHT).raw("\">");
        for step in 0..=4_u64 {
            if !(step * top).is_multiple_of(4) {
                continue;
            }
            let (value, y) = (top * step / 4, HEIGHT - BOTTOM - (top * step / 4) as f64 * scale);
            html.raw("<line class=\"grid\" x1=\"")
                .xy(LEFT)
                .raw("\" x2=\"")
                .xy(WIDTH);
            html.raw("\" y1=\"")
                .xy(y)
                .raw("\" y2=\"")
                .xy(y)
                .raw("\"/><text class=\"axis\" text-anchor=\"end\" x=\"");
            html.xy(LEFT - 6.0)
                .raw("\" y=\"")
                .xy(y + 4.0)
                .raw("\">")
                .n(value)
                .raw("</text>");
        }
        self.bars(html, period, scale);
        html.raw("</svg><figcaption>certificates each ")
            .raw(period.part())
            .raw(", UTC</figcaption></figure>");
        self.legend(html, what);
    }

    fn bars(&self, html: &mut Html, period: &Period, scale: f64) {
        let pitch = (WIDTH - LEFT) / self.parts.len().max(1) as f64;
        let bar = (pitch * 0.8).min(56.0);
        let every = (self.parts.len() / 10).max(1);
        for (number, (start, row)) in self.parts.iter().enumerate() {
            let x = LEFT + number as f64 * pitch + (pitch - bar) / 2.0;
            let mut y = HEIGHT - BOTTOM;
            for (rank, (count, class)) in row.iter().zip(CLASSES).enumerate() {
                if *count == 0 {
                    continue;
                }
                let height = *count as f64 * scale;
                y -= height;
                html.raw("<rect class=\"")
                    .raw(class)
                    .raw("\" x=\"")
                    .xy(x)
                    .raw("\" y=\"")
                    .xy(y)
                    .raw("\" width=\"")
                    .xy(bar);
                html.raw("\" height=\"")
                    .xy(height)
                    .raw("\"><title>")
                    .text(period.mark(*start))
                    .raw(": ")
                    .text(self.name(rank));
                html.raw(", ").n(*count).raw("</title></rect>");
            }
            if number % every == 0 {
                html.raw("<text class=\"axis\" text-anchor=\"middle\" x=\"")
                    .xy((x + bar / 2.0).max(LEFT + 26.0))
                    .raw("\" y=\"");
                html.xy(HEIGHT - BOTTOM + 18.0)
                    .raw("\">")
                    .text(period.mark(*start))
                    .raw("</text>");
            }
        }
    }

    /// The name of what has a colour.
    fn name(&self, rank: usize) -> &str {
        let series = self.series.get(rank).filter(|_| rank < COLOURS);
        series.map_or("others", |(name, _)| name)
    }

    /// A table, so that the numbers are there for whoever does not see colours.
    fn legend(&self, html: &mut Html, what: &'static str) {
        let all: u64 = self.series.iter().map(|(_, n)| n).sum();
        html.raw("<table class=\"legend\"><thead><tr><th>").raw(what);
        html.raw("</th><th class=\"num\">certificates</th><th class=\"num\">share</th></tr></thead><tbody>");
        let classes = CLASSES.into_iter().chain(std::iter::repeat("rest"));
        for ((name, count), class) in self.series.iter().zip(classes).take(MOST_NAMES) {
            html.raw("<tr><td title=\"")
                .text(name)
                .raw("\"><svg class=\"key\" viewBox=\"0 0 10 10\"><rect class=\"");
            html.raw(class)
                .raw("\" width=\"10\" height=\"10\" rx=\"2\"/></svg>")
                .text(short(name, 90));
            html.raw("</td><td class=\"num\">")
                .n(*count)
                .raw("</td><td class=\"num\">");
            html.n(count * 100 / all.max(1)).raw(" %</td></tr>");
        }
        html.raw("</tbody></table>");
        let more: Vec<u64> = self.series.iter().skip(MOST_NAMES).map(|(_, n)| *n).collect();
        if !more.is_empty() {
            html.raw("<p class=\"none\">and ")
                .n(more.len())
                .raw(" others with ")
                .n(more.iter().sum::<u64>());
            html.raw(" certificates together.</p>");
        }
    }
}

/// A round number at or above `most`, for the axis.
fn ceiling(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for times in [1, 2, 4, 5, 8] {
            if most <= times * unit {
                return times * unit;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_axis_ends_at_a_round_number() {
        let ends: Vec<_> = [1, 3, 7, 9, 11, 41, 100, 801].map(super::ceiling).into();
        assert_eq!(ends, [1, 4, 8, 10, 20, 50, 100, 1000]);
    }
}
