//! What TOML alone cannot forbid: names twice, depths that do not fit, certificates that outlive the root.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{IntermediateScript, NamesScript, ROOT_KEY, Role, RootScript, Script, SubjectScript};
use crate::ceremony::Span;
use crate::error::Error;
use crate::names::AttributeType;

/// Every fault of a script; empty when it can be carried out.
pub(super) fn faults(file: &str, script: &Script) -> Vec<Error> {
    let mut faults = Faults {
        file,
        found: Vec::new(),
    };
    faults.whole(script);
    faults.people(script);
    if let Some(root) = &script.root {
        faults.root(root, script);
    }
    faults.revocations(script);
    let mut keys = BTreeSet::new();
    for intermediate in &script.intermediates {
        let field = format!("intermediate `{}`", intermediate.key);
        if intermediate.key.as_str() == ROOT_KEY || !keys.insert(&intermediate.key) {
            faults.add(
                &format!("{field}.key"),
                "a name that is taken",
                "each key once, and not `root`",
            );
        }
        faults.intermediate(&field, intermediate, script);
    }
    faults.found
}

struct Faults<'a> {
    file: &'a str,
    found: Vec<Error>,
}

impl Faults<'_> {
    fn add(&mut self, field: &str, found: &str, permitted: &str) {
        self.found
            .push(Error::malformed(format!("{}: {field}", self.file), found, permitted));
    }

    fn whole(&mut self, script: &Script) {
        self.line("title", &script.title, 200);
        // PKCS#11 pads labels to 32 bytes.
        self.line("token.label", &script.token.label, 32);
        for item in &script.inventory {
            self.line("inventory", item, 200);
        }
        if script.origin == script.signer_origin {
            self.add(
                "origin",
                "the signer's origin",
                "an origin of its own: two logs never share one",
            );
        }
        if script.intermediates.is_empty() && !script.continues {
            self.add("intermediate", "none", "one for each key in the signer's request");
        }
        if script.root.is_none() && !script.continues {
            self.add(
                "root",
                "none",
                "[root], or `continues = true` for a later ceremony of a log that has one",
            );
        }
        self.positive("approval_expiry", script.approval_expiry);
        self.positive("root_crl.validity", script.root_crl.validity);
        if script.backdate.seconds() > 86_400 {
            self.add("backdate", &script.backdate.to_string(), "at most 1d");
        }
    }

    fn root(&mut self, root: &RootScript, script: &Script) {
        self.subject("root.subject", &root.subject, script.rehearsal);
        self.positive("root.validity", root.validity);
        if script.root_crl.validity.seconds() > root.validity.seconds() {
            let found = script.root_crl.validity.to_string();
            self.add("root_crl.validity", &found, "at most the root's validity");
        }
    }

    fn revocations(&mut self, script: &Script) {
        if !script.revocations.is_empty() && !script.continues {
            let permitted = "none: the first ceremony has issued nothing";
            self.add("revoke", "a revocation", permitted);
        }
        let mut serials = BTreeSet::new();
        for revocation in &script.revocations {
            let field = format!("revoke `{}`", revocation.serial);
            self.line(&format!("{field}.because"), &revocation.because, 200);
            if !serials.insert(&revocation.serial) {
                self.add(&format!("{field}.serial"), "a second time", "each serial once");
            }
        }
    }

    fn people(&mut self, script: &Script) {
        let mut names = BTreeSet::new();
        for participant in &script.participants {
            self.line("participant.name", &participant.name, 100);
            if !names.insert(&participant.name) {
                let found = format!("`{}` twice", participant.name);
                self.add("participant.name", &found, "each person once: nobody has two roles");
            }
        }
        for role in [Role::Administrator, Role::Operator, Role::Witness] {
            if !script.participants.iter().any(|p| p.role == role) {
                self.add(
                    "participant",
                    &format!("no {}", role.name()),
                    "at least one administrator, operator and witness",
                );
            }
        }
    }

    fn intermediate(&mut self, field: &str, intermediate: &IntermediateScript, script: &Script) {
        self.subject(&format!("{field}.subject"), &intermediate.subject, script.rehearsal);
        self.positive(&format!("{field}.validity"), intermediate.validity);
        if let Some(root) = &script.root {
            self.below(field, intermediate, root);
        }
        self.names(&format!("{field}.permitted"), &intermediate.permitted);
        self.names(&format!("{field}.excluded"), &intermediate.excluded);
        for url in intermediate.crl_urls.iter().chain(&intermediate.ca_issuers_urls) {
            // RFC 5280 section 8 warns of https here: fetching it may need the very certificate being checked.
            if !url.starts_with("http://") || !url.bytes().all(|b| b.is_ascii_graphic()) || url.len() > 500 {
                self.add(
                    &format!("{field}, URL"),
                    &format!("`{}`", url.escape_debug()),
                    "http:// and printable ASCII",
                );
            }
        }
    }

    /// What must fit the root; where the root stands in the log only, `draw` looks at its certificate.
    fn below(&mut self, field: &str, intermediate: &IntermediateScript, root: &RootScript) {
        if intermediate.validity.seconds() > root.validity.seconds() {
            let permitted = format!("at most {}, the root's", root.validity);
            self.add(
                &format!("{field}.validity"),
                &intermediate.validity.to_string(),
                &permitted,
            );
        }
        if let Some(room) = root.path_length.filter(|room| *room <= intermediate.path_length) {
            let found = intermediate.path_length.to_string();
            self.add(
                &format!("{field}.path_length"),
                &found,
                &format!("less than the root's, {room}"),
            );
        }
        if intermediate.subject.subject(false) == root.subject.subject(false) {
            self.add(
                &format!("{field}.subject"),
                "the root's subject",
                "a subject of its own",
            );
        }
    }

    fn names(&mut self, field: &str, names: &NamesScript) {
        for name in names.dns.iter().filter(|name| !is_dns_name(name)) {
            let permitted = "a DNS name in lower case without wildcard or leading dot; it covers all names below it";
            self.add(
                &format!("{field}.dns"),
                &format!("`{}`", name.escape_debug()),
                permitted,
            );
        }
        for net in names.ip.iter().filter(|net| **net != IpNet::trunc(net)) {
            self.add(
                &format!("{field}.ip"),
                &format!("`{net}`"),
                &format!("`{}`, without bits beyond the prefix", net.trunc()),
            );
        }
    }

    fn subject(&mut self, field: &str, subject: &SubjectScript, rehearsal: bool) {
        let subject = subject.subject(rehearsal);
        if subject.values(AttributeType::CommonName).next().is_none() {
            self.add(field, "no CN", "a subject with a CN, by which people tell CAs apart");
        }
        for attribute in &subject.0 {
            let (field, limit) = (
                format!("{field}.{}", attribute.kind.name()),
                attribute.kind.upper_bound(),
            );
            self.line(&field, &attribute.value, limit);
            let country = attribute.kind == AttributeType::Country;
            if country && !(attribute.value.len() == 2 && attribute.value.bytes().all(|b| b.is_ascii_uppercase())) {
                self.add(
                    &field,
                    &format!("`{}`", attribute.value.escape_debug()),
                    "two capital letters (ISO 3166)",
                );
            }
        }
        if let Err(error) = subject.to_der() {
            self.add(field, &error.to_string(), "values that the attribute's type can carry");
        }
    }

    fn positive(&mut self, field: &str, span: Span) {
        if span.is_zero() {
            self.add(field, &span.to_string(), "more than no time");
        }
    }

    /// A line of text: it appears in minutes and certificates, where control characters could hide something.
    fn line(&mut self, field: &str, text: &str, limit: usize) {
        let length = text.chars().count();
        if text.trim() != text || length == 0 || length > limit || text.chars().any(char::is_control) {
            let permitted = format!("one line of 1 to {limit} characters without spaces at its ends");
            self.add(field, &format!("`{}`", text.escape_debug()), &permitted);
        }
    }
}

fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: &str = include_str!("../../../../../softhsm/demo/later-ceremony.toml");
    const DEMO: &str = include_str!("../../../../../softhsm/demo/ceremony.toml");

    fn errors(text: &str) -> String {
        let faults = Script::parse("s.toml", text).expect_err(text);
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_demo_is_a_script() {
        let script = Script::parse("ceremony.toml", DEMO).unwrap();
        let keys: Vec<_> = script.intermediates.iter().map(|i| i.key.as_str()).collect();
        assert_eq!(
            keys,
            ["cluster-ca", "issuing-ca", "etcd-ca", "front-proxy-ca", "access-ca"]
        );
    }

    #[test]
    fn every_fault_is_named_with_what_is_permitted() {
        for (from, to, expected) in [
            ("backdate = ", "backdat = ", "backdat"),
            ("rehearsal = false", "rehearsal = \"no\"", "rehearsal"),
            ("algorithm = \"ec-p384\"", "algorithm = \"ec-p385\"", "ec-p384"),
            ("validity = \"20y\"", "validity = \"20 years\"", "`20y`"),
            ("validity = \"20y\"", "validity = \"3y\"", "at most 3y, the root's"),
            ("validity = \"20y\"", "validity = \"0y\"", "more than no time"),
            ("path_length = 2", "path_length = 1", "less than the root's, 1"),
            ("key = \"etcd-ca\"", "key = \"issuing-ca\"", "each key once"),
            ("key = \"etcd-ca\"", "key = \"root\"", "not `root`"),
            ("\"10.0.0.0/8\"", "\"10.0.0.1/8\"", "`10.0.0.0/8`"),
            ("\"cluster.local\"", "\".cluster.local\"", "leading dot"),
            ("\"http://", "\"https://", "http://"),
            ("role = \"witness\"", "role = \"guest\"", "witness"),
            ("role = \"witness\"", "role = \"auditor\"", "no witness"),
            ("CN = \"Stele Demo Root CA\"", "OU = \"x\"", "no CN"),
            (
                "CN = \"Stele Demo Root CA\"",
                "CN = \"Stele Demo Root CA\", C = \"GBR\"",
                "two capital letters",
            ),
            ("signer_origin = \"", "signer_origin = \"a b", "origin"),
            (
                "[root_crl]",
                "[[revoke]]\nserial = \"01ff\"\nreason = \"superseded\"\nbecause = \"x\"\n[root_crl]",
                "has issued nothing",
            ),
        ] {
            assert!(DEMO.contains(from), "{from}");
            let found = errors(&DEMO.replacen(from, to, 1));
            assert!(
                found.contains("s.toml") && found.contains(expected),
                "{from} -> {to}: {found}"
            );
        }
    }

    #[test]
    fn a_later_script_needs_neither_root_nor_intermediates() {
        let script = Script::parse("later.toml", LATER).unwrap();
        assert!(script.continues && script.root.is_none());
        let bare = LATER.split("[[intermediate]]").next().unwrap();
        let people = LATER.split_once("[[participant]]").unwrap().1;
        let crl_only = format!("{bare}[[participant]]{people}");
        assert!(Script::parse("s", &crl_only).unwrap().intermediates.is_empty());
        let first = errors(&crl_only.replacen("continues = true", "continues = false", 1));
        assert!(
            first.contains("[root], or `continues = true`") && first.contains("intermediate"),
            "{first}"
        );
    }

    #[test]
    fn a_rehearsal_says_so_in_every_subject_and_has_room_for_it() {
        let script = Script::parse("s", &DEMO.replacen("rehearsal = false", "rehearsal = true", 1)).unwrap();
        for subject in script
            .intermediates
            .iter()
            .map(|i| &i.subject)
            .chain(script.root.iter().map(|root| &root.subject))
        {
            let subject = subject.subject(script.rehearsal);
            assert!(
                subject
                    .values(AttributeType::CommonName)
                    .all(|cn| cn.starts_with("REHEARSAL ")),
                "{subject:?}"
            );
        }
        let long = DEMO.replacen("Stele Demo Root CA", &"x".repeat(60), 1);
        assert!(Script::parse("s", &long).is_ok());
        assert!(errors(&long.replacen("rehearsal = false", "rehearsal = true", 1)).contains("1 to 64"));
    }
}
