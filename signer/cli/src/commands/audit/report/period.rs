//! The period of a report, cut into even parts for its charts.

use stele_core::types::Time;

use super::gather::Gathered;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A period.
pub(super) struct Period {
    pub(super) from: Time,
    /// The first instant that does not belong to it.
    pub(super) until: Time,
    /// Seconds in a part.
    step: u64,
}

impl Period {
    /// What was asked for, else from the first record to the last.
    pub(super) fn of(from: Option<Time>, until: Option<Time>, gathered: &Gathered) -> Self {
        let from = from.or(gathered.first).unwrap_or(Time::from_secs(0));
        let last = gathered.last.unwrap_or(from);
        let until = until.unwrap_or_else(|| Time::from_millis(last.millis().saturating_add(1)));
        let span = until.secs().saturating_sub(from.secs());
        // The narrowest parts of which there are not too many for one chart.
        let steps = [HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY, 364 * DAY];
        let step = steps.into_iter().find(|step| span / step < 62).unwrap_or(364 * DAY);
        Self { from, until, step }
    }

    /// What a part is called.
    pub(super) const fn part(&self) -> &'static str {
        match self.step {
            HOUR => "hour",
            DAY => "day",
            s if s == 6 * HOUR => "6 hours",
            s if s == 7 * DAY => "week",
            s if s == 28 * DAY => "4 weeks",
            _ => "52 weeks",
        }
    }

    /// The beginnings of the parts, at whole hours or days.
    pub(super) fn parts(&self) -> Vec<u64> {
        let begin = self.from.secs() / self.step.min(DAY) * self.step.min(DAY);
        (0..1000)
            .map(|n| begin + n * self.step)
            .take_while(|start| *start < self.until.secs().max(begin + 1) || *start == begin)
            .collect()
    }

    /// Which part an hour belongs to.
    pub(super) fn part_of(&self, hour: u64) -> usize {
        let begin = self.from.secs() / self.step.min(DAY) * self.step.min(DAY);
        usize::try_from((hour * HOUR).saturating_sub(begin) / self.step).unwrap_or(usize::MAX)
    }

    /// How a part is marked on the axis.
    pub(super) fn mark(&self, start: u64) -> String {
        let text = Time::from_secs(start).to_string();
        let cut = if self.step < DAY {
            text.get(5..13)
        } else {
            text.get(..10)
        };
        let cut = cut.unwrap_or_default().replace('T', " ");
        if self.step < DAY { format!("{cut}h") } else { cut }
    }
}
