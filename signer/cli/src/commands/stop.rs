//! `stele revoke`, `stele freeze` and `stele apply`.

use std::path::PathBuf;

use serde_json::json;
use stele_api::v1;
use stele_api::v1::authority_service_client::AuthorityServiceClient;
use stele_api::v1::stop_service_client::StopServiceClient;
use stele_core::authority::signed_file::{SignedFile, Subject};
use stele_core::ceremony::CeremonyFile as _;
use stele_core::types::{KeyName, Serial};

use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::output::Answer;
use crate::{files, wire};

/// Revokes a certificate; its serial enters the issuer's next CRL, which is made at once.
#[derive(clap::Args, Debug)]
pub(crate) struct RevokeArgs {
    /// The serial number in hexadecimal, colons and upper case allowed
    #[arg(long, value_parser = serial)]
    serial: Serial,
    /// The CA that issued it [default: the only one with such a serial]
    #[arg(long, value_name = "CA")]
    issuer: Option<KeyName>,
    /// Why
    #[arg(long, value_enum)]
    reason: Reason,
    /// More about it, for the record
    #[arg(long, default_value = "")]
    comment: String,
    /// For a CA's certificate: the stop that operators signed (`stele authority text stop`, `stele authority sign`)
    #[arg(long, value_name = "FILE")]
    signed: Option<PathBuf>,
}

/// Reasons of RFC 5280 section 5.3.1.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Reason {
    /// The private key is known, or feared to be known, to others
    KeyCompromise,
    /// The same of a CA's key
    CaCompromise,
    /// The names are no longer right
    AffiliationChanged,
    /// Another certificate takes its place
    Superseded,
    /// It is no longer needed
    CessationOfOperation,
    /// The subject lost a right that the certificate states
    PrivilegeWithdrawn,
    /// None of these; the CRL then names no reason
    Other,
}

impl Reason {
    const fn to_wire(self) -> v1::RevocationReason {
        match self {
            Self::KeyCompromise => v1::RevocationReason::KeyCompromise,
            Self::CaCompromise => v1::RevocationReason::CaCompromise,
            Self::AffiliationChanged => v1::RevocationReason::AffiliationChanged,
            Self::Superseded => v1::RevocationReason::Superseded,
            Self::CessationOfOperation => v1::RevocationReason::CessationOfOperation,
            Self::PrivilegeWithdrawn => v1::RevocationReason::PrivilegeWithdrawn,
            Self::Other => v1::RevocationReason::Other,
        }
    }
}

/// Freezes an issuer, a profile or a caller, at once. Unfreezing takes the operators' signatures.
#[derive(clap::Args, Debug)]
pub(crate) struct FreezeArgs {
    /// What kind of thing
    #[arg(value_enum)]
    kind: FreezeKind,
    /// Its name
    name: String,
    /// Why, for the record
    #[arg(long)]
    reason: String,
}

/// What can be frozen.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum FreezeKind {
    /// An issuing CA: it then signs CRLs only
    Issuer,
    /// A profile
    Profile,
    /// A caller, as uri:URI or dns:NAME, or by its name in the authority bundle
    Caller,
}

/// Hands in a file that operators signed: a bundle, an unfreezing or a recovery.
#[derive(clap::Args, Debug)]
pub(crate) struct ApplyArgs {
    /// The file, as `stele authority sign` wrote it
    file: PathBuf,
}

/// A serial as people copy it from other tools.
pub(crate) fn serial(text: &str) -> Result<Serial, String> {
    let digits = text.trim_start_matches("0x").replace(':', "").to_ascii_lowercase();
    let even = if digits.len().is_multiple_of(2) {
        digits
    } else {
        format!("0{digits}")
    };
    even.parse().map_err(|e: stele_core::Error| e.to_string())
}

/// Runs `stele revoke`.
pub(crate) async fn revoke(args: &RevokeArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let approvals = match &args.signed {
        Some(path) => stop_texts(path)?,
        None => Vec::new(),
    };
    let mut client = StopServiceClient::new(connect(connection).await?);
    let wire = v1::RevokeRequest {
        serial: args.serial.to_string(),
        issuer: args.issuer.as_ref().map(ToString::to_string),
        reason: args.reason.to_wire().into(),
        comment: args.comment.clone(),
        approvals,
    };
    let answer = client.revoke(wire).await?.into_inner();
    let position = wire::position("position", answer.position)?;
    let text = format!("revoked: serial {}, recorded at {position}", args.serial);
    Ok(Answer::new(text, json!({"serial": args.serial, "position": position})))
}

fn stop_texts(path: &std::path::Path) -> Result<Vec<v1::SignedText>, CliError> {
    let file = SignedFile::decode(&files::read(path)?).map_err(|e| CliError::content(path, e))?;
    file.check().map_err(|e| CliError::content(path, e))?;
    if file.subject != Subject::Stop {
        return Err(CliError::content(
            path,
            "found a signed file of another kind; permitted: a signed stop",
        ));
    }
    Ok(file.texts.into_iter().map(Into::into).collect())
}

/// Runs `stele freeze`.
pub(crate) async fn freeze(args: &FreezeArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    use v1::freeze_request::Target;
    let channel = connect(connection).await?;
    let name = args.name.clone();
    let target = match args.kind {
        FreezeKind::Issuer => Target::Issuer(name),
        FreezeKind::Profile => Target::Profile(name),
        FreezeKind::Caller => Target::Caller(wire::identity(Some(&name), &channel).await?.unwrap_or(name)),
    };
    let mut client = StopServiceClient::new(channel);
    let wire = v1::FreezeRequest {
        target: Some(target),
        reason: args.reason.clone(),
    };
    let answer = client.freeze(wire).await?.into_inner();
    let position = wire::position("position", answer.position)?;
    let text = format!("frozen: {}, recorded at {position}", args.name);
    Ok(Answer::new(text, json!({"frozen": args.name, "position": position})))
}

/// Runs `stele apply`.
pub(crate) async fn apply(args: &ApplyArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let bytes = files::read(&args.file)?;
    let file = SignedFile::decode(&bytes).map_err(|e| CliError::content(&args.file, e))?;
    file.check().map_err(|e| CliError::content(&args.file, e))?;
    let mut client = AuthorityServiceClient::new(connect(connection).await?);
    let answer = client
        .apply_signed_file(v1::ApplySignedFileRequest { file: bytes })
        .await?
        .into_inner();
    let position = wire::position("position", answer.position)?;
    let changes: String = answer.changes.iter().map(|c| format!("\n  {c}")).collect();
    let text = format!("applied, recorded at {position}{changes}");
    Ok(Answer::new(
        text,
        json!({"position": position, "changes": answer.changes}),
    ))
}
