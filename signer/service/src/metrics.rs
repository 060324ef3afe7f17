//! Counters, in the text form that Prometheus reads.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Certificates that were issued; answers to repeated requests are not.
    pub(crate) issued: Counter,
    /// Requests that were refused.
    pub(crate) refused: Counter,
    /// Proposals that were recorded.
    pub(crate) proposed: Counter,
    /// Intents that failed or whose fate is unknown.
    pub(crate) unsigned: Counter,
    /// CRLs that were signed.
    pub(crate) crls: Counter,
    /// Calls that were turned away before they were looked at.
    pub(crate) turned_away: Counter,
    /// TLS handshakes that failed.
    pub(crate) handshakes_failed: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// The text, with the number of records in the index.
    pub(crate) fn text(&self, indexed: u64) -> String {
        let counters = [
            ("certificates_issued", "Certificates issued", &self.issued),
            ("requests_refused", "Requests refused", &self.refused),
            ("proposals", "Proposals recorded", &self.proposed),
            ("signatures_failed", "Intents failed or of unknown fate", &self.unsigned),
            ("crls_signed", "CRLs signed", &self.crls),
            ("calls_turned_away", "Calls turned away unread", &self.turned_away),
            ("handshakes_failed", "TLS handshakes failed", &self.handshakes_failed),
        ];
        let mut text = String::new();
        for (name, help, counter) in counters {
            let value = counter.0.load(Ordering::Relaxed);
            let _ = write!(
                text,
                "# HELP stele_{name}_total {help}.\n# TYPE stele_{name}_total counter\nstele_{name}_total {value}\n"
            );
        }
        let _ = write!(
            text,
            "# HELP stele_records_indexed Records of the log in the index.\n# TYPE stele_records_indexed gauge\nstele_records_indexed {indexed}\n"
        );
        text
    }
}
