//! `stele csr new`: a key and a certificate request, for people who would otherwise look up openssl's options.

mod cfssl;

use std::path::PathBuf;

use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::{Decode as _, Encode as _};
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use serde_json::json;
use stele_core::csr::{Csr, Limits};
use stele_core::names::San;
use stele_core::types::KeyAlgorithm;

use crate::error::CliError;
use crate::files;
use crate::output::Answer;

/// Makes keys and certificate requests.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum CsrCommand {
    /// Makes a private key (PKCS#8, mode 0600) and a request for it
    New(NewArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct NewArgs {
    /// Where the private key goes, PEM
    #[arg(long, value_name = "FILE")]
    key_out: PathBuf,
    /// Where the request goes, PEM
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The key's algorithm
    #[arg(long, default_value = "ec-p256", value_parser = algorithm, value_name = "ALGORITHM")]
    algorithm: KeyAlgorithm,
    /// commonName
    #[arg(long, value_name = "TEXT")]
    cn: Option<String>,
    /// organizationName, which Kubernetes reads as a group
    #[arg(long, value_name = "TEXT")]
    org: Option<String>,
    /// organizationalUnitName
    #[arg(long, value_name = "TEXT")]
    org_unit: Option<String>,
    /// countryName, two letters
    #[arg(long, value_name = "CC")]
    country: Option<String>,
    /// A subject alternative name, dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS
    #[arg(long = "san", value_name = "FORM:NAME")]
    sans: Vec<San>,
    /// Takes algorithm and names from a request of cfssl, often called csr.json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["algorithm", "cn", "org", "org_unit", "country", "sans"])]
    cfssl: Option<PathBuf>,
}

/// What is to be made.
struct Wish {
    algorithm: KeyAlgorithm,
    subject: Vec<(DnType, String)>,
    sans: Vec<San>,
    /// What of the wish no request can say.
    notes: Vec<String>,
}

impl Wish {
    fn new(args: &NewArgs) -> Result<Self, CliError> {
        if let Some(path) = &args.cfssl {
            return cfssl::wish(path, &files::read(path)?);
        }
        let attributes = [
            (DnType::CountryName, &args.country),
            (DnType::OrganizationName, &args.org),
            (DnType::OrganizationalUnitName, &args.org_unit),
            (DnType::CommonName, &args.cn),
        ];
        let present = |(kind, value): (DnType, &Option<String>)| Some((kind, value.clone()?));
        Ok(Self {
            algorithm: args.algorithm,
            subject: attributes.into_iter().filter_map(present).collect(),
            sans: args.sans.clone(),
            notes: Vec::new(),
        })
    }
}

fn algorithm(word: &str) -> Result<KeyAlgorithm, String> {
    serde_json::from_value(json!(word))
        .map_err(|_| "one of: ec-p256, ec-p384, ec-p521, rsa2048, rsa3072, rsa4096, ed25519".to_owned())
}

/// Runs the command.
pub(crate) fn run(command: &CsrCommand) -> Result<Answer, CliError> {
    let CsrCommand::New(args) = command;
    files::require_absent([args.key_out.as_path(), args.out.as_path()])?;
    let wish = Wish::new(args)?;
    let failed = |e: rcgen::Error| CliError::Usage(format!("the request cannot be made: {e}"));
    let key = key(wish.algorithm).map_err(failed)?;
    let request = params(&wish)?.serialize_request(&key).map_err(failed)?;
    // What we hand out must pass what we would check when it comes back.
    let csr = Csr::prove(request.der(), &Limits::default())?;
    let private = version_1(key.serialized_der()).map_err(|e| CliError::Defect(e.to_string()))?;
    files::create_secret(&args.key_out, files::pem("PRIVATE KEY", &private)?.as_bytes())?;
    files::create(&args.out, request.pem().map_err(failed)?.as_bytes())?;
    let digest = csr.public_key().digest();
    let text = format!(
        "a new {} key and its request, key sha256 {digest}\nwritten: {}, {}{}",
        wish.algorithm,
        args.key_out.display(),
        args.out.display(),
        wish.notes
            .iter()
            .map(|note| format!("\nleft out: {note}"))
            .collect::<String>()
    );
    let mut json = json!({"algorithm": wish.algorithm, "spki_sha256": digest, "key": args.key_out, "csr": args.out});
    if let Some(all) = json.as_object_mut().filter(|_| !wish.notes.is_empty()) {
        all.insert("left_out".to_owned(), json!(wish.notes));
    }
    Ok(Answer::new(text, json))
}

fn key(algorithm: KeyAlgorithm) -> Result<KeyPair, rcgen::Error> {
    match algorithm {
        KeyAlgorithm::EcP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyAlgorithm::EcP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyAlgorithm::EcP521 => KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512),
        KeyAlgorithm::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
        KeyAlgorithm::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
        KeyAlgorithm::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
    }
}

/// PKCS#8 (RFC 5208); version 2 of it (RFC 5958) has the public key too.
#[derive(der::Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: AnyRef<'a>,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "1", optional = "true", tag_mode = "IMPLICIT")]
    public_key: Option<BitStringRef<'a>>,
}

/// The key without its public half: OpenSSL 3.0 does not read Ed25519 keys of version 2.
fn version_1(pkcs8: &[u8]) -> Result<Vec<u8>, der::Error> {
    let mut info = PrivateKeyInfo::from_der(pkcs8)?;
    (info.version, info.public_key) = (0, None);
    info.to_der()
}

fn params(wish: &Wish) -> Result<CertificateParams, CliError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in &wish.subject {
        params.distinguished_name.push(kind.clone(), value.as_str());
    }
    params.subject_alt_names = wish.sans.iter().map(general_name).collect::<Result<_, _>>()?;
    Ok(params)
}

fn general_name(san: &San) -> Result<SanType, CliError> {
    let ia5 = |text: &String| {
        Ia5String::try_from(text.as_str())
            .map_err(|_| CliError::Usage(format!("--san: found `{san}`; permitted: ASCII")))
    };
    Ok(match san {
        San::Dns(name) => SanType::DnsName(ia5(name)?),
        San::Ip(address) => SanType::IpAddress(*address),
        San::Uri(uri) => SanType::URI(ia5(uri)?),
        San::Email(address) => SanType::Rfc822Name(ia5(address)?),
    })
}
