//! `stele trust`: roots, issuers and CRLs for those who rely on them.

use std::path::PathBuf;

use serde_json::json;
use stele_api::v1;
use stele_api::v1::trust_service_client::TrustServiceClient;
use stele_core::tbs::parse_certificate;
use stele_core::types::{Digest, KeyName};
use tonic::transport::Channel;

use crate::connect::{ConnectionArgs, MAX_MESSAGE, connect};
use crate::error::CliError;
use crate::output::Answer;
use crate::{certificate, files, wire};

/// Fetches what relying parties need.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum TrustCommand {
    /// The roots, PEM. Compare their digests with the ceremony's minutes before you trust them
    Bundle {
        /// Where they go
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// The issuing CAs
    Issuers {
        /// Where their certificates go, PEM; without it they are only listed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// One issuing CA's chain, PEM: itself first, the root not in it
    Chain {
        /// The issuer
        issuer: KeyName,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// The newest CRL of an issuing CA, or of `root`, PEM
    Crl {
        /// The issuer
        issuer: KeyName,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Runs the command.
pub(crate) async fn run(command: &TrustCommand, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let channel = connect(connection).await?;
    let mut client = TrustServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    match command {
        TrustCommand::Bundle { out } => {
            let roots = client
                .get_trust_bundle(v1::GetTrustBundleRequest {})
                .await?
                .into_inner()
                .roots_der;
            write_certificates(&roots, out)
        }
        TrustCommand::Issuers { out } => issuers(&mut client, out.as_ref()).await,
        TrustCommand::Chain { issuer, out } => {
            let wire = v1::GetIssuerChainRequest {
                issuer: issuer.to_string(),
            };
            let found = wire::present("issuer", client.get_issuer_chain(wire).await?.into_inner().issuer)?;
            let chain = [vec![found.certificate_der], found.chain_der].concat();
            let links: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
            certificate::check_chain(&links)?;
            write_certificates(&chain, out)
        }
        TrustCommand::Crl { issuer, out } => crl(&mut client, issuer, out).await,
    }
}

fn write_certificates(ders: &[Vec<u8>], out: &PathBuf) -> Result<Answer, CliError> {
    let (mut pem, mut lines, mut values) = (String::new(), Vec::new(), Vec::new());
    for der in ders {
        let (view, ..) = parse_certificate(der)?;
        let digest = Digest::of(der);
        pem.push_str(&files::pem("CERTIFICATE", der)?);
        lines.push(format!("{}  {}", digest, certificate::subject(&view.subject)));
        values.push(json!({"sha256": digest, "certificate": certificate::to_json(&view)}));
    }
    files::create(out, pem.as_bytes())?;
    lines.push(format!("written: {}", out.display()));
    Ok(Answer::new(
        lines.join("\n"),
        json!({"certificates": values, "file": out}),
    ))
}

async fn issuers(client: &mut TrustServiceClient<Channel>, out: Option<&PathBuf>) -> Result<Answer, CliError> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let wire = v1::ListIssuersRequest {
            page_size: 0,
            page_token,
        };
        let answer = client.list_issuers(wire).await?.into_inner();
        found.extend(answer.issuers);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if let Some(out) = out {
        let ders: Vec<_> = found.iter().map(|i| i.certificate_der.clone()).collect();
        return write_certificates(&ders, out);
    }
    let (mut lines, mut values) = (Vec::new(), Vec::new());
    for issuer in &found {
        let (view, ..) = parse_certificate(&issuer.certificate_der)?;
        let state = match (issuer.frozen, issuer.retired) {
            (true, _) => "FROZEN",
            (_, true) => "retired",
            _ => "signs",
        };
        let subject = certificate::subject(&view.subject);
        lines.push(format!(
            "{:<20} {state:<8} until {}  {subject}",
            issuer.name, view.not_after
        ));
        values.push(json!({
            "name": issuer.name, "frozen": issuer.frozen, "retired": issuer.retired,
            "certificate": certificate::to_json(&view),
        }));
    }
    Ok(Answer::new(lines.join("\n"), json!(values)))
}

async fn crl(client: &mut TrustServiceClient<Channel>, issuer: &KeyName, out: &PathBuf) -> Result<Answer, CliError> {
    let wire = v1::GetCrlRequest {
        issuer: issuer.to_string(),
    };
    let answer = client.get_crl(wire).await?.into_inner();
    files::create(out, files::pem("X509 CRL", &answer.crl_der)?.as_bytes())?;
    let (this, next) = (wire::time!(answer.this_update), wire::time!(answer.next_update));
    let shown = |t: Option<stele_core::types::Time>| t.map(|t| t.to_string()).unwrap_or_default();
    let text = format!(
        "CRL of {issuer}: made {}, next due {}\nwritten: {}",
        shown(this),
        shown(next),
        out.display()
    );
    Ok(Answer::new(
        text,
        json!({"issuer": issuer, "this_update": this, "next_update": next, "file": out}),
    ))
}
