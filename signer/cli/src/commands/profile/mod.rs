//! `stele profile`: what may be asked for, and trying it out.

mod cfssl;
mod explain;
mod trial;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stele_api::v1;
use stele_api::v1::profile_service_client::ProfileServiceClient;
use stele_core::profile::{Profile, lint_samples};
use stele_core::types::hex;

use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::output::Answer;
use crate::{directory, files};

/// Shows, checks and tries profiles.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ProfileCommand {
    /// Lists the profiles that you may use, from the server
    List,
    /// Shows one of them, in its canonical form
    Show {
        /// Its name
        name: String,
    },
    /// Checks a profile's file, or a whole authority directory, offline
    Check {
        /// The file or directory
        path: PathBuf,
    },
    /// Says in sentences what a profile allows, and to whom
    Explain {
        /// The profile's file
        file: PathBuf,
    },
    /// Judges a CSR under a profile, offline, and shows the certificate or every violation
    Try(Box<trial::TryArgs>),
    /// Makes profiles of a configuration of cfssl, and lists what has no equivalent
    ImportCfssl(Box<cfssl::ImportArgs>),
}

/// Runs the command.
pub(crate) async fn run(command: &ProfileCommand, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    match command {
        ProfileCommand::List => list(connection).await,
        ProfileCommand::Show { name } => show(name, connection).await,
        ProfileCommand::Check { path } => check(path),
        ProfileCommand::Explain { file } => {
            let sentences = explain::sentences(&parse(file)?);
            Ok(Answer::new(sentences.join("\n"), json!(sentences)))
        }
        ProfileCommand::Try(args) => trial::run(args),
        ProfileCommand::ImportCfssl(args) => cfssl::run(args),
    }
}

fn parse(path: &Path) -> Result<Profile, CliError> {
    let name = path.display().to_string();
    Profile::parse(&name, &files::read_text(path)?)
        .map_err(|errors| CliError::faults(&format!("{name} has {} faults", errors.len()), &errors))
}

fn check(path: &Path) -> Result<Answer, CliError> {
    if !path.is_dir() {
        let profile = parse(path)?;
        lint_samples(&profile)?;
        let (name, digest) = (profile.name(), profile.digest());
        return Ok(Answer::new(
            format!("{name}: no fault found, sha256 {digest}"),
            json!({"profiles": {name.as_str(): digest}}),
        ));
    }
    // Number and predecessor have no bearing on whether the content is sound.
    let bundle = directory::bundle(path, 0, None)?;
    let profiles = bundle.authority().profiles();
    let lines: Vec<_> = profiles
        .values()
        .map(|p| format!("{:<32} {}", p.name().as_str(), p.digest()))
        .collect();
    let digests: serde_json::Map<_, _> = profiles
        .values()
        .map(|p| (p.name().to_string(), json!(p.digest())))
        .collect();
    let text = format!(
        "{}: no fault found in {} profiles\n{}",
        path.display(),
        profiles.len(),
        lines.join("\n")
    );
    Ok(Answer::new(text, json!({"profiles": digests})))
}

/// Every profile that the caller may use.
async fn all(connection: &ConnectionArgs) -> Result<Vec<v1::Profile>, CliError> {
    let mut client = ProfileServiceClient::new(connect(connection).await?);
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let wire = v1::ListProfilesRequest {
            page_size: 0,
            page_token,
        };
        let answer = client.list_profiles(wire).await?.into_inner();
        found.extend(answer.profiles);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}

async fn list(connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let found = all(connection).await?;
    let lines: Vec<_> = found.iter().map(line).collect();
    let text = if lines.is_empty() {
        "you may use no profile".to_owned()
    } else {
        lines.join("\n")
    };
    Ok(Answer::new(text, json!(found.iter().map(to_json).collect::<Vec<_>>())))
}

fn line(profile: &v1::Profile) -> String {
    let quorum = profile.approval.as_ref().map_or(0, |q| q.required);
    let approval = match quorum {
        0 => "by policy alone".to_owned(),
        n => format!("{n} approvals"),
    };
    let frozen = if profile.frozen { "  FROZEN" } else { "" };
    let longest = profile.validity.as_ref().map_or(0, |v| v.max_seconds) / 3600;
    format!(
        "{:<28} from {:<24} up to {longest} h, {approval}{frozen}\n    {}",
        profile.name,
        profile.issuers.join(", "),
        profile.description
    )
}

fn to_json(profile: &v1::Profile) -> Value {
    json!({
        "name": profile.name,
        "description": profile.description,
        "issuers": profile.issuers,
        "key_algorithms": profile.key_algorithms,
        "trusted_context": profile.trusted_context,
        "max_validity_seconds": profile.validity.as_ref().map(|v| v.max_seconds),
        "approvals": profile.approval.as_ref().map_or(0, |q| q.required),
        "frozen": profile.frozen,
        "profile_sha256": hex(&profile.profile_sha256),
    })
}

async fn show(name: &str, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let found = all(connection).await?.into_iter().find(|p| p.name == name);
    let profile = found.ok_or_else(|| CliError::Refused(format!("there is no profile {name} that you may use")))?;
    let definition = String::from_utf8_lossy(&profile.definition).into_owned();
    let mut json = to_json(&profile);
    if let Some(all) = json.as_object_mut() {
        all.insert("definition".to_owned(), json!(definition));
    }
    Ok(Answer::new(definition.trim_end(), json))
}
