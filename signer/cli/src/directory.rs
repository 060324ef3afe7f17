//! The authority directory: every `.toml` file below it, by its name there.

use std::collections::BTreeMap;
use std::path::Path;

use stele_core::authority::Bundle;
use stele_core::types::Digest;

use crate::error::CliError;
use crate::files;

/// Reads the files of an authority directory; names use `/`.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, String>, CliError> {
    let mut found = BTreeMap::new();
    collect(root, "", &mut found)?;
    if found.is_empty() {
        return Err(CliError::content(
            root,
            "found no file; permitted: authority.toml and profiles/*.toml",
        ));
    }
    Ok(found)
}

fn collect(directory: &Path, prefix: &str, found: &mut BTreeMap<String, String>) -> Result<(), CliError> {
    let failed = |e: &std::io::Error| CliError::file("read", directory, e);
    for entry in std::fs::read_dir(directory).map_err(|e| failed(&e))? {
        let entry = entry.map_err(|e| failed(&e))?;
        let path = entry.path();
        let own = entry.file_name();
        let own = own
            .to_str()
            .ok_or_else(|| CliError::content(&path, "found a file name that is not UTF-8"))?;
        // What editors and version control leave behind is no part of the authority.
        if own.starts_with('.') || own.ends_with('~') {
            continue;
        }
        let name = format!("{prefix}{own}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), found)?;
        } else {
            found.insert(name, files::read_text(&path)?);
        }
    }
    Ok(())
}

/// The bundle of a directory.
pub(crate) fn bundle(root: &Path, number: u64, predecessor: Option<Digest>) -> Result<Bundle, CliError> {
    let built = Bundle::build(number, predecessor, read(root)?);
    built
        .and_then(|bundle| bundle.lint_samples().map(|()| bundle))
        .map_err(|errors| CliError::faults(&format!("{} has {} faults", root.display(), errors.len()), &errors))
}
