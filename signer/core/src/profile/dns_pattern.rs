//! Patterns for DNS names, label by label.

use std::fmt;
use std::str::FromStr;

use super::context::{Context, ContextField};
use super::template::{Template, Unfilled};
use crate::error::Error;

/// A pattern for DNS names: `*` is exactly one label (or a part of one, as in `node-*`), a leading `**` one or more,
/// and fields such as `{namespace}` are filled from the vouched context. Letter case is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsPattern(Template);

impl FromStr for DnsPattern {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |why: &str| Error::malformed("dns pattern", format!("`{}`", text.escape_debug()), why);
        let template: Template = text.parse()?;
        let in_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*{}_".contains(&b);
        if !text
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(in_label))
        {
            return Err(refused(
                "lower-case labels of a-z 0-9 - * and {fields}, joined by single dots",
            ));
        }
        if text
            .split('.')
            .enumerate()
            .any(|(n, label)| label.contains("**") && (n > 0 || label != "**"))
        {
            return Err(refused("** only as the whole first label"));
        }
        Ok(Self(template))
    }
}

impl fmt::Display for DnsPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl DnsPattern {
    /// The context fields that it needs.
    pub fn fields(&self) -> impl Iterator<Item = ContextField> {
        self.0.fields()
    }

    /// Whether a request may have `name`, in lower case. A wildcard name fits only where the pattern covers every name
    /// that the wildcard stands for: where its first label is `*` or `**`.
    #[must_use]
    pub fn matches(&self, name: &str, context: &Context) -> bool {
        let Ok(pattern) = self.filled(context) else {
            return false;
        };
        let labels: Vec<&str> = name.split('.').collect();
        let wanted: Vec<&str> = pattern.split('.').collect();
        match wanted.as_slice() {
            ["**", rest @ ..] if labels.len() > rest.len() => {
                let (_, tail) = labels.split_at(labels.len() - rest.len());
                labels_match(tail, rest)
            }
            ["**", ..] => false,
            all => labels_match(&labels, all),
        }
    }

    /// A name that fits, with `word` for each star.
    pub(super) fn sample(&self, context: &Context, word: &str) -> Option<String> {
        self.0.sample(context, word)
    }

    fn filled(&self, context: &Context) -> Result<String, Unfilled> {
        self.0.fill(context).map(|text| text.to_ascii_lowercase())
    }
}

fn labels_match(labels: &[&str], pattern: &[&str]) -> bool {
    labels.len() == pattern.len()
        && labels
            .iter()
            .zip(pattern)
            .all(|(label, wanted)| label_matches(label, wanted))
}

/// One label against one pattern label, in which each `*` is one or more characters.
fn label_matches(label: &str, pattern: &str) -> bool {
    if pattern == "*" || label == pattern {
        return !label.is_empty();
    }
    // The asterisk of a wildcard name must not pass for a character: `*` covers `a-x`, `a-*` does not.
    !label.contains('*')
        && pattern
            .parse::<Template>()
            .is_ok_and(|t| t.matches(label, &Context::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        let context = Context {
            namespace: Some("prod".to_owned()),
            node: Some("ip-10.ec2.internal".to_owned()),
            ..Context::default()
        };
        pattern.parse::<DnsPattern>().unwrap().matches(name, &context)
    }

    #[test]
    fn patterns_match_label_by_label() {
        assert!(fits("*.svc.cluster.local", "web.svc.cluster.local"));
        assert!(!fits("*.svc.cluster.local", "a.web.svc.cluster.local"));
        assert!(!fits("*.svc.cluster.local", "svc.cluster.local"));
        assert!(fits("**.cluster.local", "a.b.cluster.local"));
        assert!(!fits("**.cluster.local", "cluster.local"));
        assert!(!fits("**.cluster.local", "xcluster.local"));
        assert!(fits("node-*", "node-7") && !fits("node-*", "node-7.x") && !fits("node-*", "node-"));
        assert!(fits("*.{namespace}.svc", "web.prod.svc") && !fits("*.{namespace}.svc", "web.dev.svc"));
        assert!(fits("{node}", "ip-10.ec2.internal"));
        assert!(!fits("{pod}", ""));
    }

    #[test]
    fn a_wildcard_name_needs_a_pattern_that_covers_all_of_it() {
        assert!(fits("*.svc", "*.svc"));
        assert!(fits("**.svc", "*.a.svc"));
        assert!(!fits("web-*.svc", "*.svc"));
        assert!(!fits("web.svc", "*.svc"));
        assert!(!fits("node-*", "node-*x"));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for bad in ["", ".", "a..b", "A.b", "a.**", "x**.a", "a b", "é"] {
            assert!(bad.parse::<DnsPattern>().is_err(), "{bad}");
        }
    }
}
