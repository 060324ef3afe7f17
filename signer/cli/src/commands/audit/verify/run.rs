//! One log: bundles read and examined on all cores, judged in order, signatures verified beside it.

use std::collections::HashSet;

use stele_core::audit::{Estate, Examined, Finding, Options, Report, SignatureCheck, Verifier, examine, examine_again};
use stele_core::checkpoint::tile::{FULL_WIDTH, TileKind, TilePath, decode_bundle, decode_hashes};
use stele_core::checkpoint::tiler::{HashTiler, TileFile};
use stele_core::checkpoint::{Checkpoint, NoteVerifier};
use stele_core::merkle::Hash;
use stele_core::record::Record;
use stele_core::types::Digest;

use super::super::log::{FileFinding, Log, Place};
use crate::error::CliError;
use crate::output::Progress;
use crate::pool::{Judged, Step, pipeline};

/// What a verification came to.
pub(in crate::commands::audit) struct Verified {
    pub(in crate::commands::audit) place: Place,
    pub(in crate::commands::audit) log: Log,
    pub(in crate::commands::audit) verifier: NoteVerifier,
    pub(in crate::commands::audit) report: Report,
    pub(in crate::commands::audit) files: Vec<FileFinding>,
    pub(in crate::commands::audit) file_count: u64,
    /// Digests of everything that the log issued; collected for small logs only, as a ceremony's is.
    pub(in crate::commands::audit) issued: HashSet<Digest>,
    /// What it leaves to a log that continues it; none once that was verified, too.
    pub(in crate::commands::audit) estate: Option<Estate>,
}

impl Verified {
    pub(in crate::commands::audit) fn is_clean(&self) -> bool {
        self.report.is_clean() && self.files.is_empty()
    }
}

/// Beyond so many entries nobody looks for CA certificates: it is no ceremony's log.
pub(super) const SMALL_LOG: u64 = 100_000;
/// Signatures that a core verifies at a time.
const CHECKS: usize = 32;

/// Who else wants to see the records that are verified, in order.
pub(in crate::commands::audit) type Observer<'a> = &'a mut dyn FnMut(Record);

/// Verifies a log, which continues the one that left `estate`, where there is one.
///
/// # Errors
/// When a file cannot be read. What is wrong with the log is in the result.
pub(super) fn verify_log(
    place: Place,
    mut log: Log,
    (verifier, estate): (NoteVerifier, Option<Estate>),
    mut options: Options,
    observer: Option<Observer<'_>>,
) -> Result<Verified, CliError> {
    if let Log::Directory(directory) = &mut log {
        options.anchors.append(&mut directory.anchors(&verifier));
    }
    let size = Checkpoint::from_note_unverified(log.note())?.size;
    let seen = options.verified;
    let mut pass = Pass {
        verifier: match estate {
            Some(estate) => Verifier::continuing(estate, verifier.clone(), options),
            None => Verifier::new(verifier.clone(), options),
        },
        tiler: HashTiler::new(),
        issued: HashSet::new(),
        findings: Vec::new(),
        tiles: 0,
        observer,
        size,
        log: &log,
    };
    pass.entries(seen)?;
    let mut ended = pass.finish()?;
    let mut file_count = ended.tiles;
    if let Log::Directory(directory) = &mut log {
        directory.beyond(size);
        ended.findings.append(&mut directory.findings);
        file_count = directory.count;
    }
    Ok(Verified {
        place,
        log,
        verifier,
        report: ended.report,
        files: ended.findings,
        file_count,
        issued: ended.issued,
        estate: Some(ended.estate),
    })
}

/// The first entry of a log, not verified.
pub(super) fn first_entry(log: &Log) -> Result<Option<Vec<u8>>, CliError> {
    let size = Checkpoint::from_note_unverified(log.note())?.size;
    let Ok(width) = u16::try_from(size.min(FULL_WIDTH)) else {
        return Ok(None);
    };
    if width == 0 {
        return Ok(None);
    }
    let Some(bytes) = log.read(TilePath::new(TileKind::Entries, 0, width)?)? else {
        return Ok(None);
    };
    Ok(decode_bundle(&bytes)?.first().map(|entry| entry.to_vec()))
}

