//! `stele profile import-cfssl`: what a cfssl configuration allows, as profiles, and what of it has no equivalent.

mod read;
mod render;

use std::path::PathBuf;

use serde_json::json;
use stele_core::profile::{Profile, Role};
use stele_core::types::{CallerName, KeyName};

use crate::error::CliError;
use crate::files;
use crate::output::Answer;

#[derive(clap::Args, Debug)]
pub(crate) struct ImportArgs {
    /// cfssl's configuration, often called ca-config.json
    file: PathBuf,
    /// The CA key that signs
    #[arg(long, value_name = "CA")]
    issuer: KeyName,
    /// A caller that may ask; may be repeated
    #[arg(long = "caller", value_name = "CALLER", required = true)]
    callers: Vec<CallerName>,
    /// The role that approves intermediates
    #[arg(long, default_value = "approver")]
    role: Role,
    /// The directory for the profiles, one NAME.toml each; nothing there is overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A profile as it will be written.
struct Imported {
    name: String,
    text: String,
    /// What cfssl did otherwise, a sentence each.
    notes: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &ImportArgs) -> Result<Answer, CliError> {
    let (drafts, mut general) = read::config(&args.file, &files::read_text(&args.file)?)?;
    let mut imported = Vec::new();
    for draft in drafts {
        match draft {
            Ok(draft) => imported.push(render::profile(&draft, args)),
            Err(why) => general.push(why),
        }
    }
    for profile in &imported {
        Profile::parse(&format!("{}.toml", profile.name), &profile.text)
            .map_err(|errors| CliError::faults(&format!("profile {} cannot be made", profile.name), &errors))?;
    }
    let path = |profile: &Imported| args.out.join(format!("{}.toml", profile.name));
    let paths: Vec<PathBuf> = imported.iter().map(path).collect();
    files::require_absent(paths.iter().map(PathBuf::as_path))?;
    std::fs::create_dir_all(&args.out).map_err(|e| CliError::file("create", &args.out, &e))?;
    for (profile, path) in imported.iter().zip(&paths) {
        files::create(path, profile.text.as_bytes())?;
    }
    Ok(answer(&imported, &paths, &general))
}

fn answer(imported: &[Imported], paths: &[PathBuf], general: &[String]) -> Answer {
    let mut text = String::new();
    let mut list = |title: String, notes: &[String]| {
        text.push_str(&title);
        for note in notes {
            text.push_str("\n  - ");
            text.push_str(note);
        }
        text.push('\n');
    };
    for (profile, path) in imported.iter().zip(paths) {
        list(format!("written: {}; not as in cfssl:", path.display()), &profile.notes);
    }
    if !general.is_empty() {
        list("no equivalent:".to_owned(), general);
    }
    text.push_str("narrow names and subjects before you use them: `stele profile explain FILE` says what each allows");
    let profiles: Vec<_> = imported
        .iter()
        .zip(paths)
        .map(|(profile, path)| json!({"name": profile.name, "file": path, "differences": profile.notes}))
        .collect();
    Answer::new(text, json!({"profiles": profiles, "no_equivalent": general}))
}
