//! The end of a verification: the checkpoint, what is left open, and the report.

use super::Verifier;
use super::report::{Finding, Report};
use crate::checkpoint::{Checkpoint, Note};
use crate::error::Error;

impl Verifier {
    /// Ends the verification with the log's checkpoint, a signed note.
    #[must_use]
    pub fn finish(mut self, checkpoint_note: &str) -> Report {
        if let Err(error) = self.judge_checkpoint(checkpoint_note) {
            let Finding {
                what, found, expected, ..
            } = Finding::from_error(0, "checkpoint", error);
            self.tally.add(Finding::of_log(&what, found, expected));
        }
        self.judge_succession();
        let open_intents: Vec<u64> = self.open.keys().copied().collect();
        for (index, open) in std::mem::take(&mut self.open) {
            let expected = "an outcome; until it is known the signature counts as made";
            self.tally
                .add(Finding::at(index, "intent", "no outcome", expected).note());
            self.found(open.faults);
        }
        self.found(self.chunks.left_over());
        let not_checked = self.not_checked();
        let predecessor = self.predecessor();
        let (checks, findings, findings_left_out) = self.tally.into_parts();
        Report {
            origin: self.vkey.name().to_owned(),
            size: self.frontier.size(),
            root: self.frontier.root(),
            checks,
            findings,
            findings_left_out,
            first_bundle: self.bundles.first,
            imported: self.imported,
            other_logs: self.other_logs,
            open_intents,
            predecessor,
            successor: self.closed,
            not_checked,
        }
    }

    fn judge_checkpoint(&mut self, note: &str) -> Result<(), Error> {
        self.tally.count("checkpoint");
        let mut verifiers = vec![self.vkey.clone()];
        verifiers.extend(self.bundles.witnesses());
        let (checkpoint, endorsements) = crate::checkpoint::open(note, &verifiers)?;
        self.judge_quorum(endorsements.iter().filter(|e| e.cosigned_at.is_some()).count());
        for line in note.parse::<Note>()?.signatures() {
            self.tally.count("signature lines");
            if !verifiers
                .iter()
                .any(|v| v.name() == line.name() && v.key_id() == line.key_id())
            {
                let found = format!("a line by `{}` with key id {:08x}", line.name(), line.key_id());
                self.tally
                    .add(Finding::of_log("checkpoint", found, "lines of keys that the log names"));
            }
        }
        if checkpoint.origin.as_str() != self.origin() {
            return Err(Error::malformed(
                "checkpoint origin",
                checkpoint.origin.to_string(),
                self.origin(),
            ));
        }
        self.compare_tree(&checkpoint);
        Ok(())
    }

    fn compare_tree(&mut self, checkpoint: &Checkpoint) {
        let size = self.frontier.size();
        for anchor in self.anchors.iter().filter(|a| a.size > size) {
            let found = format!("{size} entries");
            let expected = format!("at least the {} of a checkpoint seen elsewhere", anchor.size);
            self.tally.add(Finding::of_log("known checkpoint", found, expected));
        }
        if checkpoint.size != size {
            let found = format!("{size} entries");
            let expected = format!("{}, as the checkpoint says", checkpoint.size);
            self.tally
                .add(Finding::at(checkpoint.size.min(size), "tree size", found, expected));
        } else if checkpoint.root != self.frontier.root() {
            let found = format!("root {} over the entries", self.frontier.root());
            let expected = format!("{}, as the checkpoint says", checkpoint.root);
            self.tally.add(Finding::of_log("root", found, expected));
        }
    }

    fn not_checked(&self) -> Vec<String> {
        let mut out = vec![
            "a signature made outside the ledger: a key that is used without a record leaves no trace here".to_owned(),
            "that times are true: they are the keeper's clock, which only must not go back".to_owned(),
            "that keys are in the token: records say how they were generated, the token alone can prove it".to_owned(),
        ];
        if !self.imported.is_empty() {
            let count = self.imported.len();
            out.push(format!(
                "{count} imported CA certificates: they were issued in the ceremony's log, which proves them when it is given too"
            ));
        }
        if self.bundles.is_unreadable() {
            out.push("profile hashes, quorums and ceilings: the bundle in force could not be read".to_owned());
        }
        if self.succession.is_some() && !self.continued {
            out.push("that the carry-over is what the log before left, until that log is given too".to_owned());
        }
        out.extend(self.unchecked.iter().map(|&what| what.to_owned()));
        out
    }
}
