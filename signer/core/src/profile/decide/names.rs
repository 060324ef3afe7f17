//! The names of a decision: subject and subject alternative names against profile, context and constraints.

use super::{Inputs, Requester, join};
use crate::error::Violation;
use crate::names::{Attribute, AttributeType, San, Subject};
use crate::profile::template::Template;
use crate::profile::{AttributeRule, Context, CountRule, DnsRule, EmailRule, IpRule, Issuer, Kind, Profile, UriRule};
use crate::types::CallerSan;

/// The subject to issue, attributes in the order of [`AttributeType::ALL`].
pub(super) fn subject(asked: &Subject, profile: &Profile, context: &Context, v: &mut Vec<Violation>) -> Subject {
    let mut out = Vec::new();
    for kind in AttributeType::ALL {
        let values: Vec<&str> = asked.values(kind).collect();
        let field = format!("subject.{}", kind.name());
        match profile.subject.get(&kind) {
            None => {
                for value in values {
                    v.push(Violation::new(
                        &field,
                        "attribute-not-permitted",
                        quoted(value),
                        format!("no {} under profile {}", kind.name(), profile.name),
                    ));
                }
            }
            Some(rule) => out.extend(
                attribute(rule, &values, &field, context, v)
                    .into_iter()
                    .map(|value| Attribute { kind, value }),
            ),
        }
    }
    Subject(out)
}

fn attribute(
    rule: &AttributeRule,
    asked: &[&str],
    field: &str,
    context: &Context,
    v: &mut Vec<Violation>,
) -> Vec<String> {
    let exactly = |values: Vec<String>, v: &mut Vec<Violation>| {
        for value in asked.iter().filter(|a| !values.iter().any(|one| one == *a)) {
            v.push(Violation::new(
                field,
                "attribute-not-permitted",
                quoted(value),
                join(values.iter().map(|s| quoted(s))),
            ));
        }
        values
    };
    match rule {
        AttributeRule::Fixed(values) => exactly(values.clone(), v),
        AttributeRule::Context { template, fits } => match template.fill(context) {
            Ok(value) => {
                if !fits.is_empty() && !fits.iter().any(|f| f.matches(&value, context)) {
                    v.push(Violation::new(
                        field,
                        "context-does-not-fit",
                        quoted(&value),
                        join(fits),
                    ));
                }
                exactly(vec![value], v)
            }
            Err(why) => {
                let permitted = format!("what `{template}` needs");
                v.push(Violation::new(field, "context-missing", why.to_string(), permitted));
                Vec::new()
            }
        },
        AttributeRule::Request {
            patterns,
            except,
            required,
            max,
        } => {
            let fits_one = |templates: &[Template], value: &str| templates.iter().any(|t| t.matches(value, context));
            for value in asked.iter().filter(|a| !fits_one(patterns, a) || fits_one(except, a)) {
                let but = if except.is_empty() {
                    String::new()
                } else {
                    format!(", but not {}", join(except))
                };
                let permitted = format!("{}{but}", join(patterns));
                v.push(Violation::new(
                    field,
                    "attribute-not-permitted",
                    quoted(value),
                    permitted,
                ));
            }
            if *required && asked.is_empty() {
                v.push(Violation::new(field, "attribute-missing", "no value", join(patterns)));
            }
            if asked.len() > *max {
                v.push(Violation::new(
                    field,
                    "too-many-values",
                    asked.len().to_string(),
                    format!("at most {max}"),
                ));
            }
            asked.iter().map(|s| (*s).to_owned()).collect()
        }
    }
}

/// The names to issue: those asked for, DNS names in lower case, then those that the profile always adds; each once.
pub(super) fn sans(asked: &[San], profile: &Profile, context: &Context, v: &mut Vec<Violation>) -> Vec<San> {
    let rules = &profile.sans;
    let mut out: Vec<San> = Vec::new();
    for san in asked {
        let san = match san {
            San::Dns(name) => San::Dns(name.to_ascii_lowercase()),
            other => other.clone(),
        };
        let verdict = match &san {
            San::Dns(name) => rules.dns.as_ref().map(|rule| dns(rule, name, context)),
            San::Ip(address) => rules.ip.as_ref().map(|rule| {
                let fits = rule.cidrs.iter().any(|net| net.contains(address));
                fits.then_some(()).ok_or_else(|| join(&rule.cidrs))
            }),
            San::Uri(uri) => rules.uri.as_ref().map(|rule| {
                let added = always_has(&rule.always, uri, context);
                if added {
                    Ok(())
                } else {
                    any_template(&rule.templates, uri, context)
                }
            }),
            San::Email(address) => rules
                .email
                .as_ref()
                .map(|rule| any_template(&rule.patterns, address, context)),
        };
        let permitted = match verdict {
            Some(Ok(())) => None,
            Some(Err(permitted)) => Some(permitted),
            None => Some(format!("no {} names under profile {}", san.form(), profile.name)),
        };
        if let Some(permitted) = permitted {
            v.push(Violation::new(
                format!("san.{}", san.form()),
                "san-not-permitted",
                quoted(&san.to_string()),
                permitted,
            ));
        }
        push_once(&mut out, san);
    }
    add_always(&mut out, profile, context, v);
    counts(&out, profile, v);
    out
}

