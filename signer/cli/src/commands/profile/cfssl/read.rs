//! Reading a cfssl configuration: every key is either understood or named as having no equivalent.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};
use stele_core::names::Usage;
use stele_core::profile::Seconds;

use crate::error::CliError;

/// What `crypto/x509` calls key usages and cfssl calls otherwise than Kubernetes.
const OTHER_WORDS: [(&str, Usage); 3] = [
    ("signing", Usage::DigitalSignature),
    // cfssl's own spelling.
    ("content committment", Usage::ContentCommitment),
    ("s/mime", Usage::EmailProtection),
];

/// One signing profile of cfssl.
#[derive(Default)]
pub(super) struct Draft {
    /// Its name, in the letters that Stele takes.
    pub(super) name: String,
    pub(super) usages: BTreeSet<Usage>,
    pub(super) expiry: Seconds,
    pub(super) backdate: Option<Seconds>,
    /// The greatest path length, where it issues CAs.
    pub(super) path_length: Option<u8>,
    pub(super) crl_urls: Vec<String>,
    pub(super) ca_issuers_urls: Vec<String>,
    pub(super) ocsp_urls: Vec<String>,
    pub(super) policies: Vec<String>,
    /// The DNS pattern that stands for `name_whitelist`.
    pub(super) names: Option<String>,
    /// What of a CSR counts; `None`: all of it.
    pub(super) csr: Option<BTreeSet<String>>,
    pub(super) notes: Vec<String>,
}

impl Draft {
    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

type Drafts = Vec<Result<Draft, String>>;

/// The profiles of a configuration, and what else stands in it. A profile that is none of Stele's is a sentence.
pub(super) fn config(path: &Path, text: &str) -> Result<(Drafts, Vec<String>), CliError> {
    let bad = |e: &dyn std::fmt::Display| CliError::content(path, format!("{e}; permitted: a configuration of cfssl"));
    let all: Map<String, Value> = serde_json::from_str(text).map_err(|e| bad(&e))?;
    let signing = all.get("signing").and_then(Value::as_object);
    let signing = signing.ok_or_else(|| bad(&"found no object `signing`"))?;
    let mut general: Vec<String> = all
        .keys()
        .filter(|key| *key != "signing")
        .map(|key| format!("`{key}`: callers prove who they are by mTLS, and Stele signs in its own token"))
        .collect();
    let mut drafts = Vec::new();
    for (key, value) in signing {
        match (key.as_str(), value.as_object()) {
            ("default", Some(profile)) => drafts.push(draft("default", profile, None)),
            ("profiles", Some(profiles)) => {
                let expiry = signing.get("default").and_then(|d| d.get("expiry"));
                let read = |(name, value): (&String, &Value)| match value.as_object() {
                    Some(profile) => draft(name, profile, expiry),
                    None => Err(format!("`signing.profiles.{name}` is no object")),
                };
                drafts.extend(profiles.iter().map(read));
            }
            _ => general.push(format!("`signing.{key}` is not known to this import")),
        }
    }
    Ok((drafts, general))
}

/// The name in lower case, anything but letters and digits as a hyphen.
fn profile_name(name: &str) -> String {
    let one = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let text: String = name.chars().map(one).take(63).collect();
    text.trim_matches('-').to_owned()
}

fn draft(name: &str, profile: &Map<String, Value>, default_expiry: Option<&Value>) -> Result<Draft, String> {
    let given = name;
    let mut d = Draft {
        name: profile_name(name),
        ..Draft::default()
    };
    if d.name != given {
        d.note(format!("the name: `{given}` there"));
    }
    let expiry = profile.get("expiry").or(default_expiry).and_then(Value::as_str);
    let expiry = expiry.ok_or_else(|| format!("profile `{given}` has no expiry"))?;
    d.expiry = duration(expiry).ok_or_else(|| format!("profile `{given}`: expiry `{expiry}` is no duration"))?;
    for (key, value) in profile {
        field(&mut d, key, value);
    }
    if d.usages.is_empty() {
        return Err(format!("profile `{given}` has no usage that Stele knows"));
    }
    Ok(d)
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().map_or_else(Vec::new, Clone::clone);
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn field(d: &mut Draft, key: &str, value: &Value) {
    match key {
        "expiry" => {}
        "usages" => usages(d, value),
        "backdate" => match value.as_str().and_then(duration) {
            Some(backdate) => d.backdate = Some(backdate),
            None => d.note(format!("`backdate` {value} is no duration")),
        },
        "crl_url" => d.crl_urls = urls(d, key, &[value.as_str().unwrap_or_default().to_owned()], false),
        "issuer_urls" => d.ca_issuers_urls = urls(d, key, &texts(value), false),
        "ocsp_url" => d.ocsp_urls = urls(d, key, &[value.as_str().unwrap_or_default().to_owned()], true),
        "policies" => policies(d, value),
        "is_ca" if *value == Value::Bool(true) => d.path_length = Some(0),
        "ca_constraint" => ca(d, value),
        "name_whitelist" => whitelist(d, value.as_str().unwrap_or_default()),
        "csr_whitelist" => {
            let parts = value.as_object().map_or_else(Map::new, Clone::clone);
            d.csr = Some(
                parts
                    .into_iter()
                    .filter(|(_, yes)| *yes == Value::Bool(true))
                    .map(|(part, _)| part)
                    .collect(),
            );
        }
        "auth_key" => d.note("`auth_key`: a caller proves who it is by mTLS"),
        "remote" | "auth_remote" => d.note(format!("`{key}`: Stele signs in its own token")),
        "not_before" | "not_after" => d.note(format!("`{key}`: dates follow from the time of the request")),
        "allowed_extensions" | "copy_extensions" => d.note(format!("`{key}`: no extension of a request is copied")),
        "ocsp_no_check" => d.note("`ocsp_no_check`: Stele writes no such extension"),
        "ct_log_servers" => d.note("`ct_log_servers`: every certificate is in Stele's own log"),
        "lint_error_level" | "ignored_lints" | "ignored_lint_sources" => {
            d.note(format!(
                "`{key}`: lints always count; waivers are `lint_waivers`, each with a reason"
            ));
        }
        _ if matches!(value, Value::Null | Value::Bool(false)) || value == "" => {}
        _ => d.note(format!("`{key}` has no equivalent")),
    }
}

fn usages(d: &mut Draft, value: &Value) {
    for word in texts(value) {
        let own = Usage::ALL.into_iter().find(|usage| usage.name() == word);
        let other = OTHER_WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, usage)| *usage);
        match own.or(other) {
            Some(usage) => {
                d.usages.insert(usage);
            }
            None => d.note(format!("usage `{word}` has no equivalent")),
        }
    }
}

