//! From the file to the checked [`Profile`]: every fault is reported, never only the first.

use std::collections::BTreeSet;

use der::asn1::ObjectIdentifier;

use super::approval::Approval;
use super::context::ContextField;
use super::raw::{RawAttribute, RawDns, RawKind, RawProfile, RawSans, RawUri, RawUsages};
use super::rules::{AttributeRule, CaRules, CountRule, DnsRule, EmailRule, IpRule, Kind, SanRules, UriRule, UsageRule};
use super::source::Source;
use super::template::Template;
use super::{Profile, Seconds};
use crate::error::Error;
use crate::names::{AttributeType, Usage};
use crate::types::Digest;

/// How many names a certificate may have when the profile does not say.
const DEFAULT_MAX_NAMES: usize = 100;
/// The longest that a proposal may wait for its approvals.
const MAX_APPROVAL_WAIT: Seconds = Seconds(90 * 86_400);

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
    let usages = usages(&mut c, &raw.usages);
    let kind = kind(&mut c, &raw, &usages);
    let mut subject = std::collections::BTreeMap::new();
    for (attribute, rule) in &raw.subject {
        if let Some(rule) = attribute_rule(&mut c, *attribute, rule) {
            subject.insert(*attribute, rule);
        }
    }
    let sans = sans(&mut c, raw.sans);
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
        let patterns = rule.request.iter().chain(&rule.fits).flatten();
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

fn usages(c: &mut Checker<'_>, raw: &RawUsages) -> UsageRule {
    let rule = match (&raw.fixed, &raw.allowed) {
        (Some(fixed), None) => {
            c.require(
                raw.required.is_none() && raw.default.is_none(),
                "usages",
                "`required` or `default` beside `fixed`",
                "them beside `allowed` only",
            );
            UsageRule::Fixed(fixed.clone())
        }
        (None, Some(allowed)) => UsageRule::Choice {
            allowed: allowed.clone(),
            required: raw.required.clone().unwrap_or_default(),
            default: raw.default.clone().unwrap_or_default(),
        },
        _ => {
            c.fault(
                "usages",
                "both or neither of `fixed` and `allowed`",
                "exactly one of them",
            );
            UsageRule::Fixed(BTreeSet::new())
        }
    };
    if let UsageRule::Choice {
        allowed,
        required,
        default,
    } = &rule
    {
        c.require(
            required.is_subset(allowed),
            "usages.required",
            list(required),
            format!("some of {}", list(allowed)),
        );
        c.require(
            default.is_subset(allowed) && required.is_subset(default),
            "usages.default",
            list(default),
            format!("some of {} with {}", list(allowed), list(required)),
        );
    }
    c.require(!rule.permitted().is_empty(), "usages", "none", "at least one usage");
    rule
}

fn list(usages: &BTreeSet<Usage>) -> String {
    usages
        .iter()
        .map(|u| format!("`{}`", u.name()))
        .collect::<Vec<_>>()
        .join(", ")
}

fn kind(c: &mut Checker<'_>, raw: &RawProfile, usages: &UsageRule) -> Kind {
    check_approval(c, raw);
    if raw.kind == RawKind::Intermediate {
        c.require(
            usages.certain().contains(&Usage::CertSign),
            "usages",
            list(usages.certain()),
            "`cert sign` always, for an intermediate",
        );
        c.require(
            !raw.no_rev_avail,
            "no_rev_avail",
            "true in an intermediate",
            "false (RFC 9608 section 2)",
        );
        let Some(basic) = &raw.basic_constraints else {
            c.fault(
                "basic_constraints",
                "none",
                "basic_constraints = { path_length = N } for an intermediate",
            );
            return Kind::Leaf;
        };
        let name_constraints = raw.name_constraints.clone().unwrap_or_default();
        for dns in name_constraints
            .permitted
            .dns
            .iter()
            .chain(&name_constraints.excluded.dns)
        {
            c.require(
                !dns.starts_with('.') && dns.is_ascii(),
                "name_constraints",
                format!("dns `{}`", dns.escape_debug()),
                "ASCII domains without a leading dot",
            );
        }
        return Kind::Intermediate(Box::new(CaRules {
            path_length: basic.path_length,
            name_constraints,
        }));
    }
    c.require(
        raw.basic_constraints.is_none(),
        "basic_constraints",
        "some",
        "none but in an intermediate",
    );
    c.require(
        raw.name_constraints.is_none(),
        "name_constraints",
        "some",
        "none but in an intermediate",
    );
    let signing = [Usage::CertSign, Usage::CrlSign]
        .iter()
        .any(|u| usages.permitted().contains(u));
    c.require(
        !signing,
        "usages",
        list(usages.permitted()),
        "neither `cert sign` nor `crl sign` but in an intermediate",
    );
    let need = |c: &mut Checker<'_>, usage: Usage| {
        c.require(
            usages.certain().contains(&usage),
            "usages",
            list(usages.certain()),
            format!("`{}` always, for this kind", usage.name()),
        );
    };
    match raw.kind {
        RawKind::Caller => {
            need(c, Usage::ClientAuth);
            c.require(
                !usages.permitted().contains(&Usage::ServerAuth),
                "usages",
                list(usages.permitted()),
                "no `server auth` in a caller's certificate",
            );
            Kind::Caller
        }
        RawKind::Server => {
            need(c, Usage::ServerAuth);
            c.require(
                !usages.permitted().contains(&Usage::ClientAuth),
                "usages",
                list(usages.permitted()),
                "no `client auth` in the server's certificate, which would make it a caller",
            );
            Kind::Server
        }
        RawKind::Leaf | RawKind::Intermediate => Kind::Leaf,
    }
}

