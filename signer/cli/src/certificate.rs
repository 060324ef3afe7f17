//! A certificate, or the bytes that will become one, in words.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stele_core::names::{San, Subject, Usage};
use stele_core::tbs::{NameConstraints, Subtrees, TbsView, parse_certificate};
use stele_core::types::{Digest, Serial, hex};

use crate::error::CliError;

/// A name on one line, as in RFC 4514 but in encoded order.
pub(crate) fn subject(subject: &Result<Subject, stele_core::Error>) -> String {
    match subject {
        Ok(Subject(attributes)) if attributes.is_empty() => "(empty)".to_owned(),
        Ok(Subject(attributes)) => attributes
            .iter()
            .map(|a| format!("{}={}", a.kind.name(), a.value))
            .collect::<Vec<_>>()
            .join(", "),
        Err(e) => format!("(not readable: {e})"),
    }
}

/// The serial in lower-case hexadecimal.
pub(crate) fn serial(view: &TbsView) -> String {
    Serial::from_unsigned(&view.serial).map_or_else(|_| hex(&view.serial), |s| s.to_string())
}

/// The usages by the names that Kubernetes gives them; unknown ones by number.
fn usages(view: &TbsView) -> Vec<String> {
    let bits = view.key_usages.iter().flatten().map(|u| u.name().to_owned());
    let extended = view.extended_key_usages.iter().flatten();
    let extended =
        extended.map(|oid| Usage::from_extended_oid(*oid).map_or_else(|| oid.to_string(), |u| u.name().to_owned()));
    bits.chain(extended).collect()
}

fn sans(view: &TbsView) -> Vec<String> {
    let foreign = view.foreign_sans.iter().map(|e| format!("(foreign) {e}"));
    view.sans.iter().map(San::to_string).chain(foreign).collect()
}

fn subtrees(side: &str, trees: &Subtrees) -> Vec<String> {
    let Subtrees { dns, ip, uri, email } = trees;
    let texts =
        |form: &str, list: &[String]| -> Vec<String> { list.iter().map(|t| format!("{side} {form}:{t}")).collect() };
    let networks = ip.iter().map(|net| format!("{side} ip:{net}")).collect();
    [texts("dns", dns), networks, texts("uri", uri), texts("email", email)].concat()
}

fn constraints(constraints: &NameConstraints) -> Vec<String> {
    let unjudged = constraints.unjudged.iter().map(|form| format!("on the form {form}"));
    let mut all = subtrees("permitted", &constraints.permitted);
    all.extend(subtrees("excluded", &constraints.excluded));
    all.extend(unjudged);
    all
}

/// One fact a line, for people.
pub(crate) fn describe(view: &TbsView) -> String {
    let list = |items: Vec<String>| {
        if items.is_empty() {
            "(none)".to_owned()
        } else {
            items.join(", ")
        }
    };
    let issuer = Subject::from_der(&view.issuer_der);
    let path_length = view
        .path_length
        .map_or("without a limit".to_owned(), |n| format!("path length {n}"));
    let mut lines = vec![
        ("subject", subject(&view.subject)),
        ("names", list(sans(view))),
        ("serial", serial(view)),
        ("issuer", subject(&issuer)),
        ("valid from", view.not_before.to_string()),
        ("valid until", view.not_after.to_string()),
        ("usages", list(usages(view))),
        (
            "CA",
            if view.ca {
                format!("YES, {path_length}")
            } else {
                "no".to_owned()
            },
        ),
    ];
    if let Some(found) = &view.name_constraints {
        lines.push(("name constraints", list(constraints(found))));
    }
    lines.push(("key sha256", Digest::of(&view.spki_der).to_string()));
    let extensions = view.extensions.iter();
    let extensions = extensions.map(|e| format!("{}{}", e.id, if e.critical { " (critical)" } else { "" }));
    lines.push(("extensions", list(extensions.collect())));
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "  {name:<17}{value}");
        text
    })
}

/// The same for programs.
pub(crate) fn to_json(view: &TbsView) -> Value {
    json!({
        "subject": subject(&view.subject),
        "sans": sans(view),
        "serial": serial(view),
        "issuer": subject(&Subject::from_der(&view.issuer_der)),
        "not_before": view.not_before,
        "not_after": view.not_after,
        "usages": usages(view),
        "ca": view.ca,
        "path_length": view.path_length,
        "name_constraints": view.name_constraints.as_ref().map(constraints),
        "spki_sha256": Digest::of(&view.spki_der),
    })
}

/// What differs between two certificates of one subject, a line each; serial, dates and keys differ always.
pub(crate) fn differences(old: &TbsView, new: &TbsView) -> Vec<String> {
    let ca = |v: &TbsView| format!("{} {:?}", v.ca, v.path_length);
    let limits = |v: &TbsView| {
        v.name_constraints
            .as_ref()
            .map(constraints)
            .unwrap_or_default()
            .join(", ")
    };
    let days = |v: &TbsView| format!("{} h", v.not_after.secs().saturating_sub(v.not_before.secs()) / 3600);
    let key = |v: &TbsView| Digest::of(&v.spki_der).to_string();
    [
        ("subject", subject(&old.subject), subject(&new.subject)),
        ("names", sans(old).join(", "), sans(new).join(", ")),
        ("usages", usages(old).join(", "), usages(new).join(", ")),
        ("CA", ca(old), ca(new)),
        ("name constraints", limits(old), limits(new)),
        ("lifetime", days(old), days(new)),
        ("key sha256", key(old), key(new)),
    ]
    .into_iter()
    .filter(|(_, old, new)| old != new)
    .map(|(what, old, new)| format!("{what}: was {old}; will be {new}"))
    .collect()
}

/// Checks that each certificate was signed by the one after it.
///
/// # Errors
/// When a certificate does not read or a signature does not verify.
pub(crate) fn check_chain(chain: &[&[u8]]) -> Result<(), CliError> {
    for pair in chain.windows(2) {
        let [subject, issuer] = pair else { continue };
        let (view, tbs, algorithm, signature) = parse_certificate(subject)?;
        let (above, ..) = parse_certificate(issuer)?;
        if view.issuer_der != above.subject_der {
            let words = "the chain does not fit: a certificate's issuer is not the subject of the next";
            return Err(CliError::Refused(words.to_owned()));
        }
        stele_core::keycheck::PublicKey::from_spki_der(&above.spki_der)?.verify(algorithm, &tbs, &signature)?;
    }
    Ok(())
}
