//! The ceremony's program, which ends itself or its keeper in the middle of a signature, as a power failure would.
//!
//! `ABORT_AT` names the step of the door (`after-intent`, `after-sign`), `ABORT_SIGNATURE` counts the signatures of this
//! run from 1, and `ABORT_WHOM` is `ceremony` or `keeper`.

use std::cell::Cell;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, kill_process};
use stele_core::door::{Step, Steps};

/// Ends a process at a step.
struct Aborter {
    at: Step,
    signature: u32,
    keeper: bool,
    begun: Cell<u32>,
}

/// The keeper is this process's only child.
fn kill_keeper() {
    let children = std::fs::read_to_string("/proc/thread-self/children").expect("/proc");
    for child in children.split_whitespace() {
        let pid = child.parse().ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::KILL).expect("a running child");
    }
}

impl Steps for Aborter {
    fn at(&self, step: Step) {
        if step == Step::BeforeIntent {
            self.begun.set(self.begun.get() + 1);
        }
        if step != self.at || self.begun.get() != self.signature {
            return;
        }
        if self.keeper {
            kill_keeper();
        } else {
            std::process::abort();
        }
    }
}

fn main() -> ExitCode {
    let variable = |name| std::env::var(name).expect(name);
    stele_ceremony::main(Aborter {
        at: match variable("ABORT_AT").as_str() {
            "after-intent" => Step::AfterIntent,
            "after-sign" => Step::AfterSign,
            other => panic!("ABORT_AT={other}"),
        },
        signature: variable("ABORT_SIGNATURE").parse().expect("a number"),
        keeper: variable("ABORT_WHOM") == "keeper",
        begun: Cell::new(0),
    })
}
