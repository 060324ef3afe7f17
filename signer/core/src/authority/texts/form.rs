//! The line form that all texts share.

use std::fmt;
use std::str::FromStr;

use super::PlanStep;
use crate::error::Error;

/// The longest text, in bytes: a plan of a few hundred steps.
const MAX_TEXT: usize = 64 << 10;

/// A value that people write: one line, no control characters, no space at its ends.
pub(super) struct Free(pub(super) String);

impl FromStr for Free {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        if s.is_empty() || s.len() > 1024 || s.trim() != s || s.chars().any(char::is_control) {
            let shown: String = s.chars().take(80).collect();
            return Err(Error::malformed(
                "text",
                format!("`{}`", shown.escape_debug()),
                "1 to 1024 bytes on one line",
            ));
        }
        Ok(Self(s.to_owned()))
    }
}

/// Writes the type and the lines.
pub(super) fn write_text(f: &mut fmt::Formatter<'_>, kind: &str, lines: &[(&str, String)]) -> fmt::Result {
    writeln!(f, "{kind}")?;
    for (name, value) in lines {
        writeln!(f, "{name}: {value}")?;
    }
    Ok(())
}

/// Writes `step: NUMBER KEY DIGEST` lines.
pub(super) fn write_steps(f: &mut fmt::Formatter<'_>, steps: &[PlanStep]) -> fmt::Result {
    for (n, step) in steps.iter().enumerate() {
        writeln!(f, "step: {} {} {}", n + 1, step.key, step.tbs_sha256)?;
    }
    Ok(())
}

/// Reads the lines one after the other.
pub(super) struct Lines<'a> {
    kind: &'static str,
    rest: std::str::Split<'a, char>,
}

impl<'a> Lines<'a> {
    /// Checks length and first line.
    pub(super) fn begin(kind: &'static str, text: &'a str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT {
            return Err(Error::malformed(
                kind,
                format!("{} bytes", text.len()),
                format!("at most {MAX_TEXT}"),
            ));
        }
        let body = text
            .strip_suffix('\n')
            .ok_or_else(|| Error::malformed(kind, "no newline at the end", "one"))?;
        let mut rest = body.split('\n');
        let first = rest.next().unwrap_or_default();
        if first != kind {
            let shown: String = first.chars().take(80).collect();
            return Err(Error::malformed(
                "text type",
                format!("`{}`", shown.escape_debug()),
                kind,
            ));
        }
        Ok(Self { kind, rest })
    }

    fn raw(&mut self, name: &'static str) -> Result<&'a str, Error> {
        let line = self.rest.next().unwrap_or_default();
        line.strip_prefix(name)
            .and_then(|l| l.strip_prefix(": "))
            .ok_or_else(|| {
                let shown: String = line.chars().take(80).collect();
                Error::malformed(
                    self.kind,
                    format!("`{}`", shown.escape_debug()),
                    format!("the line `{name}: ...` here"),
                )
            })
    }

    fn read<T: FromStr>(&self, name: &str, text: &str) -> Result<T, Error> {
        let shown: String = text.chars().take(80).collect();
        text.parse().map_err(|_| {
            Error::malformed(
                format!("{}: {name}", self.kind),
                format!("`{}`", shown.escape_debug()),
                format!("a well-formed {name}"),
            )
        })
    }

    /// The value of the next line, which must have this name.
    pub(super) fn value<T: FromStr>(&mut self, name: &'static str) -> Result<T, Error> {
        let text = self.raw(name)?;
        self.read(name, text)
    }

    /// The same, where `none` stands for no value.
    pub(super) fn optional<T: FromStr>(&mut self, name: &'static str) -> Result<Option<T>, Error> {
        match self.raw(name)? {
            "none" => Ok(None),
            text => self.read(name, text).map(Some),
        }
    }

    /// All remaining lines, as steps.
    pub(super) fn steps(&mut self) -> Result<Vec<PlanStep>, Error> {
        let mut out = Vec::new();
        while self.rest.clone().next().is_some() {
            let line = self.raw("step")?;
            let mut words = line.split(' ').skip(1);
            let (key, digest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            out.push(PlanStep {
                key: self.read("step", key)?,
                tbs_sha256: self.read("step", digest)?,
            });
        }
        Ok(out)
    }

    /// Checks that nothing is left and that the text is the one that its content has.
    pub(super) fn end(mut self, text: &str, written: &str) -> Result<(), Error> {
        if self.rest.next().is_some() || text != written {
            return Err(Error::malformed(
                self.kind,
                "another form or more lines",
                "exactly the lines of this type, as Stele writes them",
            ));
        }
        Ok(())
    }
}