/// The root over the first `size` entries of a log that was verified, from its hash tiles; `None` when it has fewer.
pub(super) fn root_at(log: &Log, size: u64) -> Result<Option<Hash>, CliError> {
    let whole = Checkpoint::from_note_unverified(log.note())?.size;
    if size > whole {
        return Ok(None);
    }
    let tiler = HashTiler::resume(size, |wanted: TilePath| {
        let TileKind::Hashes(level) = wanted.kind() else {
            return Err(CliError::Defect(format!("{wanted} is no hash tile")));
        };
        let items = whole.checked_shr(u32::from(level) * 8).unwrap_or(0);
        let width = u16::try_from((items - wanted.start()).min(FULL_WIDTH)).unwrap_or(256);
        let tile = TilePath::new(wanted.kind(), wanted.index(), width)?;
        let mut bytes = log.read(tile)?.unwrap_or_default();
        bytes.truncate(usize::from(wanted.width()) * 32);
        Ok(bytes)
    })?;
    Ok(Some(tiler.root()))
}

/// A bundle as it was read, with the level 0 tile beside it, and what was found in it.
struct Bundle {
    path: TilePath,
    /// None when there is no such file.
    bytes: Option<Vec<u8>>,
    leaves: Option<Vec<u8>>,
    examined: Result<Vec<(Examined, Option<Record>)>, stele_core::Error>,
}

struct Pass<'l, 'o> {
    verifier: Verifier,
    tiler: HashTiler,
    issued: HashSet<Digest>,
    findings: Vec<FileFinding>,
    tiles: u64,
    observer: Option<Observer<'o>>,
    size: u64,
    log: &'l Log,
}

struct Ended {
    report: Report,
    estate: Estate,
    findings: Vec<FileFinding>,
    tiles: u64,
    issued: HashSet<Digest>,
}

impl Pass<'_, '_> {
    /// `seen` entries are known from an earlier verification.
    fn entries(&mut self, seen: u64) -> Result<(), CliError> {
        let mut progress = Progress::new("verify");
        let (log, size) = (self.log, self.size);
        let wanted = self.observer.is_some();
        let begin = |number| read_bundle(log, number, size, seen, wanted);
        let check =
            |checks: Vec<SignatureCheck>| -> Vec<Finding> { checks.iter().filter_map(SignatureCheck::run).collect() };
        let judge = |step: Step<Result<Bundle, CliError>, Vec<Finding>>| match step {
            Step::Done(findings) => {
                self.verifier.found(findings);
                Ok(Judged::More(Vec::new()))
            }
            Step::Next(bundle) => {
                let judged = self.admit(bundle?)?;
                progress.at(self.verifier.size(), size);
                Ok::<_, CliError>(judged)
            }
        };
        pipeline(0..size.div_ceil(FULL_WIDTH), log.threads(), begin, check, judge)
    }

    /// Judges a bundle's entries in order; answers with their signatures. What follows a gap cannot be judged.
    fn admit(&mut self, bundle: Bundle) -> Result<Judged<Vec<SignatureCheck>>, CliError> {
        let Bundle {
            path,
            bytes,
            leaves,
            examined,
        } = bundle;
        let Some(bytes) = bytes else {
            let expected = "the entries that the checkpoint covers; nothing after them can be judged";
            self.find(path, "nothing", expected);
            return Ok(Judged::Enough);
        };
        let examined = match examined {
            Ok(examined) => examined,
            Err(e) => {
                let expected = "an entry bundle (C2SP tlog-tiles); nothing after it can be judged";
                self.find(path, e.to_string(), expected);
                return Ok(Judged::Enough);
            }
        };
        self.tiles += 1;
        let count = examined.len();
        let mut checks = Vec::new();
        for (one, record) in examined {
            let leaf = one.leaf();
            if self.size <= SMALL_LOG {
                self.issued.extend(one.issued());
            }
            checks.extend(self.verifier.admit(one));
            if let (Some(record), Some(observer)) = (record, &mut self.observer) {
                observer(record);
            }
            for tile in self.tiler.push(leaf)? {
                self.compare(tile, leaves.as_deref())?;
            }
        }
        self.leftovers_of(path, &bytes)?;
        if count != usize::from(path.width()) {
            let expected = format!(
                "{}, as the checkpoint says; nothing after them can be judged",
                path.width()
            );
            self.find(path, format!("{count} entries"), expected);
            return Ok(Judged::Enough);
        }
        let mut jobs = Vec::new();
        while !checks.is_empty() {
            let rest = checks.split_off(checks.len().min(CHECKS));
            jobs.push(std::mem::replace(&mut checks, rest));
        }
        Ok(Judged::More(jobs))
    }

