//! What a caller may ask for.

use std::collections::BTreeSet;

use stele_api::convert::{attribute_type_to_wire, profiles_page, usage_to_wire};
use stele_api::status::Failure;
use stele_api::v1::profile_service_server::ProfileService;
use stele_api::v1::{self, ListProfilesRequest, ListProfilesResponse};
use stele_core::authority::Bundle;
use stele_core::names::{AttributeType, Usage};
use stele_core::profile::{Approval, AttributeRule, CountRule, CsrNames, Kind, Profile, SanRules, Template, UsageRule};
use stele_core::record::{FreezeTarget, Need};
use tonic::{Request, Response, Status};

use super::{Handlers, malformed};
use crate::authorise::{Caller, caller};
use crate::page_token;
use crate::proposals::quorum;
use crate::snapshot::Snapshot;

#[tonic::async_trait]
impl ProfileService for Handlers {
    async fn list_profiles(
        &self,
        call: Request<ListProfilesRequest>,
    ) -> Result<Response<ListProfilesResponse>, Status> {
        let caller = caller(&call)?;
        let page = profiles_page(call.into_inner()).map_err(malformed)?;
        let snapshot = self.signer.snapshot.load_full();
        let conditions = format!("profiles of {}", caller.name);
        let start = page_token::read(page.token.as_deref(), &conditions)?.unwrap_or_default();
        let in_force = snapshot.in_force()?;
        let mut mine = in_force
            .bundle
            .authority()
            .profiles()
            .values()
            .filter(|profile| profile.callers.contains(&caller.name))
            .skip(usize::try_from(start).unwrap_or(usize::MAX));
        let profiles = mine
            .by_ref()
            .take(usize::try_from(page.size).unwrap_or(usize::MAX))
            .map(|profile| to_wire(&snapshot, &in_force.bundle, &caller, profile))
            .collect::<Result<Vec<_>, _>>()?;
        let next_page_token = match mine.next() {
            Some(_) => page_token::write(start.saturating_add(profiles.len() as u64), &conditions),
            None => String::new(),
        };
        Ok(Response::new(ListProfilesResponse {
            profiles,
            next_page_token,
        }))
    }
}

fn to_wire(snapshot: &Snapshot, bundle: &Bundle, caller: &Caller, profile: &Profile) -> Result<v1::Profile, Failure> {
    let file = bundle.files().get(&format!("profiles/{}.toml", profile.name()));
    let definition = file.map(|text| text.as_bytes().to_vec()).unwrap_or_default();
    let (approval, approval_expires_seconds) = approval(snapshot, caller, profile)?;
    let (kind, path_length) = match &profile.kind {
        Kind::Intermediate(rules) => (v1::ProfileKind::Intermediate, Some(u32::from(rules.path_length))),
        Kind::Leaf => (v1::ProfileKind::Leaf, None),
        Kind::Caller => (v1::ProfileKind::Caller, None),
        Kind::Server => (v1::ProfileKind::Server, None),
    };
    let usages = |set: &BTreeSet<Usage>| set.iter().map(|u| usage_to_wire(*u).into()).collect();
    Ok(v1::Profile {
        name: profile.name().to_string(),
        description: file.map(|text| description(text)).unwrap_or_default(),
        kind: kind.into(),
        issuers: profile.issuers.iter().map(ToString::to_string).collect(),
        key_algorithms: profile.key_algorithms.iter().map(ToString::to_string).collect(),
        validity: Some(v1::ValidityLimits {
            default_seconds: profile.validity.default.0,
            min_seconds: profile.validity.min.0,
            max_seconds: profile.validity.max.0,
            backdate_seconds: profile.validity.backdate.0,
        }),
        subject: profile
            .subject
            .iter()
            .map(|(kind, rule)| subject_rule(*kind, rule))
            .collect(),
        sans: Some(san_rules(&profile.sans)),
        permitted_usages: usages(profile.usages.permitted()),
        required_usages: usages(&profile.usages.certain()),
        default_usages: usages(default_usages(&profile.usages)),
        ignores_csr_names: profile.csr_names == CsrNames::Ignore,
        trusted_context: profile.context.iter().map(|field| field.name().to_owned()).collect(),
        approval: Some(approval),
        approval_expires_seconds,
        rate: profile.rate.map(|rate| v1::RateLimit {
            per_minute: rate.per_minute,
            burst: rate.burst.unwrap_or(rate.per_minute),
        }),
        path_length,
        frozen: snapshot.frozen.contains(&FreezeTarget::Profile(profile.name().clone())),
        definition,
        profile_sha256: profile.digest().0.to_vec(),
    })
}

/// The sentence in the profile's file; nothing judges by it, so the parsed profile does not keep it.
fn description(text: &str) -> String {
    let table: Option<toml::Table> = toml::from_str(text).ok();
    let found = table.and_then(|t| t.get("description").and_then(|d| d.as_str().map(str::to_owned)));
    found.unwrap_or_default()
}

const fn default_usages(rule: &UsageRule) -> &BTreeSet<Usage> {
    match rule {
        UsageRule::Fixed(set) | UsageRule::Choice { default: set, .. } => set,
    }
}

fn approval(snapshot: &Snapshot, caller: &Caller, profile: &Profile) -> Result<(v1::Quorum, u64), Failure> {
    match &profile.approval {
        Approval::Automatic => Ok((v1::Quorum::default(), 0)),
        Approval::Quorum { m, role, expires } => {
            let need = Need {
                m: *m,
                role: role.to_string(),
            };
            Ok((quorum(snapshot.authority()?, &need, &caller.san)?.into(), expires.0))
        }
    }
}

fn subject_rule(kind: AttributeType, rule: &AttributeRule) -> v1::SubjectRule {
    let texts = |templates: &[Template]| templates.iter().map(ToString::to_string).collect();
    let empty = v1::SubjectRule {
        r#type: attribute_type_to_wire(kind).into(),
        max_values: 1,
        ..v1::SubjectRule::default()
    };
    match rule {
        AttributeRule::Fixed(values) => v1::SubjectRule {
            max_values: count(values.len()),
            fixed: values.clone(),
            ..empty
        },
        AttributeRule::Request {
            patterns,
            // Stands in `definition`: the field says what to ask for, not all that is refused.
            except: _,
            required,
            max,
        } => v1::SubjectRule {
            required: *required,
            max_values: count(*max),
            patterns: texts(patterns),
            ..empty
        },
        AttributeRule::Context { template, .. } => v1::SubjectRule {
            template: template.to_string(),
            ..empty
        },
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn san_rules(rules: &SanRules) -> v1::SanRules {
    fn texts<T: ToString>(items: &[T]) -> Vec<String> {
        items.iter().map(ToString::to_string).collect()
    }
    let rule = |patterns, always, of: &CountRule, wildcards| v1::NameRule {
        patterns,
        always,
        min_names: count(of.min),
        max_names: count(of.max),
        wildcards,
    };
    let dns = rules.dns.as_ref();
    let uri = rules.uri.as_ref();
    let ip = rules.ip.as_ref();
    let email = rules.email.as_ref();
    v1::SanRules {
        min_names: count(rules.count.min),
        max_names: count(rules.count.max),
        dns: dns.map(|r| rule(texts(&r.patterns), texts(&r.always), &r.count, r.wildcard)),
        ip: ip.map(|r| rule(texts(&r.cidrs), Vec::new(), &r.count, false)),
        uri: uri.map(|r| rule(texts(&r.templates), texts(&r.always), &r.count, false)),
        email: email.map(|r| rule(texts(&r.patterns), Vec::new(), &r.count, false)),
    }
}
