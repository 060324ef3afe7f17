//! Running the real binary, and the tools that check it.
#![allow(unreachable_pub, dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A directory of its own for a test.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// An SSH key of its own, without a passphrase; the path of the private half.
    pub fn ssh_key(&self, name: &str) -> String {
        let path = self.at(name);
        let made = run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path],
        );
        assert!(made.status.success(), "{made:?}");
        path
    }

    /// A copy of the presets whose one operator, alice, has the SSH key `public`.
    pub fn authority(&self, name: &str, public: &str) -> PathBuf {
        let presets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../presets");
        let copy = self.0.path().join(name);
        std::fs::create_dir_all(copy.join("profiles")).unwrap();
        for entry in std::fs::read_dir(presets.join("profiles")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.join("profiles").join(entry.file_name())).unwrap();
        }
        let text = std::fs::read_to_string(presets.join("authority.toml")).unwrap();
        let key = std::fs::read_to_string(public).unwrap();
        let line = |l: &str| {
            if l.starts_with("keys = [\"ssh-") {
                format!("keys = [\"{}\"]", key.trim())
            } else {
                l.to_owned()
            }
        };
        let text: Vec<String> = text.lines().map(line).collect();
        std::fs::write(copy.join("authority.toml"), text.join("\n") + "\n").unwrap();
        copy
    }
}

pub fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap()
}

/// Runs `stele` with a home of nobody's, so that no configuration of the machine counts.
pub fn stele(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stele"));
    command.env("HOME", "/nonexistent").args(args).output().unwrap()
}

/// Runs `stele`, requires success, and answers with what it said.
#[track_caller]
pub fn stele_ok(args: &[&str]) -> String {
    let output = stele(args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `stele`, requires this exit code, and answers with its error.
#[track_caller]
pub fn stele_fails(code: i32, args: &[&str]) -> String {
    let output = stele(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}
