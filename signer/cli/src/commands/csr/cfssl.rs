//! cfssl's request, a JSON file often called csr.json.

use std::net::IpAddr;
use std::path::Path;

use rcgen::DnType;
use serde::Deserialize;
use serde_json::{Map, Value};
use stele_core::names::San;
use stele_core::types::KeyAlgorithm;

use super::Wish;
use crate::error::CliError;

#[derive(Deserialize)]
struct Request {
    #[serde(default, rename = "CN")]
    common_name: String,
    #[serde(default)]
    names: Vec<Name>,
    #[serde(default)]
    hosts: Vec<String>,
    key: Option<Key>,
    #[serde(default, rename = "serialnumber")]
    serial_number: String,
    /// What else it says: nothing that a request of ours has.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Name {
    #[serde(default, rename = "C")]
    country: String,
    #[serde(default, rename = "ST")]
    state: String,
    #[serde(default, rename = "L")]
    locality: String,
    #[serde(default, rename = "O")]
    organization: String,
    #[serde(default, rename = "OU")]
    unit: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Key {
    algo: String,
    #[serde(default)]
    size: u32,
}

/// What the file asks for.
pub(super) fn wish(path: &Path, bytes: &[u8]) -> Result<Wish, CliError> {
    let permitted = "permitted: a request of cfssl, with CN, hosts, key and names";
    let request: Request =
        serde_json::from_slice(bytes).map_err(|e| CliError::content(path, format!("{e}; {permitted}")))?;
    // cfssl makes a P-256 key where nothing is said.
    let algorithm = request.key.as_ref().map_or(Ok(KeyAlgorithm::EcP256), algorithm);
    let algorithm = algorithm.map_err(|why| CliError::content(path, why))?;
    let mut notes: Vec<String> = request.rest.keys().map(|key| left_out(key)).collect();
    for name in &request.names {
        notes.extend(name.rest.keys().map(|key| left_out(&format!("names.{key}"))));
    }
    Ok(Wish {
        algorithm,
        subject: subject(request.names, request.common_name, request.serial_number),
        sans: request.hosts.iter().map(|host| san(host)).collect(),
        notes,
    })
}

fn left_out(key: &str) -> String {
    match key {
        "ca" => "`ca`: the profile decides whether a certificate is a CA's, and its path length".to_owned(),
        "extensions" | "crl_url" => format!("`{key}`: the profile decides about extensions"),
        _ => format!("`{key}`: requests have no such field"),
    }
}

fn algorithm(key: &Key) -> Result<KeyAlgorithm, String> {
    match (key.algo.as_str(), key.size) {
        ("ecdsa", 256) => Ok(KeyAlgorithm::EcP256),
        ("ecdsa", 384) => Ok(KeyAlgorithm::EcP384),
        ("ecdsa", 521) => Ok(KeyAlgorithm::EcP521),
        ("rsa", 2048) => Ok(KeyAlgorithm::Rsa2048),
        ("rsa", 3072) => Ok(KeyAlgorithm::Rsa3072),
        ("rsa", 4096) => Ok(KeyAlgorithm::Rsa4096),
        ("ed25519", _) => Ok(KeyAlgorithm::Ed25519),
        (algo, size) => Err(format!(
            "key: found {} of {size} bits; permitted: ecdsa of 256, 384 or 521, rsa of 2048, 3072 or 4096, ed25519",
            algo.escape_debug()
        )),
    }
}

fn subject(names: Vec<Name>, common_name: String, serial_number: String) -> Vec<(DnType, String)> {
    let mut out = Vec::new();
    for name in names {
        out.extend([
            (DnType::CountryName, name.country),
            (DnType::StateOrProvinceName, name.state),
            (DnType::LocalityName, name.locality),
            (DnType::OrganizationName, name.organization),
            (DnType::OrganizationalUnitName, name.unit),
        ]);
    }
    out.push((DnType::CommonName, common_name));
    // id-at-serialNumber (RFC 5280 appendix A.1).
    out.push((DnType::CustomDnType(vec![2, 5, 4, 5]), serial_number));
    out.retain(|(_, value)| !value.is_empty());
    out
}

/// cfssl's own order: an address, an e-mail address, a URI, else a DNS name.
fn san(host: &str) -> San {
    let is_uri = host
        .split_once(':')
        .is_some_and(|(scheme, rest)| !scheme.is_empty() && rest.starts_with("//"));
    match host.parse::<IpAddr>() {
        Ok(address) => San::Ip(address),
        Err(_) if is_uri => San::Uri(host.to_owned()),
        Err(_) if host.contains('@') => San::Email(host.to_owned()),
        Err(_) => San::Dns(host.to_owned()),
    }
}
