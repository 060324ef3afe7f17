//! A draft as a profile's file.

use std::fmt::Write as _;

use serde_json::json;
use stele_core::names::Usage;
use stele_core::profile::Seconds;

use super::read::Draft;
use super::{ImportArgs, Imported};

/// What a CA's certificate may have beside `cert sign` (the lint `ca-key-usage`).
const CA_USAGES: [Usage; 3] = [Usage::DigitalSignature, Usage::CertSign, Usage::CrlSign];
const FIVE_MINUTES: Seconds = Seconds(300);

/// The text of the profile; it names what cfssl did otherwise.
pub(super) fn profile(draft: &Draft, args: &ImportArgs) -> Imported {
    let mut notes = draft.notes.clone();
    let is_ca = draft.path_length.is_some();
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{key} = {value}");
    };
    let callers: Vec<_> = args.callers.iter().map(|c| c.as_str()).collect();
    line("name", &json!(draft.name));
    line("description", &json!("Imported from cfssl."));
    line("kind", &json!(if is_ca { "intermediate" } else { "leaf" }));
    line("issuers", &json!([args.issuer.as_str()]));
    line("callers", &json!(callers));
    let algorithms = [
        "ec-p256", "ec-p384", "ec-p521", "rsa2048", "rsa3072", "rsa4096", "ed25519",
    ];
    line("key_algorithms", &json!(algorithms));
    let quorum = format!("{{ m = 1, role = \"{}\", expires = \"72h\" }}", args.role);
    line("approval", if is_ca { &quorum } else { &"\"automatic\"" });
    for (key, list) in [
        ("crl_urls", &draft.crl_urls),
        ("ca_issuers_urls", &draft.ca_issuers_urls),
        ("ocsp_urls", &draft.ocsp_urls),
        ("policies", &draft.policies),
    ] {
        if !list.is_empty() {
            line(key, &json!(list));
        }
    }
    if is_ca {
        notes.push("a CA certificate needs an operator's approval".to_owned());
    }
    validity(&mut text, draft);
    subject(&mut text, draft, &mut notes);
    if !is_ca {
        sans(&mut text, draft, &mut notes);
    }
    usages(&mut text, draft, &mut notes);
    if let Some(length) = draft.path_length {
        let _ = writeln!(text, "\n[basic_constraints]\npath_length = {length}");
    }
    Imported {
        name: draft.name.clone(),
        text,
        notes,
    }
}

fn validity(text: &mut String, draft: &Draft) {
    let backdate = draft.backdate.unwrap_or(FIVE_MINUTES);
    let min = Seconds((backdate.0 + 1).max(600).min(draft.expiry.0));
    let backdate = Seconds(backdate.0.min(min.0.saturating_sub(1)));
    let expiry = draft.expiry;
    let _ = writeln!(
        text,
        "\n[validity]\ndefault = \"{expiry}\"\nmin = \"{min}\"\nmax = \"{expiry}\"\nbackdate = \"{backdate}\""
    );
}

fn counts(draft: &Draft, part: &str) -> bool {
    draft.csr.as_ref().is_none_or(|parts| parts.contains(part))
}

fn subject(text: &mut String, draft: &Draft, notes: &mut Vec<String>) {
    if !counts(draft, "subject") {
        return;
    }
    text.push_str("\n[subject]\n");
    for attribute in ["CN", "O", "OU", "C", "ST", "L", "serialNumber"] {
        let except = r#"["system:**"]"#;
        // A CA certificate without a subject is none (RFC 5280 section 4.1.2.6).
        let required = if attribute == "CN" && draft.path_length.is_some() {
            ", required = true"
        } else {
            ""
        };
        let max = if matches!(attribute, "O" | "OU") {
            ", max = 10"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            r#"{attribute} = {{ request = ["**"], except = {except}{required}{max} }}"#
        );
    }
    notes.push("names of Kubernetes' own, `system:...`, are refused; cfssl permits them".to_owned());
}

fn sans(text: &mut String, draft: &Draft, notes: &mut Vec<String>) {
    text.push_str("\n[sans]\nmax = 100\n");
    let mut form = |part: &str, lines: &str| {
        if counts(draft, part) {
            text.push_str(lines);
        }
    };
    if let Some(pattern) = &draft.names {
        form("dns_names", &format!("\n[sans.dns]\npatterns = [\"{pattern}\"]\n"));
        notes.push("addresses, URIs and e-mail are forbidden where there is a `name_whitelist`".to_owned());
        return;
    }
    form("dns_names", "\n[sans.dns]\npatterns = [\"**\"]\nwildcard = true\n");
    form("ip_addresses", "\n[sans.ip]\ncidrs = [\"0.0.0.0/0\", \"::/0\"]\n");
    form("uris", "\n[sans.uri]\ntemplates = [\"**\"]\n");
    form("email_addresses", "\n[sans.email]\npatterns = [\"**\"]\n");
}

fn usages(text: &mut String, draft: &Draft, notes: &mut Vec<String>) {
    let is_ca = draft.path_length.is_some();
    let fits = |usage: &Usage| is_ca == CA_USAGES.contains(usage) || *usage == Usage::DigitalSignature;
    let (mut kept, dropped): (Vec<Usage>, Vec<Usage>) = draft.usages.iter().copied().partition(fits);
    for usage in dropped {
        let whose = if is_ca { "a CA's" } else { "a leaf's" };
        notes.push(format!("`{}` is left out of {whose} certificate", usage.name()));
    }
    if is_ca && !kept.contains(&Usage::CertSign) {
        kept.push(Usage::CertSign);
    }
    let words = |list: &[Usage]| json!(list.iter().map(|u| u.name()).collect::<Vec<_>>());
    // Encipherment is for RSA keys alone (RFC 8813 section 3), so a request for one asks for it.
    let certain: Vec<Usage> = kept.iter().copied().filter(|u| *u != Usage::KeyEncipherment).collect();
    if certain.len() == kept.len() || certain.is_empty() {
        let _ = writeln!(text, "\n[usages]\nfixed = {}", words(&kept));
    } else {
        let _ = writeln!(
            text,
            "\n[usages]\nallowed = {}\nalways = {1}\ndefault = {1}",
            words(&kept),
            words(&certain)
        );
        notes.push("`key encipherment` only where it is asked for, and with RSA keys".to_owned());
    }
    if !is_ca && !kept.iter().any(|u| u.extended_oid().is_some()) {
        notes.push("NOTHING WILL BE ISSUED until `usages` has an extended one such as `server auth`".to_owned());
    }
}
