//! Plans for people: what each step will sign, word for word what its bytes say.

use std::fmt::Write as _;

use super::{Plan, Step, words};
use crate::crl::{CrlView, parse_tbs_crl};
use crate::error::Error;
use crate::names::Subject;
use crate::record::Purpose;
use crate::tbs::{NameConstraints, Subtrees, TbsView, oid, parse_tbs};
use crate::types::{Digest, hex};

/// The whole plan, read back from its own bytes.
///
/// # Errors
/// When a step's bytes do not read.
pub fn readable_plan(plan: &Plan, plan_sha256: Digest) -> Result<String, Error> {
    let mut out = String::new();
    let _ = writeln!(out, "Plan of {} steps for the log {}", plan.steps.len(), plan.origin);
    let _ = writeln!(out, "  drawn at   {}", plan.drawn_at);
    let _ = writeln!(out, "  script     {}", plan.script_sha256);
    let _ = writeln!(out, "  bundle     {}", plan.bundle_sha256);
    let _ = writeln!(out, "  this plan  {plan_sha256}\n");
    let _ = writeln!(out, "{}", indented(&words(&plan_sha256)));
    for step in &plan.steps {
        let _ = write!(out, "\n{}", readable_step(step)?);
    }
    Ok(out)
}

/// One step, read back from its own bytes.
///
/// # Errors
/// When they do not read, or a name in them is of a form that Stele does not write.
pub fn readable_step(step: &Step) -> Result<String, Error> {
    let mut out = String::new();
    let what = match step.purpose {
        Purpose::Root => "root certificate".to_owned(),
        Purpose::Crl => format!("CRL of `{}`", step.key),
        _ => format!("certificate for the key `{}`", step.subject_key),
    };
    let _ = writeln!(
        out,
        "Step {}: {what}, signed by `{}` ({:?})",
        step.step, step.key, step.algorithm
    );
    if step.purpose == Purpose::Crl {
        crl(&mut out, &parse_tbs_crl(&step.tbs.0)?)?;
    } else {
        certificate(&mut out, &parse_tbs(&step.tbs.0)?)?;
    }
    line(&mut out, "TBS SHA-256", &step.tbs_sha256.to_string());
    Ok(out)
}

fn line(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "  {name:<19}{value}");
}

fn indented(text: &str) -> String {
    text.lines().map(|l| format!("    {l}")).collect::<Vec<_>>().join("\n")
}

fn distinguished_name(subject: &Subject) -> String {
    subject
        .0
        .iter()
        .map(|a| format!("{}={}", a.kind.name(), a.value.escape_debug()))
        .collect::<Vec<_>>()
        .join(", ")
}

fn certificate(out: &mut String, tbs: &TbsView) -> Result<(), Error> {
    line(out, "subject", &distinguished_name(&tbs.subject.clone()?));
    line(out, "issuer", &distinguished_name(&Subject::from_der(&tbs.issuer_der)?));
    line(out, "serial", &hex(&tbs.serial));
    line(out, "valid from", &tbs.not_before.to_string());
    line(out, "valid until", &tbs.not_after.to_string());
    line(out, "key SHA-256", &Digest::of(&tbs.spki_der).to_string());
    let depth = tbs
        .path_length
        .map_or("any number of CAs below it".to_owned(), |n| format!("path length {n}"));
    line(out, "CA", &if tbs.ca { depth } else { "no".to_owned() });
    let usages = tbs.key_usages.iter().flatten().map(|u| u.name()).collect::<Vec<_>>();
    line(out, "key usages", &usages.join(", "));
    if let Some(constraints) = &tbs.name_constraints {
        name_constraints(out, constraints);
    }
    let known = [oid::BASIC_CONSTRAINTS, oid::KEY_USAGE, oid::NAME_CONSTRAINTS];
    for extension in tbs.extensions.iter().filter(|e| !known.contains(&e.id)) {
        let critical = if extension.critical { ", critical" } else { "" };
        line(
            out,
            "extension",
            &format!("{}{critical}: {}", extension.id, legible(&extension.value)),
        );
    }
    Ok(())
}

/// An extension's value in hexadecimal, and the runs of ASCII in it, which is where URLs are.
fn legible(value: &[u8]) -> String {
    let texts: Vec<_> = value
        .split(|b| !b.is_ascii_graphic())
        .filter(|run| run.len() >= 8)
        .map(|run| String::from_utf8_lossy(run).into_owned())
        .collect();
    if texts.is_empty() {
        hex(value)
    } else {
        format!("{} ({})", hex(value), texts.join(" "))
    }
}

fn name_constraints(out: &mut String, constraints: &NameConstraints) {
    for (word, subtrees) in [
        ("permitted", &constraints.permitted),
        ("excluded", &constraints.excluded),
    ] {
        for (form, names) in forms(subtrees) {
            if !names.is_empty() {
                line(out, word, &format!("{form} {}", names.join(", ")));
            }
        }
    }
}

fn forms(subtrees: &Subtrees) -> [(&'static str, Vec<String>); 4] {
    [
        ("DNS", subtrees.dns.clone()),
        ("IP", subtrees.ip.iter().map(ToString::to_string).collect()),
        ("URI", subtrees.uri.clone()),
        ("email", subtrees.email.clone()),
    ]
}

fn crl(out: &mut String, crl: &CrlView) -> Result<(), Error> {
    line(out, "issuer", &distinguished_name(&Subject::from_der(&crl.issuer_der)?));
    line(out, "number", &crl.number.to_string());
    line(out, "this update", &crl.this_update.to_string());
    line(out, "next update", &crl.next_update.to_string());
    line(
        out,
        "revoked",
        &if crl.revoked.is_empty() {
            "none".to_owned()
        } else {
            crl.revoked.len().to_string()
        },
    );
    for (serial, revocation) in &crl.revoked {
        line(
            out,
            "  serial",
            &format!("{serial} since {} ({:?})", revocation.date, revocation.reason),
        );
    }
    Ok(())
}
