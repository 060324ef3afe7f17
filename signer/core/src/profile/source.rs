//! A TOML file as its author sees it: every error says file, line and key, what was found and what is permitted.

use serde::de::DeserializeOwned;

use crate::error::Error;

/// A file of the authority directory: its name there and its exact text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// Reads the file as strict TOML.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        crate::strict_toml::parse(self.file, self.text)
    }

    /// An error at a key, written as a dotted path, with array tables counted from 0: `key[1].ceiling.kinds`.
    pub(crate) fn error(&self, path: &str, found: impl Into<String>, permitted: impl Into<String>) -> Error {
        Error::malformed(
            format!("{}:{}: {path}", self.file, self.line_of(path)),
            found,
            permitted,
        )
    }

    /// The line, from 1, of the longest part of `path` that has a line of its own; else the first.
    fn line_of(&self, path: &str) -> usize {
        let (mut table, mut tables_seen, mut best) = (String::new(), Vec::<String>::new(), (0, 1));
        for (number, line) in self.text.lines().enumerate() {
            let line = line.trim();
            let here = if let Some(name) = line.strip_prefix("[[").and_then(|l| l.split(']').next()) {
                let index = tables_seen.iter().filter(|seen| *seen == name).count();
                tables_seen.push(name.to_owned());
                table = format!("{name}[{index}]");
                table.clone()
            } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
                // `[key.ceiling]` belongs to the newest `[[key]]`.
                let (first, rest) = name.split_once('.').unwrap_or((name, ""));
                let count = tables_seen.iter().filter(|seen| *seen == first).count();
                table = match count.checked_sub(1) {
                    Some(index) => format!("{first}[{index}].{rest}"),
                    None => name.to_owned(),
                };
                table.clone()
            } else if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                let key = key.trim().trim_matches('"');
                if table.is_empty() {
                    key.to_owned()
                } else {
                    format!("{table}.{key}")
                }
            } else {
                continue;
            };
            let whole = path
                .strip_prefix(here.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
            if whole && here.len() > best.0 {
                best = (here.len(), number + 1);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"x\"\n[validity]\nmin = \"1h\"\n[[key]]\nname = \"a\"\n[[key]]\nname = \"b\"\n[key.ceiling]\nkinds = []\n";

    #[test]
    fn errors_name_the_line_of_the_key() {
        let source = Source {
            file: "f.toml",
            text: TEXT,
        };
        for (path, line) in [
            ("name", 1),
            ("validity.min", 3),
            ("validity.max", 2),
            ("key[0].name", 5),
            ("key[1].name", 7),
            ("key[1].ceiling.kinds", 9),
            ("absent", 1),
            ("names", 1),
        ] {
            assert_eq!(source.line_of(path), line, "{path}");
        }
        assert!(
            source
                .error("validity.min", "a", "b")
                .to_string()
                .starts_with("f.toml:3: validity.min: found a")
        );
    }
}
