//! Scratch directories with a SoftHSM configuration of their own, and the binaries under test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory that is gone when the test is.
pub struct Scratch {
    dir: tempfile::TempDir,
    /// The PKCS#11 module.
    pub module: PathBuf,
}

impl Scratch {
    /// A directory with `softhsm2.conf`, made by the same script that users run.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let out = Command::new(repository().join("softhsm/token-env"))
            .arg(dir.path())
            .output()
            .expect("softhsm/token-env runs");
        assert!(
            out.status.success(),
            "softhsm/token-env: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let module = PathBuf::from(String::from_utf8(out.stdout).expect("a path").trim());
        Self { dir, module }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file in the scratch directory");
        path
    }

    /// Writes a file of mode 0600.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("mode 0600");
        path
    }

    /// A command on a binary of this workspace, with this directory's tokens.
    pub fn command(&self, binary: &str) -> Command {
        let mut command = Command::new(binary_path(binary));
        command.env("SOFTHSM2_CONF", self.path("softhsm2.conf"));
        command
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("hsm-tests lies in the repository")
}

/// A binary of this workspace, built before the tests by `hsm-tests/run`.
pub fn binary_path(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("the test's own path");
    let target = exe
        .ancestors()
        .find(|a| a.file_name().is_some_and(|n| n == "release" || n == "debug"));
    let path = target.expect("tests lie in target/release/deps").join(name);
    assert!(
        path.exists(),
        "{} is not built; run hsm-tests/run, or `cargo build --release --workspace` first",
        path.display()
    );
    path
}
