//! One log: entries in batches, looked at on all cores, judged in order.

use std::collections::HashSet;
use std::path::Path;

use stele_core::audit::{Examined, Finding, Options, Report, SignatureCheck, Verifier, examine};
use stele_core::checkpoint::tile::{FULL_WIDTH, TileKind, TilePath, decode_bundle, decode_hashes};
use stele_core::checkpoint::tiler::Tiler;
use stele_core::checkpoint::{Checkpoint, NoteVerifier};
use stele_core::merkle::{Frontier, Hash, leaf_hash};
use stele_core::record::{Body, Record};
use stele_core::types::Digest;

use super::FileFinding;
use super::directory::Directory;
use crate::error::CliError;
use crate::output::Progress;
use crate::pool;

/// What a verification came to.
pub(super) struct Verified {
    pub(super) report: Report,
    pub(super) files: Vec<FileFinding>,
    pub(super) file_count: u64,
    /// Digests of everything that the log issued; collected for small logs only, as a ceremony's is.
    pub(super) issued: HashSet<Digest>,
}

impl Verified {
    pub(super) fn is_clean(&self) -> bool {
        self.report.is_clean() && self.files.is_empty()
    }
}

/// Beyond so many entries nobody looks for CA certificates: it is no ceremony's log.
const SMALL_LOG: u64 = 100_000;
/// Bundles of 256 entries that are in memory at once, for each core.
const BUNDLES_PER_CORE: u64 = 2;

/// Verifies the log in `directory`.
///
/// # Errors
/// When there is no log, or a file cannot be read. What is wrong with the log is in the result.
pub(super) fn verify_log(directory: &Path, verifier: NoteVerifier, mut options: Options) -> Result<Verified, CliError> {
    let mut files = Directory::open(directory, &verifier)?;
    options.anchors.append(&mut files.anchors);
    let size = Checkpoint::from_note_unverified(&files.note)?.size;
    let mut pass = Pass {
        verifier: Verifier::new(verifier, options),
        tiler: Tiler::new(),
        checks: Vec::new(),
        issued: HashSet::new(),
        size,
        files,
    };
    pass.entries()?;
    pass.finish()
}

/// The root over the first `size` entries; `None` when there are fewer.
pub(super) fn root_at(directory: &Path, size: u64) -> Result<Option<Hash>, CliError> {
    let mut frontier = Frontier::new();
    for index in 0..size.div_ceil(FULL_WIDTH) {
        let mut path = directory.join(TilePath::new(TileKind::Entries, index, 256)?.to_string());
        if !path.exists() {
            // The bundle at the edge; the whole verification has shown that there is exactly one that counts.
            path.as_mut_os_string().push(".p");
            let Some(widest) = widest(&path) else {
                return Ok(None);
            };
            path.push(widest.to_string());
        }
        for entry in decode_bundle(&crate::files::read(&path)?)? {
            if frontier.size() < size {
                frontier.push(leaf_hash(entry));
            }
        }
    }
    Ok((frontier.size() == size).then(|| frontier.root()))
}

fn widest(directory: &Path) -> Option<u16> {
    let names = std::fs::read_dir(directory).ok()?;
    names
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .max()
}

/// A bundle as it was read, with the leaf hashes that its tile holds.
struct Bundle {
    path: TilePath,
    bytes: Vec<u8>,
    leaves: Vec<Hash>,
}

/// What a core does.
enum Job {
    Examine(Bundle),
    Check(Vec<SignatureCheck>),
}

/// What it answers.
enum Done {
    Examined(Bundle, Result<Vec<Examined>, stele_core::Error>),
    Checked(Vec<Finding>),
}

struct Pass {
    verifier: Verifier,
    tiler: Tiler,
    /// Signatures of the batch before, verified beside the next one's examination.
    checks: Vec<SignatureCheck>,
    issued: HashSet<Digest>,
    size: u64,
    files: Directory,
}

impl Pass {
    fn entries(&mut self) -> Result<(), CliError> {
        let mut progress = Progress::new("verify");
        let batch = u64::try_from(pool::width()).unwrap_or(1) * BUNDLES_PER_CORE;
        let last = self.size.div_ceil(FULL_WIDTH);
        let mut next = 0;
        while next < last {
            let bundles = self.read_batch(next..last.min(next + batch))?;
            let complete = u64::try_from(bundles.len()).is_ok_and(|read| read == batch.min(last - next));
            let judged = self.batch(bundles)?;
            if !complete || !judged {
                // What follows a gap cannot be judged; the gap is a finding.
                break;
            }
            next += batch;
            progress.at(self.verifier.size(), self.size);
        }
        self.batch(Vec::new())?;
        Ok(())
    }

