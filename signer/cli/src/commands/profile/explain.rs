//! A profile in sentences.

use std::collections::BTreeSet;

use stele_core::names::Usage;
use stele_core::profile::{Approval, AttributeRule, CountRule, CsrNames, Kind, Profile, SanRules, Template, UsageRule};

/// What the profile allows, a sentence each. What no sentence allows is refused.
pub(super) fn sentences(profile: &Profile) -> Vec<String> {
    let mut out = who(profile);
    out.extend(subject(profile));
    out.extend(sans(&profile.sans));
    out.extend(content(profile));
    out.push("Everything else is refused.".to_owned());
    out
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((one, [])) => one.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

fn usages(set: &BTreeSet<Usage>) -> String {
    list(set.iter().map(|u| format!("`{}`", u.name())))
}

fn templates(items: &[Template]) -> String {
    items.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(" or ")
}

fn count(rule: CountRule) -> String {
    match (rule.min, rule.max) {
        (min, max) if min == max => format!("exactly {max}"),
        (0, max) => format!("at most {max}"),
        (min, max) => format!("{min} to {max}"),
    }
}

fn who(profile: &Profile) -> Vec<String> {
    let what = match &profile.kind {
        Kind::Leaf => "end-entity certificates",
        Kind::Intermediate(_) => "certificates of CAs",
        Kind::Caller => "client certificates of Stele's own callers",
        Kind::Server => "Stele's own server certificates",
    };
    let callers = if profile.callers.is_empty() {
        "No caller may ask for them; only local enrolment can, where the authority names it.".to_owned()
    } else {
        format!("Who may ask: {}.", list(&profile.callers))
    };
    let mut out = vec![
        format!(
            "Profile {} issues {what}, signed by {}.",
            profile.name(),
            list(&profile.issuers)
        ),
        callers,
    ];
    if !profile.context.is_empty() {
        let fields = list(profile.context.iter().map(|f| f.name()));
        out.push(format!("The caller is trusted to say truly: {fields}."));
    }
    out.push(match &profile.approval {
        Approval::Automatic => "No person has to approve.".to_owned(),
        Approval::Quorum { m, role, expires } => {
            format!("{m} different operators with the role {role} must approve each within {expires}; the requester's own operator does not count.")
        }
    });
    if let Some(rate) = profile.rate {
        out.push(format!("Each caller may ask {} times a minute.", rate.per_minute));
    }
    out
}

fn subject(profile: &Profile) -> Vec<String> {
    if profile.subject.is_empty() {
        return vec!["The subject is empty.".to_owned()];
    }
    let rule = |(kind, rule): (&stele_core::names::AttributeType, &AttributeRule)| {
        let name = kind.name();
        match rule {
            AttributeRule::Fixed(values) => format!("Its {name} is always {}.", list(values)),
            AttributeRule::Context { template, fits } => {
                let also = if fits.is_empty() {
                    String::new()
                } else {
                    format!(", which must be like {}", templates(fits))
                };
                format!("Its {name} is always `{template}`, from what the caller vouches for{also}.")
            }
            AttributeRule::Request {
                patterns,
                except,
                required,
                max,
            } => {
                let need = if *required { "must" } else { "may" };
                let but = if except.is_empty() {
                    String::new()
                } else {
                    format!(" but not like {}", templates(except))
                };
                format!(
                    "The request {need} name a {name} like {}{but}, {max} at most.",
                    templates(patterns)
                )
            }
        }
    };
    profile.subject.iter().map(rule).collect()
}

fn sans(rules: &SanRules) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(dns) = &rules.dns {
        if !dns.patterns.is_empty() {
            let patterns: Vec<_> = dns.patterns.iter().map(|p| format!("`{p}`")).collect();
            let wildcard = if dns.wildcard {
                ", wildcards too"
            } else {
                ", no wildcards"
            };
            out.push(format!(
                "DNS names like {} may be asked for{wildcard}, {} of them.",
                patterns.join(" or "),
                count(dns.count)
            ));
        }
        if !dns.always.is_empty() {
            out.push(format!(
                "Every certificate has the DNS name {}.",
                templates(&dns.always)
            ));
        }
    }
    if let Some(ip) = &rules.ip {
        out.push(format!(
            "IP addresses in {} may be asked for, {} of them.",
            list(&ip.cidrs),
            count(ip.count)
        ));
    }
    if let Some(uri) = &rules.uri {
        if !uri.templates.is_empty() {
            out.push(format!(
                "URIs like {} may be asked for, {} of them.",
                templates(&uri.templates),
                count(uri.count)
            ));
        }
        if !uri.always.is_empty() {
            out.push(format!("Every certificate has the URI {}.", templates(&uri.always)));
        }
    }
    if let Some(email) = &rules.email {
        out.push(format!(
            "E-mail addresses like {} may be asked for, {} of them.",
            templates(&email.patterns),
            count(email.count)
        ));
    }
    if out.is_empty() {
        out.push("There are no alternative names.".to_owned());
    } else {
        out.push(format!("In all there are {} alternative names.", count(rules.count)));
    }
    out
}

fn content(profile: &Profile) -> Vec<String> {
    let validity = profile.validity;
    let mut out = vec![
        format!("The key is one of {}.", list(&profile.key_algorithms)),
        format!(
            "It is valid for {}; {} to {} may be asked for; it begins {} before it is signed and never outlives its issuer.",
            validity.default, validity.min, validity.max, validity.backdate
        ),
        match &profile.usages {
            UsageRule::Fixed(set) => format!("Its usages are always {}.", usages(set)),
            UsageRule::Choice {
                allowed,
                required,
                always,
                default,
            } => {
                let needed = if required.is_empty() {
                    String::new()
                } else {
                    format!(", with {} among them", usages(required))
                };
                let added = if always.is_empty() {
                    String::new()
                } else {
                    format!("; {} added where left out", usages(always))
                };
                format!(
                    "Usages may be {}{needed}; without a word {}{added}.",
                    usages(allowed),
                    usages(default)
                )
            }
        },
    ];
    if let Kind::Intermediate(ca) = &profile.kind {
        out.push(format!("At most {} more CAs may follow below it.", ca.path_length));
        if !ca.name_constraints.is_empty() {
            let trees = &ca.name_constraints.permitted;
            let networks: Vec<String> = trees.ip.iter().map(ToString::to_string).collect();
            let within = [
                trees.dns.as_slice(),
                networks.as_slice(),
                trees.uri.as_slice(),
                trees.email.as_slice(),
            ]
            .concat();
            out.push(format!("Below it names must lie within {}.", list(within)));
        }
    }
    if profile.csr_names == CsrNames::Ignore {
        out.push("Names in the CSR are not looked at.".to_owned());
    }
    if profile.no_rev_avail {
        out.push("It says that it is never revoked (RFC 9608): it lives too short for that.".to_owned());
    }
    out.extend(
        profile
            .waivers
            .iter()
            .map(|w| format!("The lint {} does not apply: {}.", w.lint, w.reason)),
    );
    out
}
