//! The signer's daemon, which ends itself at one step of the door, as a power failure would.
//!
//! `ABORT_AT` names the step (`before-intent`, `after-intent`, `after-sign`, `before-outcome`, `after-outcome`). It
//! counts only while the file that `ABORT_WHEN` names exists, so that the daemon can first start and sign its CRLs.

use std::path::PathBuf;
use std::process::ExitCode;

use stele_core::door::{Step, Steps};

/// Ends the process at a step.
struct Aborter {
    at: Option<String>,
    when: PathBuf,
}

/// The step's name in `ABORT_AT`.
const fn name(step: Step) -> &'static str {
    match step {
        Step::BeforeIntent => "before-intent",
        Step::AfterIntent => "after-intent",
        Step::AfterSign => "after-sign",
        Step::BeforeOutcome => "before-outcome",
        Step::AfterOutcome => "after-outcome",
    }
}

impl Steps for Aborter {
    fn at(&self, step: Step) {
        if self.at.as_deref() == Some(name(step)) && self.when.exists() {
            std::process::abort();
        }
    }

    fn sees_intent(&self) -> bool {
        self.at.as_deref() == Some(name(Step::AfterIntent))
    }
}

fn main() -> ExitCode {
    stele_service::main(Aborter {
        at: std::env::var("ABORT_AT").ok(),
        when: std::env::var_os("ABORT_WHEN").map(PathBuf::from).unwrap_or_default(),
    })
}
