//! Templates: the one small pattern language of profiles.
//!
//! `*` stands for one or more characters other than `/`, `**` for one or more of any, and `{namespace}` for that field
//! of the vouched context. Everything else is itself, case included.

use std::fmt;
use std::str::FromStr;

use super::context::{Context, ContextField};
use crate::error::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Star,
    DoubleStar,
    Field(ContextField),
}

/// A pattern that values are compared with, and that renders to a value where it has no stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// Why a template has no value for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfilled {
    /// The context lacks the field.
    Absent(ContextField),
    /// The field has characters that could change the structure of a name, such as `/` or `*`.
    Unsafe(ContextField),
}

impl fmt::Display for Unfilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(field) => write!(f, "no vouched `{}`", field.name()),
            Self::Unsafe(field) => write!(
                f,
                "a vouched `{}` with other characters than a-z A-Z 0-9 . _ : @ -",
                field.name()
            ),
        }
    }
}

impl FromStr for Template {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |why: &str| Error::malformed("template", format!("`{}`", text.escape_debug()), why);
        let (mut pieces, mut rest) = (Vec::new(), text);
        if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
            return Err(refused("1 to 1024 bytes without control characters"));
        }
        while let Some(at) = rest.find(['*', '{', '}']) {
            let (literal, special) = rest.split_at(at);
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            rest = if let Some(after) = special.strip_prefix("**") {
                pieces.push(Piece::DoubleStar);
                after
            } else if let Some(after) = special.strip_prefix('*') {
                pieces.push(Piece::Star);
                after
            } else {
                let (name, after) = special
                    .strip_prefix('{')
                    .and_then(|s| s.split_once('}'))
                    .ok_or_else(|| refused("every { closed by a }"))?;
                let field = ContextField::for_template(name)
                    .ok_or_else(|| refused("a single-valued context field between { and }, e.g. {namespace}"))?;
                pieces.push(Piece::Field(field));
                after
            };
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            pieces,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Template {
    /// The context fields that it needs.
    pub fn fields(&self) -> impl Iterator<Item = ContextField> {
        self.pieces.iter().filter_map(|p| match p {
            Piece::Field(field) => Some(*field),
            _ => None,
        })
    }

    /// Whether it has no stars, so that a context gives it exactly one value.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.pieces
            .iter()
            .all(|p| matches!(p, Piece::Literal(_) | Piece::Field(_)))
    }

    /// The text with every field filled in; stars stay stars.
    pub(crate) fn fill(&self, context: &Context) -> Result<String, Unfilled> {
        let mut out = String::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Star => out.push('*'),
                Piece::DoubleStar => out.push_str("**"),
                Piece::Field(field) => out.push_str(safe_value(context, *field)?),
            }
        }
        Ok(out)
    }

    /// A value that fits, with `word` for each star; `None` where the context lacks a field.
    pub(super) fn sample(&self, context: &Context, word: &str) -> Option<String> {
        let filled = self.fill(context).ok()?;
        Some(filled.replace("**", word).replace('*', word))
    }

    /// Whether `value` fits, with the fields filled from `context`. A field that has no value fits nothing.
    #[must_use]
    pub fn matches(&self, value: &str, context: &Context) -> bool {
        if value.chars().any(char::is_control) {
            return false;
        }
        // The places in `value` up to which the pieces so far can reach: no backtracking, so no exponential time.
        let mut reached = vec![false; value.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        for piece in &self.pieces {
            reached = match piece {
                Piece::Literal(text) => after_literal(&reached, value, text),
                Piece::Field(field) => match safe_value(context, *field) {
                    Ok(text) => after_literal(&reached, value, text),
                    Err(_) => return false,
                },
                Piece::Star => after_star(&reached, value, |c| c != b'/'),
                Piece::DoubleStar => after_star(&reached, value, |_| true),
            };
        }
        reached.last().copied().unwrap_or(false)
    }
}

fn after_literal(reached: &[bool], value: &str, literal: &str) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    for (at, _) in reached.iter().enumerate().filter(|(_, yes)| **yes) {
        let fits = value
            .as_bytes()
            .get(at..)
            .is_some_and(|rest| rest.starts_with(literal.as_bytes()));
        if let Some(end) = next.get_mut(at + literal.len()).filter(|_| fits) {
            *end = true;
        }
    }
    next
}

fn after_star(reached: &[bool], value: &str, may_be: impl Fn(u8) -> bool) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    let mut running = false;
    for ((start, end), byte) in reached.iter().zip(next.iter_mut().skip(1)).zip(value.bytes()) {
        running = (running || *start) && may_be(byte);
        *end = running;
    }
    next
}

/// A field's value, if it cannot change the structure of the name that it goes into.
fn safe_value(context: &Context, field: ContextField) -> Result<&str, Unfilled> {
    let value = context
        .get(field)
        .filter(|v| !v.is_empty())
        .ok_or(Unfilled::Absent(field))?;
    let safe = value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._:@-".contains(&b));
    safe.then_some(value).ok_or(Unfilled::Unsafe(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            namespace: Some("prod".to_owned()),
            service_account: Some("web".to_owned()),
            node: Some("a/b".to_owned()),
            ..Context::default()
        }
    }

    fn fits(template: &str, value: &str) -> bool {
        template.parse::<Template>().unwrap().matches(value, &context())
    }

    #[test]
    fn stars_and_fields_match_what_they_say() {
        let spiffe = "spiffe://cluster.local/ns/{namespace}/sa/{service_account}";
        assert!(fits(spiffe, "spiffe://cluster.local/ns/prod/sa/web"));
        assert!(!fits(spiffe, "spiffe://cluster.local/ns/prod/sa/web2"));
        assert!(!fits(spiffe, "spiffe://cluster.local/ns/dev/sa/web"));
        assert!(fits("spiffe://td/*/x", "spiffe://td/a/x"));
        assert!(!fits("spiffe://td/*/x", "spiffe://td/a/b/x"));
        assert!(!fits("spiffe://td/*/x", "spiffe://td//x"));
        assert!(fits("spiffe://td/**", "spiffe://td/a/b/x"));
        assert!(fits("a*b*c", "axbxbyc"));
        assert!(!fits("a*", "a"));
        assert!(!fits("*", "a\nb"));
    }

    #[test]
    fn absent_and_unsafe_fields_fit_nothing() {
        assert!(!fits("{pod}", ""));
        assert!(!fits("{node}", "a/b"));
        let template: Template = "x-{node}".parse().unwrap();
        assert_eq!(template.fill(&context()), Err(Unfilled::Unsafe(ContextField::Node)));
        let template: Template = "x-{pod}".parse().unwrap();
        assert_eq!(template.fill(&context()), Err(Unfilled::Absent(ContextField::Pod)));
    }

    #[test]
    fn malformed_templates_are_refused() {
        for bad in ["", "{", "}", "{nope}", "{groups}", "a{b", "a\nb", &"a".repeat(1025)] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(fits(&"*a".repeat(200), &"a".repeat(2000)));
        assert!(!fits(&"*a".repeat(100), &"b".repeat(2000)));
    }
}
