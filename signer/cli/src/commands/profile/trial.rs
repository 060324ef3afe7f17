//! `stele profile try`: the decision as the server would make it, offline.

use std::path::PathBuf;

use serde_json::json;
use stele_core::authority::{Authority, CaKey, ceiling};
use stele_core::csr::{Csr, Limits, ProvenRequest};
use stele_core::door::Entry;
use stele_core::keycheck::PublicKey;
use stele_core::lint::lint;
use stele_core::names::{Attribute, AttributeType, San, Subject, Usage};
use stele_core::profile::{Approval, Inputs, Issuer, Profile, Requester, Seconds, decide};
use stele_core::request::{KeyProof, SignRequest, Wanted};
use stele_core::tbs::{parse_certificate, parse_tbs};
use stele_core::types::{CallerName, KeyName, ProfileName, Serial, Time};

use crate::commands::authority::read_bundle;
use crate::commands::sign::{context, usage};
use crate::error::CliError;
use crate::output::Answer;
use crate::{certificate, clock, files};

#[derive(clap::Args, Debug)]
pub(crate) struct TryArgs {
    /// The authority: its directory, a bundle or a signed file
    #[arg(long, value_name = "PATH")]
    authority: PathBuf,
    /// The profile
    #[arg(long)]
    profile: ProfileName,
    /// The certificate request, PEM or DER
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// The caller that would ask, by its name in the authority; `local` for a local user who enrols
    #[arg(long = "as", value_name = "CALLER")]
    caller: String,
    /// The issuing CA [default: the profile's first]
    #[arg(long, value_name = "CA")]
    issuer: Option<KeyName>,
    /// The issuer's certificate and those above it, PEM; without it the issuer's own limits are not judged
    #[arg(long = "issuer-chain", value_name = "FILE")]
    chain: Option<PathBuf>,
    /// As with `stele sign`
    #[arg(long = "san", value_name = "FORM:NAME")]
    sans: Vec<San>,
    /// As with `stele sign`
    #[arg(long = "usage", value_name = "USAGE", value_parser = usage)]
    usages: Vec<Usage>,
    /// As with `stele sign`
    #[arg(long, value_name = "DURATION")]
    validity: Option<Seconds>,
    /// As with `stele sign`
    #[arg(long = "context", value_name = "FIELD=VALUE")]
    context: Vec<String>,
}

/// Runs the command.
pub(super) fn run(args: &TryArgs) -> Result<Answer, CliError> {
    let bundle = read_bundle(&args.authority)?;
    let authority = bundle.authority();
    let profile = authority
        .profile(&args.profile)
        .ok_or_else(|| CliError::Refused(format!("the authority has no profile {}", args.profile)))?;
    let csr = Csr::from_pem_or_der(&files::read(&args.csr)?, &Limits::default())?;
    let request = SignRequest {
        id: "try".parse()?,
        profile: args.profile.clone(),
        issuer: args.issuer.clone(),
        proof: KeyProof::Pkcs10(csr.der().to_vec()),
        wanted: Wanted {
            subject: (!args.sans.is_empty()).then(|| csr.subject().clone()),
            sans: (!args.sans.is_empty()).then(|| args.sans.clone()),
            usages: (!args.usages.is_empty()).then(|| args.usages.clone()),
            validity_secs: args.validity.map(|v| v.0),
            ..Wanted::default()
        },
        context: context(&args.context)?,
    };
    let proven: ProvenRequest = csr.into();
    let issuer = issuer(args, profile, authority)?;
    judge(args, &request, &proven, profile, &issuer, authority)
}

fn judge(
    args: &TryArgs,
    request: &SignRequest,
    proven: &ProvenRequest,
    profile: &Profile,
    issuer: &Issuer,
    authority: &Authority,
) -> Result<Answer, CliError> {
    let now = clock::now();
    let serial = Serial::from_entropy([0x11; 20]);
    let local: CallerName = args.caller.parse()?;
    let requester = match authority.callers().get(&local) {
        Some(caller) => Requester::Caller {
            name: &caller.name,
            san: &caller.san,
        },
        None if args.caller == "local" => Requester::Enrolment {
            profiles: authority.enrolment(),
        },
        None => return Err(CliError::Refused(format!("the authority lists no caller {local}"))),
    };
    let inputs = Inputs {
        now,
        serial: &serial,
        issuer,
        requester,
        known_callers: authority.known_callers(),
    };
    let decided = decide(&Entry { request, proven }.proposal(now)?, profile, &inputs)?;
    let tbs = decided.build()?;
    lint(&tbs, &profile.waivers)?;
    let view = parse_tbs(&tbs)?;
    if let Some(limit) = authority.ceiling(&issuer.name) {
        ceiling::check(&view, limit)?;
    }
    let approval = match decided.approval() {
        Approval::Automatic => "it would be issued at once".to_owned(),
        Approval::Quorum { m, role, expires } => {
            format!("it would wait {expires} for {m} operators with the role {role}")
        }
    };
    let unjudged = match args.chain {
        Some(_) => "",
        None => "\nnot judged: the issuer's own validity, path length and name constraints (give --issuer-chain)",
    };
    let text = format!(
        "permitted: {approval}; the serial here is made up\n{}{}",
        certificate::describe(&view).trim_end(),
        unjudged
    );
    Ok(Answer::new(
        text,
        json!({"permitted": true, "approval": approval, "certificate": certificate::to_json(&view)}),
    ))
}

/// The CA that would sign: from its chain, or one without limits of its own.
fn issuer(args: &TryArgs, profile: &Profile, authority: &Authority) -> Result<Issuer, CliError> {
    let name = args
        .issuer
        .as_ref()
        .or_else(|| profile.issuers.first())
        .ok_or_else(|| CliError::Refused("the profile names no issuer".to_owned()))?;
    let key = authority
        .key(name)
        .ok_or_else(|| CliError::Refused(format!("the authority has no CA key {name}")))?;
    match &args.chain {
        Some(path) => {
            let chain = files::read_certificates(path)?;
            let (view, ..) = chain
                .first()
                .map(|der| parse_certificate(der))
                .transpose()?
                .ok_or_else(|| CliError::content(path, "found no certificate"))?;
            let algorithm = PublicKey::from_spki_der(&view.spki_der)?.algorithm();
            Ok(Issuer::from_chain(name.clone(), algorithm, &chain)?)
        }
        None => unlimited(key),
    }
}

fn unlimited(key: &CaKey) -> Result<Issuer, CliError> {
    let subject = Subject(vec![Attribute::new(AttributeType::CommonName, key.name.as_str())]);
    Ok(Issuer {
        name: key.name.clone(),
        subject_der: subject.to_der()?,
        ski: vec![0; 20],
        key_algorithm: key.algorithm,
        not_before: Time::from_millis(0),
        not_after: Time::from_millis(u64::MAX),
        path_length: None,
        name_constraints: Vec::new(),
    })
}
