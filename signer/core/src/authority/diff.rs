//! What changes between two bundles, in words, for those who are about to sign.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{Action, Authority, Bundle, CaKey, Caller, Operator};

/// The changes from one bundle to the next, one sentence each; empty when only bytes that mean nothing differ.
#[must_use]
pub fn diff(old: &Bundle, new: &Bundle) -> Vec<String> {
    let (a, b) = (old.authority(), new.authority());
    let mut out = Vec::new();
    quorums(a, b, &mut out);
    maps("operator", a.operators(), b.operators(), operator, &mut out);
    maps("caller", a.callers(), b.callers(), caller, &mut out);
    maps("key", a.keys(), b.keys(), key, &mut out);
    scalar("the client CA", a.client_ca(), b.client_ca(), &mut out);
    scalar("the authority's name", a.name(), b.name(), &mut out);
    sets("enrolment profile", a.enrolment(), b.enrolment(), &mut out);
    sets("server name", a.server_names(), b.server_names(), &mut out);
    let witnesses = |x: &Authority| {
        x.witnesses()
            .iter()
            .map(|w| format!("{} ({})", w.name, w.key))
            .collect::<Vec<_>>()
    };
    sets("witness", &witnesses(a), &witnesses(b), &mut out);
    scalar("what is demanded of witnesses", &demanded(a), &demanded(b), &mut out);
    profiles(old, new, &mut out);
    out
}

fn quorums(a: &Authority, b: &Authority, out: &mut Vec<String>) {
    let words = |x: &Authority, action| {
        x.quorum_for(action)
            .map(|r| format!("{} of role {}", r.m, r.role))
            .unwrap_or_default()
    };
    for action in Action::ALL {
        scalar(
            &format!("the quorum for {}", action.name()),
            &words(a, action),
            &words(b, action),
            out,
        );
    }
}

fn demanded(authority: &Authority) -> String {
    let Some(policy) = authority.witness_policy() else {
        return "nothing".to_owned();
    };
    let intents = if policy.ca_intents {
        "before"
    } else {
        "without regard to"
    };
    let lag = policy.max_lag.map_or("without limit".to_owned(), |lag| lag.to_string());
    format!(
        "{} of {} cosign a checkpoint; {intents} the signature of a CA certificate; lag {lag}",
        policy.quorum,
        authority.witnesses().len()
    )
}

fn scalar<T: Display + PartialEq + ?Sized>(what: &str, old: &T, new: &T, out: &mut Vec<String>) {
    if old != new {
        out.push(format!("{what} changes from {old} to {new}"));
    }
}

fn sets<'a, T: Display + PartialEq + 'a>(
    what: &str,
    old: impl IntoIterator<Item = &'a T> + Clone,
    new: impl IntoIterator<Item = &'a T> + Clone,
    out: &mut Vec<String>,
) {
    for gone in old
        .clone()
        .into_iter()
        .filter(|o| !new.clone().into_iter().any(|n| n == *o))
    {
        out.push(format!("{what} {gone} is removed"));
    }
    for added in new.into_iter().filter(|n| !old.clone().into_iter().any(|o| o == *n)) {
        out.push(format!("{what} {added} is added"));
    }
}

fn maps<K: Ord + Display, V: PartialEq>(
    what: &str,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    words: impl Fn(&V) -> String,
    out: &mut Vec<String>,
) {
    for (name, value) in old {
        match new.get(name) {
            None => out.push(format!("{what} {name} is removed ({})", words(value))),
            Some(now) if now != value => {
                out.push(format!(
                    "{what} {name} changes from ({}) to ({})",
                    words(value),
                    words(now)
                ));
            }
            Some(_) => {}
        }
    }
    for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(name)) {
        out.push(format!("{what} {name} is added ({})", words(value)));
    }
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

fn operator(o: &Operator) -> String {
    format!(
        "roles {}; keys {}; acts as {}",
        list(&o.roles),
        list(&o.keys),
        list(&o.acts_as)
    )
}

fn caller(c: &Caller) -> String {
    format!(
        "{}; roles {}",
        c.san,
        list(c.roles.iter().map(|r| format!("{r:?}").to_lowercase()))
    )
}

fn key(k: &CaKey) -> String {
    let c = &k.ceiling;
    format!(
        "{} {}; may sign {}; at most {}; path length {}; dns {}; ip {}; uri {}; email {}; eku {}",
        k.algorithm,
        k.spki_sha256,
        list(c.kinds.iter().map(|k| format!("{k:?}").to_lowercase())),
        c.max_validity,
        c.path_length.map_or("none".to_owned(), |n| n.to_string()),
        list(&c.dns),
        list(&c.ip),
        list(&c.uri),
        list(&c.email),
        list(c.eku.iter().map(|u| u.name()))
    )
}

/// Profiles key by key: the key's whole path, with the value before and after.
fn profiles(old: &Bundle, new: &Bundle, out: &mut Vec<String>) {
    let profiles = |b: &Bundle| -> BTreeMap<String, BTreeMap<String, String>> {
        let files = b.files().iter().filter(|(file, _)| file.starts_with("profiles/"));
        files.map(|(file, text)| (file.clone(), flat(text))).collect()
    };
    let (a, b) = (profiles(old), profiles(new));
    sets("profile file", a.keys(), b.keys(), out);
    for (file, before) in &a {
        if let Some(after) = b.get(file) {
            maps(&format!("{file}:"), before, after, Clone::clone, out);
        }
    }
}

/// Every value of a TOML file under its dotted path.
fn flat(text: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        flatten("", &table, &mut out);
    }
    out
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            // The parser bounds the depth of a file that it accepts.
            toml::Value::Table(inner) => flatten(&path, inner, out),
            other => {
                out.insert(path, other.to_string());
            }
        }
    }
}