fn check_approval(c: &mut Checker<'_>, raw: &RawProfile) {
    match &raw.approval {
        Approval::Automatic => {
            let permitted = "{ m = 1 or more, role = ..., expires = ... }: a CA certificate always needs a quorum";
            c.require(raw.kind != RawKind::Intermediate, "approval", "automatic", permitted);
        }
        Approval::Quorum { m, expires, .. } => {
            c.require(*m >= 1, "approval", "m = 0", "m of at least 1");
            let fits = expires.0 > 0 && *expires <= MAX_APPROVAL_WAIT;
            c.require(
                fits,
                "approval",
                format!("expires = {expires}"),
                format!("more than nothing and at most {MAX_APPROVAL_WAIT}"),
            );
        }
    }
}

fn attribute_rule(c: &mut Checker<'_>, attribute: AttributeType, raw: &RawAttribute) -> Option<AttributeRule> {
    let path = format!("subject.{}", attribute.name());
    let only_request = raw.required.is_none() && raw.max.is_none();
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
                "one of `fixed`, `request`, `context`; `required` and `max` beside `request` only, `fits` beside `context` only",
            );
            None
        }
    }
}

fn sans(c: &mut Checker<'_>, raw: RawSans) -> SanRules {
    let rules = SanRules {
        count: count(c, "sans", raw.min, raw.max),
        dns: raw.dns.map(|dns| dns_rule(c, dns)),
        ip: raw.ip.map(|ip| {
            c.require(
                !ip.cidrs.is_empty(),
                "sans.ip.cidrs",
                "none",
                "at least one network; leave `ip` out to forbid addresses",
            );
            IpRule {
                count: count(c, "sans.ip", ip.min, ip.max),
                cidrs: ip.cidrs,
            }
        }),
        uri: raw.uri.map(|uri| uri_rule(c, uri)),
        email: raw.email.map(|email| {
            c.require(
                !email.patterns.is_empty(),
                "sans.email.patterns",
                "none",
                "at least one pattern; leave `email` out to forbid addresses",
            );
            EmailRule {
                count: count(c, "sans.email", email.min, email.max),
                patterns: email.patterns,
            }
        }),
    };
    let any = rules.dns.is_some() || rules.ip.is_some() || rules.uri.is_some() || rules.email.is_some();
    c.require(
        any || rules.count.min == 0,
        "sans.min",
        rules.count.min.to_string(),
        "0 where no form of name is permitted",
    );
    rules
}

fn dns_rule(c: &mut Checker<'_>, raw: RawDns) -> DnsRule {
    let some = !raw.patterns.is_empty() || !raw.always.is_empty();
    c.require(
        some,
        "sans.dns",
        "neither `patterns` nor `always`",
        "at least one; leave `dns` out to forbid DNS names",
    );
    always(c, "sans.dns.always", &raw.always);
    DnsRule {
        count: count(c, "sans.dns", raw.min, raw.max),
        patterns: raw.patterns,
        wildcard: raw.wildcard,
        always: raw.always,
    }
}

fn uri_rule(c: &mut Checker<'_>, raw: RawUri) -> UriRule {
    let some = !raw.templates.is_empty() || !raw.always.is_empty();
    c.require(
        some,
        "sans.uri",
        "neither `templates` nor `always`",
        "at least one; leave `uri` out to forbid URIs",
    );
    always(c, "sans.uri.always", &raw.always);
    UriRule {
        count: count(c, "sans.uri", raw.min, raw.max),
        templates: raw.templates,
        always: raw.always,
    }
}

fn always(c: &mut Checker<'_>, path: &str, templates: &[Template]) {
    for template in templates {
        c.require(
            template.is_exact(),
            path,
            format!("`{template}`"),
            "templates without stars",
        );
    }
}

fn count(c: &mut Checker<'_>, path: &str, min: Option<usize>, max: Option<usize>) -> CountRule {
    let rule = CountRule {
        min: min.unwrap_or(0),
        max: max.unwrap_or(DEFAULT_MAX_NAMES),
    };
    let fits = rule.min <= rule.max && (1..=1000).contains(&rule.max);
    c.require(
        fits,
        path,
        format!("min {}, max {}", rule.min, rule.max),
        "min <= max, and max from 1 to 1000",
    );
    rule
}