    fn find(&mut self, tile: TilePath, found: impl Into<String>, expected: impl Into<String>) {
        self.findings.push(FileFinding::new(tile.to_string(), found, expected));
    }

    /// Compares a hash tile that the entries make with the one that is there; that of level 0 was read with its bundle.
    fn compare(&mut self, tile: TileFile, leaves: Option<&[u8]>) -> Result<(), CliError> {
        let same = match tile.path.kind() {
            TileKind::Hashes(0) => leaves.map(|found| found == tile.bytes),
            _ => self.log.read(tile.path)?.map(|found| found == tile.bytes),
        };
        self.tiles += 1;
        match same {
            Some(true) => {}
            Some(false) => self.find(tile.path, "other bytes", "the tile that the entries make"),
            None => self.find(tile.path, "nothing", "the tile that the entries make"),
        }
        self.leftovers_of(tile.path, &tile.bytes)
    }

    fn leftovers_of(&mut self, path: TilePath, bytes: &[u8]) -> Result<(), CliError> {
        if let Log::Directory(directory) = self.log {
            self.findings.append(&mut directory.compare_leftovers(path, bytes)?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Ended, CliError> {
        if self.tiler.size() == self.size {
            for tile in std::mem::take(&mut self.tiler).partials()? {
                let leaves = match tile.path.kind() {
                    TileKind::Hashes(0) => self.log.read(tile.path)?,
                    _ => None,
                };
                self.compare(tile, leaves.as_deref())?;
            }
        }
        let (report, estate) = self.verifier.conclude(self.log.note());
        Ok(Ended {
            report,
            estate,
            findings: self.findings,
            tiles: self.tiles,
            issued: self.issued,
        })
    }
}

fn read_bundle(log: &Log, number: u64, size: u64, seen: u64, wanted: bool) -> Result<Bundle, CliError> {
    let width = u16::try_from((size - number * FULL_WIDTH).min(FULL_WIDTH)).unwrap_or(256);
    let path = TilePath::new(TileKind::Entries, number, width)?;
    let bytes = log.read(path)?;
    let leaves = log.read(TilePath::new(TileKind::Hashes(0), number, width)?)?;
    let examined = match &bytes {
        Some(bytes) => examine_bundle(path, bytes, leaves.as_deref(), seen, wanted),
        None => Ok(Vec::new()),
    };
    Ok(Bundle {
        path,
        bytes,
        leaves,
        examined,
    })
}

fn examine_bundle(
    path: TilePath,
    bytes: &[u8],
    leaves: Option<&[u8]>,
    seen: u64,
    wanted: bool,
) -> Result<Vec<(Examined, Option<Record>)>, stele_core::Error> {
    let entries = decode_bundle(bytes)?;
    // A tile that does not read is found when it is compared.
    let leaves = leaves.and_then(|tile| decode_hashes(tile).ok()).unwrap_or_default();
    let leaves = leaves.into_iter().map(Some).chain(std::iter::repeat(None));
    let look = |((index, entry), leaf): ((u64, &[u8]), Option<Hash>)| {
        let examined = if index < seen {
            examine_again(index, entry, leaf)
        } else {
            examine(index, entry, leaf)
        };
        let record = wanted.then(|| Record::decode(entry).ok()).flatten();
        (examined, record)
    };
    Ok((path.start()..).zip(entries).zip(leaves).map(look).collect())
}
