//! From the file to the checked [`Profile`]: every fault is reported, never only the first.

mod kinds;
mod sans;

use std::collections::{BTreeMap, BTreeSet};

use der::asn1::ObjectIdentifier;

use super::Profile;
use super::context::ContextField;
use super::raw::{RawAttribute, RawProfile};
use super::rules::AttributeRule;
use super::source::Source;
use super::template::Template;
use crate::error::Error;
use crate::names::AttributeType;
use crate::types::Digest;

/// Collects faults with their places.
struct Checker<'a> {
    source: Source<'a>,
    errors: Vec<Error>,
}

impl Checker<'_> {
    fn fault(&mut self, path: &str, found: impl Into<String>, permitted: impl Into<String>) {
        let error = self.source.error(path, found, permitted);
        self.errors.push(error);
    }

    fn require(&mut self, ok: bool, path: &str, found: impl Into<String>, permitted: impl Into<String>) {
        if !ok {
            self.fault(path, found, permitted);
        }
    }

    fn oids(&mut self, path: &str, texts: &[String]) -> Vec<ObjectIdentifier> {
        let mut out = Vec::with_capacity(texts.len());
        for text in texts {
            match ObjectIdentifier::new(text) {
                Ok(oid) => out.push(oid),
                Err(e) => self.fault(
                    path,
                    format!("`{}`: {e}", text.escape_debug()),
                    "dotted object identifiers",
                ),
            }
        }
        out
    }
}

pub(super) fn validate(source: Source<'_>) -> Result<Profile, Vec<Error>> {
    let raw: RawProfile = source.parse().map_err(|e| vec![e])?;
    let mut c = Checker {
        source,
        errors: Vec::new(),
    };
    check_simple(&mut c, &raw);
    check_fields(&mut c, &raw);
    let usages = kinds::usages(&mut c, &raw.usages);
    let kind = kinds::kind(&mut c, &raw, &usages);
    let mut subject = BTreeMap::new();
    for (attribute, rule) in &raw.subject {
        if let Some(rule) = attribute_rule(&mut c, *attribute, rule) {
            subject.insert(*attribute, rule);
        }
    }
    let sans = sans::sans(&mut c, raw.sans);
    let policies = c.oids("policies", &raw.policies);
    let ignored_extensions = c.oids("ignored_extensions", &raw.ignored_extensions);
    if !c.errors.is_empty() {
        return Err(c.errors);
    }
    Ok(Profile {
        name: raw.name,
        digest: Digest::of(source.text.as_bytes()),
        kind,
        issuers: raw.issuers,
        callers: raw.callers,
        context: raw.context,
        key_algorithms: raw.key_algorithms,
        signature: raw.signature,
        validity: raw.validity,
        subject,
        sans,
        usages,
        crl_urls: raw.crl_urls,
        ca_issuers_urls: raw.ca_issuers_urls,
        ocsp_urls: raw.ocsp_urls,
        policies,
        no_rev_avail: raw.no_rev_avail,
        csr_names: raw.csr_names,
        ignored_extensions: ignored_extensions.into_iter().collect(),
        waivers: raw.lint_waivers,
        rate: raw.rate,
        approval: raw.approval,
    })
}

fn check_simple(c: &mut Checker<'_>, raw: &RawProfile) {
    c.require(!raw.issuers.is_empty(), "issuers", "none", "at least one CA key");
    c.require(
        !raw.key_algorithms.is_empty(),
        "key_algorithms",
        "none",
        "at least one algorithm",
    );
    let v = &raw.validity;
    let ordered = v.min <= v.default && v.default <= v.max;
    c.require(
        ordered,
        "validity",
        format!("min {}, default {}, max {}", v.min, v.default, v.max),
        "min <= default <= max",
    );
    c.require(
        v.backdate < v.min,
        "validity.backdate",
        v.backdate.to_string(),
        format!("less than min ({})", v.min),
    );
    for (key, urls, schemes) in [
        ("crl_urls", &raw.crl_urls, &["http://"][..]),
        ("ca_issuers_urls", &raw.ca_issuers_urls, &["http://"]),
        ("ocsp_urls", &raw.ocsp_urls, &["http://", "https://"]),
    ] {
        for url in urls {
            let fits = schemes.iter().any(|s| url.len() > s.len() && url.starts_with(s))
                && url.bytes().all(|b| b.is_ascii_graphic());
            // Relying parties fetch these while they validate; over TLS that would need validating first.
            c.require(
                fits,
                key,
                format!("`{}`", url.escape_debug()),
                format!("printable ASCII that begins {}", schemes.join(" or ")),
            );
        }
    }
    let revocable = !raw.crl_urls.is_empty() || !raw.ocsp_urls.is_empty();
    c.require(
        !(raw.no_rev_avail && revocable),
        "no_rev_avail",
        "true beside crl_urls or ocsp_urls",
        "one or the other (RFC 9608 section 2)",
    );
    if let Some(rate) = raw.rate {
        c.require(
            rate.per_minute > 0 && rate.burst != Some(0),
            "rate",
            "0",
            "at least 1 a minute and a burst of at least 1",
        );
    }
    let mut waived = BTreeSet::new();
    for (n, waiver) in raw.lint_waivers.iter().enumerate() {
        let path = format!("lint_waivers[{n}]");
        let waivable = crate::lint::waivable_ids();
        c.require(
            waivable.contains(&waiver.lint.as_str()),
            &path,
            format!("lint `{}`", waiver.lint.escape_debug()),
            format!("one of {}", waivable.join(", ")),
        );
        c.require(
            !waiver.reason.trim().is_empty(),
            &path,
            "no reason",
            "a reason, for the auditor",
        );
        c.require(
            waived.insert(&waiver.lint),
            &path,
            format!("`{}` twice", waiver.lint),
            "each lint once",
        );
    }
}

