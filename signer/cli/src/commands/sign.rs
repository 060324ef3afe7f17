//! `stele sign`: a CSR in, a certificate with its chain and proof out, each checked before it is written.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use stele_api::convert::{Issued, Pending, SignAnswer, sign_answer, sign_request_to_wire};
use stele_api::v1::signing_service_client::SigningServiceClient;
use stele_core::audit::check_proof;
use stele_core::csr::{Csr, Limits};
use stele_core::names::{San, Usage};
use stele_core::profile::Seconds;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted};
use stele_core::tbs::parse_certificate;
use stele_core::types::{KeyName, ProfileName, RequestId, hex};
use tonic::transport::Channel;

use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::output::Answer;
use crate::{certificate, files};

/// What is asked for.
#[derive(clap::Args, Debug)]
pub(crate) struct AskArgs {
    /// The profile to sign under
    #[arg(long)]
    profile: ProfileName,
    /// The certificate request (PKCS#10), PEM or DER; - for standard input
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// An id of your own, unique for ever [default: a random one]
    #[arg(long, value_name = "ID")]
    request_id: Option<RequestId>,
    /// The issuing CA [default: the profile's]
    #[arg(long, value_name = "CA")]
    issuer: Option<KeyName>,
    /// A subject alternative name, dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS; these replace the CSR's names
    #[arg(long = "san", value_name = "FORM:NAME")]
    sans: Vec<San>,
    /// A usage in the words of Kubernetes, e.g. "server auth"; these replace the CSR's
    #[arg(long = "usage", value_name = "USAGE", value_parser = usage)]
    usages: Vec<Usage>,
    /// How long it should be valid, e.g. 24h or 90d
    #[arg(long, value_name = "DURATION")]
    validity: Option<Seconds>,
    /// What you vouch for, e.g. namespace=web; groups may be repeated
    #[arg(long = "context", value_name = "FIELD=VALUE")]
    context: Vec<String>,
}

/// Asks for one certificate.
///
/// Asking again with the same --request-id is safe: it gives the same certificate.
#[derive(clap::Args, Debug)]
pub(crate) struct SignArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Where the certificate goes, PEM
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the chain goes: the certificate first, the root not in it [default: NAME-chain.pem beside --out]
    #[arg(long, value_name = "FILE")]
    chain_out: Option<PathBuf>,
    /// Where the proof goes [default: NAME.tlog-proof beside --out]
    #[arg(long, value_name = "FILE")]
    proof_out: Option<PathBuf>,
}

/// The three files of a certificate.
pub(crate) struct Outputs {
    certificate: PathBuf,
    chain: PathBuf,
    proof: PathBuf,
}

impl Outputs {
    /// Beside `certificate`, unless said otherwise; none of them may exist.
    pub(crate) fn new(certificate: &Path, chain: Option<&Path>, proof: Option<&Path>) -> Result<Self, CliError> {
        let stem = certificate
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let beside = |given: Option<&Path>, suffix: &str| {
            given.map_or_else(|| certificate.with_file_name(format!("{stem}{suffix}")), Path::to_owned)
        };
        let outputs = Self {
            certificate: certificate.to_owned(),
            chain: beside(chain, "-chain.pem"),
            proof: beside(proof, ".tlog-proof"),
        };
        files::require_absent([&*outputs.certificate, &*outputs.chain, &*outputs.proof])?;
        Ok(outputs)
    }

    fn write(&self, issued: &Issued) -> Result<(), CliError> {
        let certificate = files::pem("CERTIFICATE", &issued.certificate)?;
        let mut chain = certificate.clone();
        for der in &issued.chain {
            chain.push_str(&files::pem("CERTIFICATE", der)?);
        }
        files::create(&self.certificate, certificate.as_bytes())?;
        files::create(&self.chain, chain.as_bytes())?;
        files::create(&self.proof, issued.tlog_proof.as_bytes())
    }
}

/// Runs the command.
pub(crate) async fn run(args: &SignArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let outputs = Outputs::new(&args.out, args.chain_out.as_deref(), args.proof_out.as_deref())?;
    let csr = Csr::from_pem_or_der(&files::read(&args.ask.csr)?, &Limits::default())?;
    let request = request(&args.ask, &csr)?;
    match ask(&request, connect(connection).await?).await? {
        SignAnswer::Issued(issued) => deliver(&issued, csr.public_key().spki_der(), connection, &outputs, &request.id),
        SignAnswer::Pending(pending) => Ok(waits(&pending)),
    }
}

/// Runs `stele request submit`: asks, and leaves fetching the certificate for later.
pub(crate) async fn submit(args: &AskArgs, channel: &Channel) -> Result<Answer, CliError> {
    let csr = Csr::from_pem_or_der(&files::read(&args.csr)?, &Limits::default())?;
    let request = request(args, &csr)?;
    match ask(&request, channel.clone()).await? {
        SignAnswer::Issued(issued) => {
            let (id, position) = (&request.id, &issued.position);
            let text = format!("issued, recorded at {position}; `stele request get {id} --out FILE` fetches it");
            let json = json!({"state": "issued", "request_id": id, "position": position});
            Ok(Answer::new(text, json))
        }
        SignAnswer::Pending(pending) => Ok(waits(&pending)),
    }
}

async fn ask(request: &SignRequest, channel: Channel) -> Result<SignAnswer, CliError> {
    let answer = SigningServiceClient::new(channel)
        .sign(sign_request_to_wire(request))
        .await
        .map_err(|status| with_id(CliError::from(status), &request.id))?;
    sign_answer(answer.into_inner()).map_err(CliError::answer)
}