fn urls(d: &mut Draft, key: &str, values: &[String], secure_too: bool) -> Vec<String> {
    let fits = |url: &String| url.starts_with("http://") || (secure_too && url.starts_with("https://"));
    for url in values.iter().filter(|url| !url.is_empty() && !fits(url)) {
        d.note(format!(
            "`{key}` {url}: only plain HTTP, since TLS would need what it fetches"
        ));
    }
    values.iter().filter(|url| fits(url)).cloned().collect()
}

/// Object identifiers, as texts or as cfssl's objects `{"ID": ..., "Qualifiers": ...}`.
fn policies(d: &mut Draft, value: &Value) {
    for policy in value.as_array().into_iter().flatten() {
        match policy.as_str().or_else(|| policy.get("ID").and_then(Value::as_str)) {
            Some(id) => d.policies.push(id.to_owned()),
            None => d.note(format!("policy {policy} has no equivalent")),
        }
        if policy.get("Qualifiers").is_some() {
            d.note("qualifiers of policies have no equivalent");
        }
    }
}

fn ca(d: &mut Draft, value: &Value) {
    if value.get("is_ca") != Some(&Value::Bool(true)) {
        return;
    }
    let length = value.get("max_path_len").and_then(Value::as_u64).unwrap_or(0);
    if length == 0 && value.get("max_path_len_zero") != Some(&Value::Bool(true)) {
        d.note("no limit to the path length there; 0 here");
    }
    d.path_length = Some(u8::try_from(length).unwrap_or(u8::MAX));
}

/// A regular expression that says no more than "this domain" or "everything below it"; others have no equivalent.
fn whitelist(d: &mut Draft, expression: &str) {
    let inner = expression
        .strip_prefix('^')
        .and_then(|rest| rest.strip_suffix('$'))
        .unwrap_or_default();
    let below = [r".*\.", r".+\.", r"[^.]+\."]
        .iter()
        .find_map(|start| inner.strip_prefix(start));
    let literal = below.unwrap_or(inner).replace(r"\.", ".");
    let plain = !literal.is_empty()
        && inner.matches('.').count() == inner.matches(r"\.").count() + usize::from(below.is_some())
        && literal
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    if plain {
        let star = match below {
            None => "",
            Some(_) if inner.starts_with("[^.]") => "*.",
            Some(_) => "**.",
        };
        d.names = Some(format!("{star}{literal}"));
    } else {
        d.note(format!(
            "`name_whitelist` {expression}: patterns go label by label; NO NAME is permitted until you write them"
        ));
        d.names = Some("invalid".to_owned());
    }
}

/// A duration of Go such as `8760h` or `1h30m0s`; at most 36500 days.
fn duration(text: &str) -> Option<Seconds> {
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit = match after.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = after.get(1..)?;
    }
    let most = 36_500 * 86_400;
    (total > 0).then_some(Seconds(total.min(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        for (text, secs) in [("8760h", 31_536_000), ("1h30m0s", 5400), ("87600000h", 36_500 * 86_400)] {
            assert_eq!(duration(text), Some(Seconds(secs)), "{text}");
        }
        for bad in ["", "1", "h", "1d", "-1h", "1.5h", "5ms", "0s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn plain_whitelists_become_patterns() {
        let pattern = |text: &str| {
            let mut d = Draft::default();
            whitelist(&mut d, text);
            (d.names.unwrap_or_default(), d.notes.len())
        };
        let ok = |text: &str| (text.to_owned(), 0);
        assert_eq!(pattern(r"^.*\.example\.org$"), ok("**.example.org"));
        assert_eq!(pattern(r"^[^.]+\.example\.org$"), ok("*.example.org"));
        assert_eq!(pattern(r"^api\.example\.org$"), ok("api.example.org"));
        for other in [r".*\.example\.org", r"^a.example$", r"^(a|b)\.example$", "^.*$", ""] {
            assert_eq!(pattern(other), ("invalid".to_owned(), 1), "{other}");
        }
    }
}