/// Templates may use only the context that the profile's callers are trusted for.
fn check_fields(c: &mut Checker<'_>, raw: &RawProfile) {
    let mut uses: Vec<(String, ContextField)> = Vec::new();
    for (attribute, rule) in &raw.subject {
        let patterns = rule.request.iter().chain(&rule.except).chain(&rule.fits).flatten();
        let templates = patterns.chain(&rule.context);
        uses.extend(
            templates
                .flat_map(Template::fields)
                .map(|f| (format!("subject.{}", attribute.name()), f)),
        );
    }
    if let Some(dns) = &raw.sans.dns {
        uses.extend(
            dns.patterns
                .iter()
                .flat_map(|p| p.fields())
                .map(|f| ("sans.dns.patterns".to_owned(), f)),
        );
        uses.extend(
            dns.always
                .iter()
                .flat_map(Template::fields)
                .map(|f| ("sans.dns.always".to_owned(), f)),
        );
    }
    if let Some(uri) = &raw.sans.uri {
        let templates = uri.templates.iter().chain(&uri.always);
        uses.extend(templates.flat_map(Template::fields).map(|f| ("sans.uri".to_owned(), f)));
    }
    if let Some(email) = &raw.sans.email {
        uses.extend(
            email
                .patterns
                .iter()
                .flat_map(Template::fields)
                .map(|f| ("sans.email.patterns".to_owned(), f)),
        );
    }
    for (path, field) in uses {
        c.require(
            raw.context.contains(&field),
            &path,
            format!("{{{}}}", field.name()),
            "fields that `context` lists",
        );
    }
}

fn attribute_rule(c: &mut Checker<'_>, attribute: AttributeType, raw: &RawAttribute) -> Option<AttributeRule> {
    let path = format!("subject.{}", attribute.name());
    let only_request = raw.required.is_none() && raw.max.is_none() && raw.except.is_none();
    let no_fits = raw.fits.is_none();
    match (&raw.fixed, &raw.request, &raw.context) {
        (Some(values), None, None) if only_request && no_fits => {
            let ok = |v: &String| {
                !v.is_empty() && v.chars().count() <= attribute.upper_bound() && !v.chars().any(char::is_control)
            };
            c.require(
                !values.is_empty() && values.iter().all(ok),
                &path,
                format!("{values:?}"),
                format!("values of 1 to {} characters", attribute.upper_bound()),
            );
            Some(AttributeRule::Fixed(values.clone()))
        }
        (None, Some(patterns), None) if no_fits => {
            let max = raw.max.unwrap_or(1);
            c.require(
                !patterns.is_empty() && max > 0,
                &path,
                "no pattern, or max = 0",
                "at least one pattern and one value; leave the attribute out to forbid it",
            );
            Some(AttributeRule::Request {
                patterns: patterns.clone(),
                except: raw.except.clone().unwrap_or_default(),
                required: raw.required.unwrap_or(false),
                max,
            })
        }
        (None, None, Some(template)) if only_request => {
            c.require(
                template.is_exact(),
                &path,
                format!("`{template}`"),
                "a template without stars",
            );
            Some(AttributeRule::Context {
                template: template.clone(),
                fits: raw.fits.clone().unwrap_or_default(),
            })
        }
        _ => {
            c.fault(
                &path,
                "not exactly one source",
                "one of `fixed`, `request`, `context`; `except`, `required` and `max` beside `request` only, `fits` beside `context` only",
            );
            None
        }
    }
}