/// The id is what makes asking again safe, so a failure names it.
fn with_id(error: CliError, id: &RequestId) -> CliError {
    match error {
        CliError::Unavailable(text) => CliError::Unavailable(format!(
            "{text}\nask again with --request-id {id}: it cannot be issued twice"
        )),
        other => other,
    }
}

fn request(args: &AskArgs, csr: &Csr) -> Result<SignRequest, CliError> {
    let id = match &args.request_id {
        Some(id) => id.clone(),
        None => random_id()?,
    };
    Ok(SignRequest {
        id,
        profile: args.profile.clone(),
        issuer: args.issuer.clone(),
        proof: KeyProof::Pkcs10(csr.der().to_vec()),
        wanted: Wanted {
            sans: (!args.sans.is_empty()).then(|| args.sans.clone()),
            // With names of our own the CSR's subject would be dropped with its names; it is stated again instead.
            subject: (!args.sans.is_empty()).then(|| csr.subject().clone()),
            usages: (!args.usages.is_empty()).then(|| args.usages.clone()),
            validity_secs: args.validity.map(|v| v.0),
            ..Wanted::default()
        },
        context: context(&args.context)?,
    })
}

/// 128 random bits.
fn random_id() -> Result<RequestId, CliError> {
    let mut bytes = [0; 16];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| CliError::Defect("no randomness from the system".to_owned()))?;
    Ok(hex(&bytes).parse()?)
}

/// A usage by its name in Kubernetes.
pub(crate) fn usage(word: &str) -> Result<Usage, String> {
    serde_json::from_value(json!(word)).map_err(|_| {
        let known: Vec<_> = Usage::ALL.iter().map(|u| u.name()).collect();
        format!("one of: {}", known.join(", "))
    })
}

/// `field=value` pairs as a context; fields have the names that profiles use.
pub(crate) fn context(pairs: &[String]) -> Result<Context, CliError> {
    let mut fields = serde_json::Map::new();
    for pair in pairs {
        let bad = |why: &str| CliError::Usage(format!("--context: found `{pair}`; permitted: {why}"));
        let (field, value) = pair.split_once('=').ok_or_else(|| bad("FIELD=VALUE"))?;
        if field == "groups" {
            let groups = fields.entry(field).or_insert_with(|| json!([]));
            groups
                .as_array_mut()
                .ok_or_else(|| bad("FIELD=VALUE"))?
                .push(json!(value));
        } else if fields.insert(field.to_owned(), json!(value)).is_some() {
            return Err(bad("each field once, but groups"));
        }
    }
    serde_json::from_value(fields.into()).map_err(|e| CliError::Usage(format!("--context: {e}")))
}

/// Checks what was issued, writes it, and says what it is.
pub(crate) fn deliver(
    issued: &Issued,
    expected_spki: &[u8],
    connection: &ConnectionArgs,
    outputs: &Outputs,
    id: &RequestId,
) -> Result<Answer, CliError> {
    let (view, ..) = parse_certificate(&issued.certificate)?;
    if view.spki_der != expected_spki {
        let words = "the certificate is for another key than the CSR's; nothing was written";
        return Err(CliError::Refused(words.to_owned()));
    }
    let chain: Vec<&[u8]> = std::iter::once(&issued.certificate)
        .chain(&issued.chain)
        .map(Vec::as_slice)
        .collect();
    certificate::check_chain(&chain)?;
    let verifier = connection.settings()?.verifier()?;
    let verified = verifier.is_some();
    if let Some(verifier) = verifier {
        check_proof(&issued.tlog_proof, &issued.certificate, &[verifier])?;
    }
    outputs.write(issued)?;
    let serial = certificate::serial(&view);
    let mut text = format!("issued: serial {serial}, recorded at {}\n", issued.position);
    text.push_str(&certificate::describe(&view));
    let _ = write!(
        text,
        "written: {}, {}, {}\n{}",
        outputs.certificate.display(),
        outputs.chain.display(),
        outputs.proof.display(),
        if verified {
            "the proof verifies"
        } else {
            "the proof was not checked: give --vkey"
        },
    );
    let json = json!({
        "state": "issued",
        "request_id": id,
        "attempt": issued.attempt,
        "serial": serial,
        "position": issued.position,
        "proof_verified": verified,
        "certificate": certificate::to_json(&view),
        "files": {"certificate": outputs.certificate, "chain": outputs.chain, "proof": outputs.proof},
    });
    Ok(Answer::new(text, json))
}

fn waits(pending: &Pending) -> Answer {
    let Pending {
        proposal,
        request_id,
        attempt,
        quorum,
        expires,
    } = pending;
    let text = format!(
        "NOT ISSUED YET: operators must approve.\n  \
         proposal     {proposal}\n  \
         request id   {request_id}, attempt {attempt}\n  \
         approvals    {} of {} operators with the role {}\n  \
         lapses       {expires}\n\
         operators look with `stele request show {request_id}` and decide with `stele request approve {request_id}`;\n\
         afterwards `stele request get {request_id} --out FILE` fetches the certificate",
        quorum.required,
        quorum.eligible,
        quorum.roles.join(" or "),
    );
    let json = json!({
        "state": "pending",
        "request_id": request_id,
        "attempt": attempt,
        "proposal": proposal,
        "required": quorum.required,
        "eligible": quorum.eligible,
        "roles": quorum.roles,
        "expires": expires,
    });
    Answer::new(text, json)
}
