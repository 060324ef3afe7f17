//! SoftHSM, prepared by the same script that people use.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Place;

pub(crate) fn prepare(dir: &Path) -> Result<Place, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../softhsm/token-env");
    let ran = Command::new(script).arg(dir).output().map_err(|e| e.to_string())?;
    if !ran.status.success() {
        return Err(String::from_utf8_lossy(&ran.stderr).into_owned());
    }
    let module = String::from_utf8(ran.stdout).map_err(|e| e.to_string())?;
    Ok(Place {
        module: PathBuf::from(module.trim_end()),
        environment: vec![("SOFTHSM2_CONF", dir.join("softhsm2.conf"))],
    })
}
