//! What an operator must see before deciding: the bytes decoded, the policy's word on them, the last certificate.

use std::fmt::Write as _;

use serde_json::{Value, json};
use stele_api::v1;
use stele_core::authority::Bundle;
use stele_core::lint::lint;
use stele_core::record::Record;
use stele_core::tbs::{TbsView, parse_certificate, parse_tbs};
use stele_core::types::{Digest, ProfileName, hex};
use tonic::transport::Channel;

use super::{Which, fetch, state_word, summary};
use crate::certificate;
use crate::error::CliError;
use crate::output::Answer;
use crate::wire;

/// Runs `stele request show`.
pub(super) async fn run(which: &Which, channel: &Channel) -> Result<Answer, CliError> {
    let request = fetch(which, channel).await?;
    let judgement = match &request.proposal {
        Some(_) => wire::bundle(channel, None).await.ok().map(|(bundle, _)| bundle),
        None => None,
    };
    let (text, details) = describe(&request, judgement.as_ref())?;
    let mut json = summary(&request);
    if let (Value::Object(all), Value::Object(more)) = (&mut json, details) {
        all.extend(more);
    }
    Ok(Answer::new(text, json))
}

/// The request in words and for programs; the proposal is judged under `bundle`, where the caller may see it.
pub(super) fn describe(request: &v1::Request, bundle: Option<&Bundle>) -> Result<(String, Value), CliError> {
    let asked = request.asked.clone().unwrap_or_default();
    let mut text = format!(
        "request {} of {}, attempt {}: {}\n  profile          {}\n",
        asked.request_id,
        request.caller,
        request.attempt,
        state_word(request.state).to_uppercase(),
        asked.profile,
    );
    for (name, value) in context(&asked) {
        let _ = writeln!(text, "  vouched          {name} = {value}");
    }
    if !request.reason.is_empty() {
        let _ = writeln!(text, "  reason           {}", request.reason);
    }
    for v in &request.violations {
        let _ = writeln!(
            text,
            "  violation        {} [{}]: found {}; permitted: {}",
            v.field, v.rule, v.found, v.permitted
        );
    }
    let mut json = json!({});
    if let Some(proposal) = &request.proposal {
        let (words, value) = describe_proposal(proposal, &asked.profile, bundle)?;
        text.push_str(&words);
        json = json!({"proposal": value});
    }
    if let Some(record) = request.issued.as_ref().and_then(|i| Record::decode(&i.record).ok()) {
        let _ = writeln!(text, "issued: recorded at index {} at {}", record.index, record.time);
    }
    Ok((text.trim_end().to_owned(), json))
}

fn context(asked: &v1::SignRequest) -> Vec<(&'static str, String)> {
    let Some(c) = asked.context.clone() else {
        return Vec::new();
    };
    let groups = (!c.groups.is_empty()).then(|| c.groups.join(", "));
    [
        ("cluster", c.cluster),
        ("object_uid", c.object_uid),
        ("requester", c.requester),
        ("groups", groups),
        ("namespace", c.namespace),
        ("pod", c.pod_name),
        ("pod_uid", c.pod_uid),
        ("service_account", c.service_account_name),
        ("service_account_uid", c.service_account_uid),
        ("node", c.node_name),
        ("node_uid", c.node_uid),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn describe_proposal(
    proposal: &v1::Proposal,
    profile: &str,
    bundle: Option<&Bundle>,
) -> Result<(String, Value), CliError> {
    let view = parse_tbs(&proposal.tbs_der)?;
    let digest = Digest::of(&proposal.tbs_der);
    let quorum = proposal.quorum.clone().unwrap_or_default();
    let expires = wire::time!(proposal.expires);
    let policy = policy(proposal, profile, bundle);
    let changes = changes(proposal, &view);
    let mut text = format!("the certificate that would be signed by {}:\n", proposal.issuer);
    text.push_str(&certificate::describe(&view));
    let _ = writeln!(text, "  tbs-sha256       {digest}  (computed here)");
    let _ = writeln!(text, "  profile-sha256   {}", hex(&proposal.profile_sha256));
    for line in &policy {
        let _ = writeln!(text, "policy: {line}");
    }
    for line in &changes {
        let _ = writeln!(text, "against the last certificate: {line}");
    }
    let roles = quorum.roles.join(" or ");
    let lapses = expires.map(|t| t.to_string()).unwrap_or_default();
    let (required, eligible) = (quorum.required, quorum.eligible);
    let _ = writeln!(
        text,
        "approvals: {} of {required}, from {eligible} operators with the role {roles}; lapses {lapses}",
        proposal.approvals.len()
    );
    for approval in &proposal.approvals {
        let time = wire::time!(approval.time).map(|t| t.to_string()).unwrap_or_default();
        let _ = writeln!(text, "  approved by {} at {time}", approval.operator);
    }
    let json = json!({
        "tbs_sha256": digest,
        "profile_sha256": hex(&proposal.profile_sha256),
        "issuer": proposal.issuer,
        "certificate": certificate::to_json(&view),
        "policy": policy,
        "differences": changes,
        "required": required,
        "eligible": eligible,
        "roles": quorum.roles,
        "expires": expires,
        "approved_by": proposal.approvals.iter().map(|a| &a.operator).collect::<Vec<_>>(),
    });
    Ok((text, json))
}

/// What this machine finds when it checks the bytes under the bundle in force.
fn policy(proposal: &v1::Proposal, profile: &str, bundle: Option<&Bundle>) -> Vec<String> {
    let Some(bundle) = bundle else {
        return vec!["not checked here: you may not read the authority bundle".to_owned()];
    };
    let name = profile.parse::<ProfileName>().ok();
    let Some(profile) = name.and_then(|n| bundle.authority().profile(&n)) else {
        return vec![format!("THE BUNDLE IN FORCE HAS NO PROFILE {profile}")];
    };
    let mut lines = Vec::new();
    if profile.digest().0.as_slice() == proposal.profile_sha256 {
        lines.push(format!(
            "the profile is the one of bundle {}, which is in force",
            bundle.number()
        ));
    } else {
        lines.push("THE PROFILE HAS CHANGED since the proposal, which is void".to_owned());
    }
    match lint(&proposal.tbs_der, &profile.waivers) {
        Ok(()) => lines.push("no lint finds anything".to_owned()),
        Err(refusal) => lines.extend(refusal.violations.iter().map(|v| format!("LINT {v}"))),
    }
    lines.extend(
        profile
            .waivers
            .iter()
            .map(|w| format!("waived: {} ({})", w.lint, w.reason)),
    );
    lines
}

fn changes(proposal: &v1::Proposal, view: &TbsView) -> Vec<String> {
    if proposal.previous_certificate_der.is_empty() {
        return vec!["there is none of this subject".to_owned()];
    }
    match parse_certificate(&proposal.previous_certificate_der) {
        Ok((old, ..)) => certificate::differences(&old, view),
        Err(e) => vec![format!("it is not readable: {e}")],
    }
}
