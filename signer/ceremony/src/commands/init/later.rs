//! `init --continue`: the log of an earlier ceremony goes on, in a directory of its own. The earlier directory is left as
//! it is but for a mark, so that no two ceremonies ever grow from the same log.

use std::fs::{self, File};
use std::path::Path;

use stele_core::ceremony::transcript::{self, name};
use stele_core::ceremony::{NUMBER_NOTE, Script, audited};
use stele_core::record::{Body, CeremonyNote};

use super::{keeper_config, open_log};
use crate::cli::InitArgs;
use crate::error::CeremonyError;
use crate::folder::{Folder, read_text};
use crate::keeper::KeeperProgram;
use crate::session::{CONFIG, Session};

/// In the state of an earlier ceremony: where its log went on.
const CONTINUED_IN: &str = "continued-in";
/// In the state of a later ceremony: its number. It is there once the log was taken over whole.
const NUMBER: &str = "number";
/// The log's file as `keeper_config` names it, and what SQLite may have left beside it when the keeper was killed.
const LEDGER: [&str; 2] = ["ledger.db-wal", "ledger.db"];

/// Continues the log of the ceremony in `before`, or goes on where an earlier `init` stopped.
pub(super) fn run(
    args: &InitArgs,
    keeper: Option<&Path>,
    script: (&str, &Script),
    before: &Path,
) -> Result<(), CeremonyError> {
    let config = keeper_config(args, script.1)?;
    let old = Folder::open(before)?;
    let folder = Folder::create(&args.dir)?;
    folder.write(&folder.transcript(name::SCRIPT), script.0.as_bytes())?;
    // A command that was killed in the earlier ceremony may have left its keeper, which still writes there.
    KeeperProgram::find(keeper, &old)?.end_orphan()?;
    let number = take_over(&old, &folder)?;
    let program = KeeperProgram::find(keeper, &folder)?;
    let path = folder.state(CONFIG);
    folder.write(&path, config.as_bytes())?;
    println!("Opening the token `{}` and the log ...", script.1.token.label);
    let mut session = Session::start(&program, &path)?;
    fits(script.1, &session)?;
    verify_before(&old, &session, number)?;
    if session.facts.number() == number - 1 {
        session.append(&Body::CeremonyNote(CeremonyNote {
            subject: NUMBER_NOTE.to_owned(),
            text: number.to_string(),
        }))?;
        session.refresh()?;
    }
    println!("Ceremony {number} of the log; the root key in the token is the one that the log holds.");
    open_log(args, script, &folder, &program, session)
}

/// Copies the log, once. Answers with the number of this ceremony.
fn take_over(old: &Folder, new: &Folder) -> Result<usize, CeremonyError> {
    let mark = old.state(CONTINUED_IN);
    let here = new.root().display().to_string();
    if mark.exists() && read_text(&mark)? != here {
        return Err(CeremonyError::Order(format!(
            "{}: this ceremony was continued already, in {}; continue that one: two logs from one would be a fork",
            old.root().display(),
            read_text(&mark)?
        )));
    }
    let number = number_of(old)?.unwrap_or(1) + 1;
    if let Some(taken) = number_of(new)? {
        let same = taken == number && mark.exists();
        let otherwise = || CeremonyError::Order(format!("{here}: continues another ceremony; choose another --dir"));
        return if same { Ok(number) } else { Err(otherwise()) };
    }
    if !old.state(LEDGER[1]).is_file() || new.state(LEDGER[1]).exists() && !mark.exists() {
        return Err(CeremonyError::Order(format!(
            "{}: holds no log that could be continued in {here}",
            old.root().display()
        )));
    }
    old.write(&mark, here.as_bytes())?;
    for file in LEDGER.into_iter().filter(|file| old.state(file).exists()) {
        let (from, to) = (old.state(file), new.state(file));
        fs::copy(&from, &to).map_err(CeremonyError::file(&from))?;
        let synced = File::open(&to).and_then(|file| file.sync_all());
        synced.map_err(CeremonyError::file(&to))?;
    }
    new.write(&new.state(NUMBER), number.to_string().as_bytes())?;
    Ok(number)
}

fn number_of(folder: &Folder) -> Result<Option<usize>, CeremonyError> {
    let path = folder.state(NUMBER);
    if !path.exists() {
        return Ok(None);
    }
    let damaged = |_| CeremonyError::Order(format!("{}: no number", path.display()));
    read_text(&path)?.parse().map(Some).map_err(damaged)
}

/// The keeper refuses a script of another log or token; for which signer the log is, only its records say.
fn fits(script: &Script, session: &Session) -> Result<(), CeremonyError> {
    let known = session.facts.request_before().map(|request| &request.origin);
    match known.filter(|known| **known != script.signer_origin) {
        None => Ok(()),
        Some(known) => {
            let (found, permitted) = (&script.signer_origin, format!("`{known}`, as the log has it"));
            Err(stele_core::Error::malformed("script, signer_origin", format!("`{found}`"), permitted).into())
        }
    }
}

/// The transcript before, where there is one, and the whole log: neither is believed because it lies there.
fn verify_before(old: &Folder, session: &Session, number: usize) -> Result<(), CeremonyError> {
    let log = session.log()?;
    let found = session.facts.number();
    if found != number && found != number - 1 {
        return Err(CeremonyError::Order(format!(
            "the log holds {found} ceremonies, not the {} of the directory that is continued",
            number - 1
        )));
    }
    let refused = |why: stele_core::Error| CeremonyError::NotVerified(vec![why]);
    audited(&log, &session.facts).map_err(refused)?;
    println!(
        "ok  log: every promise of its {} records, as any auditor checks them",
        log.checkpoint().size
    );
    if !old.transcript("log").exists() {
        if session
            .facts
            .earlier
            .last()
            .unwrap_or(&session.facts.sitting)
            .closed
            .is_some()
        {
            let why = "its log is closed and its transcript is not there; repeat its `stele-ceremony run` first";
            return Err(CeremonyError::Order(format!("{}: {why}", old.root().display())));
        }
        println!("ok  the ceremony before was interrupted: nothing of it was handed over, its log alone goes on");
        return Ok(());
    }
    let verified = transcript::verify(&old.transcript_files()?, None).map_err(CeremonyError::NotVerified)?;
    let seen = verified.log.checkpoint();
    if verified.vkey != session.facts.genesis.vkey
        || seen.size > log.checkpoint().size
        || log.root_at(seen.size)? != seen.root
    {
        let why =
            "the log in the state directory does not begin with the transcript's: it was rolled back or exchanged";
        return Err(refused(stele_core::Error::unverified("ceremony before", why)));
    }
    println!("ok  the transcript before: verified, and the log continues it");
    Ok(())
}