fn push_once(out: &mut Vec<San>, san: San) {
    if !out.contains(&san) {
        out.push(san);
    }
}

fn dns(rule: &DnsRule, name: &str, context: &Context) -> Result<(), String> {
    if name.contains('*') && !rule.wildcard {
        return Err("no wildcard names".to_owned());
    }
    if rule.patterns.iter().any(|p| p.matches(name, context)) || always_has(&rule.always, name, context) {
        return Ok(());
    }
    Err(join(
        rule.patterns
            .iter()
            .map(ToString::to_string)
            .chain(rule.always.iter().map(ToString::to_string)),
    ))
}

fn always_has(always: &[Template], value: &str, context: &Context) -> bool {
    always
        .iter()
        .any(|t| t.fill(context).is_ok_and(|filled| filled == value))
}

fn any_template(templates: &[Template], value: &str, context: &Context) -> Result<(), String> {
    let fits = templates.iter().any(|t| t.matches(value, context));
    fits.then_some(()).ok_or_else(|| join(templates))
}

fn add_always(out: &mut Vec<San>, profile: &Profile, context: &Context, v: &mut Vec<Violation>) {
    let dns = profile.sans.dns.iter().flat_map(|r| &r.always).map(|t| ("dns", t));
    let uri = profile.sans.uri.iter().flat_map(|r| &r.always).map(|t| ("uri", t));
    for (form, template) in dns.chain(uri) {
        match template.fill(context) {
            Ok(name) if form == "dns" => push_once(out, San::Dns(name.to_ascii_lowercase())),
            Ok(uri) => push_once(out, San::Uri(uri)),
            Err(why) => v.push(Violation::new(
                format!("san.{form}"),
                "context-missing",
                why.to_string(),
                format!("what `{template}` needs"),
            )),
        }
    }
}

fn counts(out: &[San], profile: &Profile, v: &mut Vec<Violation>) {
    let dns = profile.sans.dns.as_ref().map_or(ANY, |DnsRule { count, .. }| *count);
    let ip = profile.sans.ip.as_ref().map_or(ANY, |IpRule { count, .. }| *count);
    let uri = profile.sans.uri.as_ref().map_or(ANY, |UriRule { count, .. }| *count);
    let email = profile
        .sans
        .email
        .as_ref()
        .map_or(ANY, |EmailRule { count, .. }| *count);
    for (form, rule) in [("dns", dns), ("ip", ip), ("uri", uri), ("email", email)] {
        count(
            &format!("san.{form}"),
            out.iter().filter(|s| s.form() == form).count(),
            rule,
            v,
        );
    }
    count("san", out.len(), profile.sans.count, v);
}

/// A form that the profile forbids is refused name by name; its number does not matter.
const ANY: CountRule = CountRule {
    min: 0,
    max: usize::MAX,
};

fn count(field: &str, found: usize, rule: CountRule, v: &mut Vec<Violation>) {
    if found < rule.min || found > rule.max {
        v.push(Violation::new(
            field,
            "number-of-names",
            found.to_string(),
            format!("{} to {}", rule.min, rule.max),
        ));
    }
}

/// Every name must be permitted by every CA along the chain (RFC 5280 section 6.1.3), or clients reject the chain.
pub(super) fn within_constraints(sans: &[San], issuer: &Issuer, v: &mut Vec<Violation>) {
    for constraints in &issuer.name_constraints {
        for form in &constraints.unjudged {
            v.push(Violation::new(
                "issuer",
                "constraint-not-judged",
                format!("a name constraint on {form}"),
                "constraints on DNS names, addresses, URIs and e-mail only",
            ));
        }
        for san in sans.iter().filter(|san| !constraints.permits(san)) {
            v.push(Violation::new(
                format!("san.{}", san.form()),
                "outside-name-constraints",
                quoted(&san.to_string()),
                format!("names that the chain of {} permits", issuer.name),
            ));
        }
    }
}

/// A caller's certificate names one listed caller: by enrolment any of them, by renewal only the one who asks.
pub(super) fn callers_only(sans: &[San], profile: &Profile, inputs: &Inputs<'_>, v: &mut Vec<Violation>) {
    if profile.kind != Kind::Caller {
        return;
    }
    let identity = match sans {
        [San::Uri(uri)] => CallerSan::Uri(uri.clone()),
        [San::Dns(name)] => CallerSan::Dns(name.clone()),
        _ => {
            v.push(Violation::new(
                "san",
                "caller-identity",
                format!("{} names", sans.len()),
                "exactly one name, a URI or a DNS name",
            ));
            return;
        }
    };
    let permitted = match inputs.requester {
        Requester::Caller { san, .. } if *san == identity => return,
        Requester::Caller { san, .. } => format!("only {san}: callers renew for themselves"),
        Requester::Enrolment { .. } if inputs.known_callers.contains(&identity) => return,
        Requester::Enrolment { .. } => format!("a caller that the bundle lists: {}", join(inputs.known_callers)),
    };
    v.push(Violation::new(
        "san",
        "not-this-caller",
        identity.to_string(),
        permitted,
    ));
}

fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(200).collect();
    format!("`{}`", shown.escape_debug())
}
