//! TOML into a type, with errors that name file, line, key, what was found and what is permitted.

use serde::de::DeserializeOwned;

use crate::error::Error;

/// Parses `text`, which came from `file`.
///
/// # Errors
/// When it is not TOML, or a key is unknown, missing, repeated or of another form.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |s| s.start).min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let source = text.lines().nth(line - 1).unwrap_or_default().trim();
        Error::malformed(
            format!("{file}, line {line}"),
            if source.is_empty() {
                "nothing".to_owned()
            } else {
                format!("`{source}`")
            },
            e.message().to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[allow(dead_code)]
        port: u16,
    }

    #[test]
    fn errors_name_file_line_and_what_is_permitted() {
        let error = parse::<Example>("a.toml", "port = 1\nprot = 2\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a.toml, line 2") && error.contains("prot") && error.contains("`port`"),
            "{error}"
        );
        let error = parse::<Example>("a.toml", "port = \"x\"\n").unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("u16"), "{error}");
        assert!(parse::<Example>("a.toml", "").unwrap_err().to_string().contains("port"));
    }
}
