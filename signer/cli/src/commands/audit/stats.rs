//! `stele audit stats`: what the ledger holds, in numbers.

use std::collections::BTreeMap;

use serde_json::json;
use stele_core::record::{Body, Purpose, Record};
use stele_core::types::Time;

use super::about::Follower;
use super::log::Place;
use super::records;
use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::Answer;

#[derive(clap::Args, Debug)]
pub(crate) struct StatsArgs {
    /// Count in an export or in tiles over HTTP instead of asking the server
    #[arg(long, value_name = "DIR|URL")]
    log: Option<Place>,
    /// Recorded at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<Time>,
    /// Recorded before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
}

type Counts = BTreeMap<String, u64>;

#[derive(Default, serde::Serialize)]
struct Stats {
    records: u64,
    bytes: u64,
    first: Option<Time>,
    last: Option<Time>,
    kinds: Counts,
    /// Certificates, by profile; `(none)` for those that no profile governs.
    profiles: Counts,
    callers: Counts,
    issuers: Counts,
    /// Yes and no, by operator.
    decisions: BTreeMap<String, (u64, u64)>,
    refused: Counts,
    certificates: u64,
}

impl Stats {
    fn add(&mut self, record: &Record, length: u64, follower: &mut Follower) {
        let about = follower.about(record);
        self.records += 1;
        self.bytes += length;
        self.first = self.first.or(Some(record.time));
        self.last = Some(record.time);
        let count = |counts: &mut Counts, what: String| *counts.entry(what).or_default() += 1;
        count(&mut self.kinds, record.body.kind().to_owned());
        match &record.body {
            Body::Issued(issued) if matches!(issued.purpose, Purpose::Leaf | Purpose::Intermediate | Purpose::Root) => {
                self.certificates += 1;
                let profile = about.profile.map_or_else(|| "(none)".to_owned(), |p| p.to_string());
                count(&mut self.profiles, profile);
                count(&mut self.callers, issued.request.caller.to_string());
                count(&mut self.issuers, issued.key.to_string());
            }
            Body::Decision(decision) => {
                let (yes, no) = self.decisions.entry(decision.operator.to_string()).or_default();
                *(if decision.approve { yes } else { no }) += 1;
            }
            Body::Refusal(refused) => count(&mut self.refused, refused.caller.to_string()),
            _ => {}
        }
    }

    fn describe(&self) -> String {
        let time = |time: Option<Time>| time.map_or_else(|| "-".to_owned(), |t| t.to_string());
        let mut lines = vec![
            format!(
                "{} records of {} bytes, {} to {}",
                self.records,
                self.bytes,
                time(self.first),
                time(self.last)
            ),
            format!("{} certificates", self.certificates),
        ];
        let tables = [
            ("records by kind", &self.kinds),
            ("certificates by profile", &self.profiles),
            ("certificates by caller", &self.callers),
            ("certificates by issuer", &self.issuers),
            ("refusals by caller", &self.refused),
        ];
        for (title, counts) in tables.into_iter().filter(|(_, counts)| !counts.is_empty()) {
            lines.push(format!("{title}:"));
            let mut rows: Vec<_> = counts.iter().collect();
            rows.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
            lines.extend(rows.iter().map(|(what, n)| format!("  {n:>9}  {what}")));
        }
        if !self.decisions.is_empty() {
            lines.push("decisions by operator:".to_owned());
        }
        let decisions = self.decisions.iter();
        lines.extend(decisions.map(|(who, (yes, no))| format!("  {who}: {yes} approved, {no} denied")));
        lines.join("\n")
    }
}

/// Runs the command.
pub(super) async fn run(args: &StatsArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let (mut stats, mut follower) = (Stats::default(), Follower::default());
    records::all(args.log.as_ref(), connection, |record, length| {
        if args.from.is_none_or(|from| record.time >= from) && args.until.is_none_or(|until| record.time < until) {
            stats.add(&record, length, &mut follower);
        } else {
            follower.about(&record);
        }
    })
    .await?;
    let json = serde_json::to_value(&stats).map_err(|e| CliError::Defect(e.to_string()))?;
    Ok(Answer::new(stats.describe(), json!(json)))
}
