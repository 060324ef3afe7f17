//! `stele authority sign`: one operator after the other adds a signature over the same text.

use std::path::{Path, PathBuf};

use serde_json::json;
use stele_core::authority::Bundle;
use stele_core::authority::signed_file::{SignedFile, Subject};
use stele_core::authority::texts::{BundleText, CloseText, KeyText, RecoveryText, StopText, SuccessionText};
use stele_core::ceremony::CeremonyFile as _;
use stele_core::types::SignedText;

use crate::error::CliError;
use crate::files;
use crate::output::{Answer, printable};
use crate::ssh::{self, Outcome, SignatureSource};

#[derive(clap::Args, Debug)]
pub(crate) struct SignArgs {
    /// A bundle (with --text), a text of `stele authority text`, or a file that others signed already
    file: PathBuf,
    /// The bundle's text, as `stele authority build --text-out` wrote it
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// The details of a recovery, or the carry-over file of a succession
    #[arg(long, value_name = "FILE")]
    detail: Option<PathBuf>,
    #[command(flatten)]
    source: SignatureSource,
    /// Where the signed file goes
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What is about to be signed.
struct Draft {
    subject: Subject,
    text: String,
    others: Vec<SignedText>,
}

/// Runs the command.
pub(super) fn run(args: &SignArgs) -> Result<Answer, CliError> {
    let out = args.out.clone().unwrap_or_else(|| {
        let mut name = args.file.clone().into_os_string();
        name.push(".signed");
        PathBuf::from(name)
    });
    files::require_absent([out.as_path()])?;
    let draft = draft(args)?;
    let namespace = draft.subject.namespace();
    eprintln!("{}", printable(&draft.text));
    let signed = match args.source.obtain(&draft.text, namespace)? {
        Outcome::Written(words) => return Ok(Answer::new(words, json!({"state": "text-written"}))),
        Outcome::Signed(signed) => signed,
    };
    let key = ssh::verify(&signed, namespace)?;
    let file = add(draft, signed)?;
    files::create(&out, &file.encode()?)?;
    let (fingerprint, count) = (key.fingerprint(), file.texts.len());
    let text = format!(
        "signed with {fingerprint}; {count} signatures in all\nwritten: {}",
        out.display()
    );
    Ok(Answer::new(
        text,
        json!({"key": fingerprint, "signatures": count, "file": out}),
    ))
}

fn add(draft: Draft, signed: SignedText) -> Result<SignedFile, CliError> {
    let mut texts = draft.others;
    if texts.contains(&signed) {
        return Err(CliError::Refused(
            "this very signature is in the file already".to_owned(),
        ));
    }
    texts.push(signed);
    Ok(SignedFile::new(draft.subject, texts)?)
}

fn draft(args: &SignArgs) -> Result<Draft, CliError> {
    let content = files::read_text(&args.file)?;
    if let Ok(file) = SignedFile::decode(content.as_bytes()) {
        file.check()?;
        let text = file.texts.first().map(|t| t.text.clone()).unwrap_or_default();
        return Ok(Draft {
            subject: file.subject,
            text,
            others: file.texts,
        });
    }
    let fresh = |subject, text| Draft {
        subject,
        text,
        others: Vec::new(),
    };
    if content.parse::<StopText>().is_ok() {
        return Ok(fresh(Subject::Stop, content));
    }
    if content.parse::<CloseText>().is_ok() {
        return Ok(fresh(Subject::Close, content));
    }
    if content.parse::<KeyText>().is_ok() {
        return Ok(fresh(Subject::Key, content));
    }
    if content.parse::<SuccessionText>().is_ok() {
        let file = given("--detail", args.detail.as_deref(), "the carry-over file")?;
        return Ok(fresh(Subject::Succession(file), content));
    }
    if content.parse::<RecoveryText>().is_ok() {
        let detail = given("--detail", args.detail.as_deref(), "the recovery's details")?;
        return Ok(fresh(Subject::Recovery(detail), content));
    }
    Bundle::parse(content.as_bytes()).map_err(|errors| {
        CliError::faults(
            &format!("{} is no bundle, text or signed file", args.file.display()),
            &errors,
        )
    })?;
    let text = given("--text", args.text.as_deref(), "the bundle's text")?;
    text.parse::<BundleText>()?;
    Ok(fresh(Subject::Bundle(content), text))
}

fn given(option: &str, path: Option<&Path>, what: &str) -> Result<String, CliError> {
    let path = path.ok_or_else(|| CliError::Usage(format!("{option} is needed: {what}")))?;
    files::read_text(path)
}

/// Who signed, a line each: the operator where `judge` lists the key, else the key.
pub(super) fn signers(file: &SignedFile, judge: Option<&Bundle>) -> Result<Vec<String>, CliError> {
    let namespace = file.subject.namespace();
    let mut out = Vec::new();
    for signed in &file.texts {
        let key = ssh::verify(signed, namespace)?;
        let known = judge.map(|bundle| ssh::signer(signed, namespace, bundle.authority()));
        out.push(match known {
            Some(Ok(operator)) => format!("{operator} ({})", key.fingerprint()),
            Some(Err(_)) => format!("{}, which belongs to no operator", key.fingerprint()),
            None => format!(
                "{} (whose key that is was not looked up: give --authority)",
                key.fingerprint()
            ),
        });
    }
    Ok(out)
}
