//! The authority's directory is written before the keys exist: `spki_sha256 = "@issuing-ca"` stands for a digest.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::types::{Digest, KeyName};

/// The only file of an authority that names keys by their digests.
const AUTHORITY: &str = "authority.toml";
const FIELD: &str = "spki_sha256";

/// Puts each key's digest where the authority names it by `"@key-name"`; digests that are written out stay.
///
/// # Errors
/// When a name is of no key of this ceremony.
pub fn fill(files: &mut BTreeMap<String, String>, keys: &BTreeMap<KeyName, Digest>) -> Result<(), Error> {
    let Some(text) = files.get_mut(AUTHORITY) else {
        return Ok(());
    };
    let lines = (1_u32..)
        .zip(text.split_inclusive('\n'))
        .map(|(number, line)| filled(number, line, keys));
    *text = lines.collect::<Result<String, Error>>()?;
    Ok(())
}

fn filled(number: u32, line: &str, keys: &BTreeMap<KeyName, Digest>) -> Result<String, Error> {
    let placeholder = line
        .trim_start()
        .strip_prefix(FIELD)
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .and_then(|rest| rest.trim_start().strip_prefix("\"@"))
        .and_then(|rest| rest.split_once('"'));
    let Some((name, _)) = placeholder else {
        return Ok(line.to_owned());
    };
    let digest = name
        .parse::<KeyName>()
        .ok()
        .and_then(|name| keys.get(&name))
        .ok_or_else(|| {
            let known: Vec<_> = keys.keys().map(|key| format!("@{key}")).collect();
            Error::malformed(
                format!("{AUTHORITY}, line {number}, {FIELD}"),
                format!("`@{}`", name.escape_debug()),
                format!("a digest, or one of {}", known.join(", ")),
            )
        })?;
    Ok(line.replacen(&format!("\"@{name}\""), &format!("\"{digest}\""), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_text(text: &str) -> Result<String, Error> {
        let keys = BTreeMap::from([("issuing-ca".parse().unwrap(), Digest([0xab; 32]))]);
        let mut files = BTreeMap::from([(AUTHORITY.to_owned(), text.to_owned())]);
        fill(&mut files, &keys)?;
        Ok(files.remove(AUTHORITY).unwrap())
    }

    #[test]
    fn placeholders_become_digests_and_nothing_else_changes() {
        let text =
            "# spki_sha256 = \"@issuing-ca\"\n[[key]]\n  spki_sha256=  \"@issuing-ca\" # x\nname = \"@issuing-ca\"";
        let digest = "ab".repeat(32);
        let expected = format!(
            "# spki_sha256 = \"@issuing-ca\"\n[[key]]\n  spki_sha256=  \"{digest}\" # x\nname = \"@issuing-ca\""
        );
        assert_eq!(fill_text(text).unwrap(), expected);
        assert_eq!(fill_text(&expected).unwrap(), expected);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = fill_text("\nspki_sha256 = \"@isuing-ca\"\n").unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("`@isuing-ca`") && error.contains("@issuing-ca"),
            "{error}"
        );
    }
}
