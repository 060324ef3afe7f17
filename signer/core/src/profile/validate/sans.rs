//! The rules for subject alternative names.

use super::Checker;
use crate::profile::raw::{RawDns, RawSans, RawUri};
use crate::profile::rules::{CountRule, DnsRule, EmailRule, IpRule, SanRules, UriRule};
use crate::profile::template::Template;

/// How many names a certificate may have when the profile does not say.
const DEFAULT_MAX_NAMES: usize = 100;

pub(super) fn sans(c: &mut Checker<'_>, raw: RawSans) -> SanRules {
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