    /// The bundles up to the first that is missing.
    fn read_batch(&mut self, indexes: std::ops::Range<u64>) -> Result<Vec<Bundle>, CliError> {
        let mut bundles = Vec::new();
        for index in indexes {
            let width = u16::try_from((self.size - index * FULL_WIDTH).min(FULL_WIDTH)).unwrap_or(256);
            let path = TilePath::new(TileKind::Entries, index, width)?;
            let Some(bytes) = self.files.read(path)? else {
                let expected = "the entries that the checkpoint covers; nothing after them can be judged";
                self.files
                    .findings
                    .push(FileFinding::new(path.to_string(), "nothing", expected));
                break;
            };
            let leaves = self.files.read(TilePath::new(TileKind::Hashes(0), index, width)?)?;
            // A tile that does not read is found when it is compared.
            let leaves = leaves.and_then(|tile| decode_hashes(&tile).ok()).unwrap_or_default();
            bundles.push(Bundle { path, bytes, leaves });
        }
        Ok(bundles)
    }

    /// Examines these bundles and verifies the signatures of those before, on all cores; then judges in order. Answers
    /// whether every bundle could be judged.
    fn batch(&mut self, bundles: Vec<Bundle>) -> Result<bool, CliError> {
        let mut jobs: Vec<Job> = bundles.into_iter().map(Job::Examine).collect();
        let mut checks = std::mem::take(&mut self.checks);
        while !checks.is_empty() {
            let rest = checks.split_off(checks.len().min(64));
            jobs.push(Job::Check(std::mem::replace(&mut checks, rest)));
        }
        let mut whole = true;
        for done in pool::map(jobs, work) {
            match done {
                Done::Checked(findings) => self.verifier.found(findings),
                Done::Examined(bundle, Ok(examined)) if whole => whole = self.admit(&bundle, examined)?,
                Done::Examined(..) if !whole => {}
                Done::Examined(bundle, Ok(_)) => drop(bundle),
                Done::Examined(bundle, Err(e)) => {
                    whole = false;
                    let expected = "an entry bundle (C2SP tlog-tiles); nothing after it can be judged";
                    self.files
                        .findings
                        .push(FileFinding::new(bundle.path.to_string(), e.to_string(), expected));
                }
            }
        }
        Ok(whole)
    }

    fn admit(&mut self, bundle: &Bundle, examined: Vec<Examined>) -> Result<bool, CliError> {
        let entries = decode_bundle(&bundle.bytes)?;
        for (entry, examined) in entries.iter().zip(examined) {
            self.checks.extend(self.verifier.admit(examined));
            if self.size <= SMALL_LOG
                && let Ok(Record {
                    body: Body::Issued(issued),
                    ..
                }) = Record::decode(entry)
            {
                self.issued.insert(issued.sha256);
            }
            for tile in self.tiler.push(entry)? {
                self.files.compare(tile.path, &tile.bytes)?;
            }
        }
        let whole = entries.len() == usize::from(bundle.path.width());
        if !whole {
            let found = format!("{} entries", entries.len());
            let expected = format!("{}, as the checkpoint says", bundle.path.width());
            self.files
                .findings
                .push(FileFinding::new(bundle.path.to_string(), found, expected));
        }
        Ok(whole)
    }

    fn finish(mut self) -> Result<Verified, CliError> {
        if self.tiler.size() == self.size {
            for tile in self.tiler.partials()? {
                self.files.compare(tile.path, &tile.bytes)?;
            }
        }
        self.files.beyond(self.size);
        let report = self.verifier.finish(&self.files.note);
        Ok(Verified {
            report,
            file_count: self.files.count,
            files: self.files.findings,
            issued: self.issued,
        })
    }
}

fn work(job: Job) -> Done {
    match job {
        Job::Check(checks) => Done::Checked(checks.iter().filter_map(SignatureCheck::run).collect()),
        Job::Examine(bundle) => {
            let examined = examine_bundle(&bundle);
            Done::Examined(bundle, examined)
        }
    }
}

fn examine_bundle(bundle: &Bundle) -> Result<Vec<Examined>, stele_core::Error> {
    let entries = decode_bundle(&bundle.bytes)?;
    let leaves = bundle.leaves.iter().copied().map(Some).chain(std::iter::repeat(None));
    let indexes = bundle.path.start()..;
    Ok(indexes
        .zip(entries)
        .zip(leaves)
        .map(|((index, entry), leaf)| examine(index, entry, leaf))
        .collect())
}
