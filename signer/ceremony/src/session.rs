//! What the commands between `init` and the end share: script, keeper, log.

use std::path::Path;

use stele_core::ceremony::transcript::name;
use stele_core::ceremony::{Facts, Script, WholeLog, record_at};
use stele_core::keeping::Keeper as _;
use stele_core::record::{Body, CeremonyNote};
use stele_core::types::Digest;

use crate::error::CeremonyError;
use crate::folder::{Folder, read_text};
use crate::keeper::{KeeperProgram, RunningKeeper};

/// Entries asked for at once.
const BATCH: u32 = 256;

/// The keeper's configuration as `init` wrote it.
pub(crate) const CONFIG: &str = "keeper.toml";
/// The same with the first bundle that the people confirmed.
pub(crate) const CONFIG_WITH_BUNDLE: &str = "keeper-with-bundle.toml";

/// A ceremony's directory and its script.
#[derive(Debug)]
pub(crate) struct Ceremony {
    /// The directory.
    pub(crate) folder: Folder,
    /// The script.
    pub(crate) script: Script,
    /// SHA-256 of its bytes.
    pub(crate) script_sha256: Digest,
}

impl Ceremony {
    /// Opens a ceremony that `init` began.
    pub(crate) fn open(dir: &Path) -> Result<Self, CeremonyError> {
        let folder = Folder::open(dir)?;
        let path = folder.transcript(name::SCRIPT);
        let text = read_text(&path)?;
        let script = Script::parse(&path.display().to_string(), &text)?;
        Ok(Self {
            folder,
            script,
            script_sha256: Digest::of(text.as_bytes()),
        })
    }

    /// Starts the keeper with one of its configurations and reads the log.
    pub(crate) fn start(&self, keeper: Option<&Path>, config: &str) -> Result<Session, CeremonyError> {
        let program = KeeperProgram::find(keeper, &self.folder)?;
        let config = self.folder.state(config);
        if !config.is_file() {
            return Err(CeremonyError::Order(format!(
                "{}: missing; begin with `stele-ceremony init`",
                config.display()
            )));
        }
        Session::start(&program, &config)
    }
}

/// A running keeper and what its log says.
#[derive(Debug)]
pub(crate) struct Session {
    /// The keeper.
    pub(crate) keeper: RunningKeeper,
    /// Its log, as far as it was read.
    pub(crate) facts: Facts,
}

impl Session {
    /// Starts the keeper and reads the log.
    pub(crate) fn start(program: &KeeperProgram, config: &Path) -> Result<Self, CeremonyError> {
        let keeper = program.start(config)?;
        let facts = read_facts(&keeper)?;
        Ok(Self { keeper, facts })
    }

    /// Reads the log again, after it grew.
    pub(crate) fn refresh(&mut self) -> Result<(), CeremonyError> {
        self.facts = read_facts(&self.keeper)?;
        Ok(())
    }

    /// Appends a body; when this returns it is durable.
    pub(crate) fn append(&self, body: &Body) -> Result<u64, CeremonyError> {
        Ok(self.keeper.client.append(body)?.index)
    }

    /// Notes something once.
    pub(crate) fn note(&mut self, subject: &str, text: &str) -> Result<(), CeremonyError> {
        if self.facts.sitting.noted(subject, text) {
            return Ok(());
        }
        let note = CeremonyNote {
            subject: subject.to_owned(),
            text: text.to_owned(),
        };
        self.append(&Body::CeremonyNote(note.clone()))?;
        self.facts.sitting.notes.push(note);
        Ok(())
    }

    /// The whole log as of now, under a fresh checkpoint.
    pub(crate) fn log(&self) -> Result<WholeLog, CeremonyError> {
        let note = self.keeper.client.checkpoint()?;
        Ok(WholeLog::new(note, &self.facts.genesis.vkey, entries(&self.keeper)?)?)
    }
}

fn entries(keeper: &RunningKeeper) -> Result<Vec<Vec<u8>>, CeremonyError> {
    let mut entries: Vec<Vec<u8>> = Vec::new();
    loop {
        let more = keeper.client.entries(entries.len() as u64, BATCH)?;
        if more.is_empty() {
            return Ok(entries);
        }
        entries.extend(more);
    }
}

fn read_facts(keeper: &RunningKeeper) -> Result<Facts, CeremonyError> {
    let entries = entries(keeper)?;
    let records = (0..).zip(&entries).map(|(index, entry)| record_at(index, entry));
    Ok(Facts::read(records.collect::<Result<_, _>>()?)?)
}
