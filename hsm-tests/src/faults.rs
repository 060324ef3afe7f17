//! Faults of the disk in real processes, by the library in `hsm-tests/faults/shim.c`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::scratch::repository;
use crate::service::succeed;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It does nothing and fails, and so do all after it, until the fault is mended.
    Fail,
    /// It does its work, and says once that it failed.
    Persist,
    /// The process ends before the call does anything.
    Kill,
}

/// Which calls are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `write` and `pwrite`.
    Write,
    /// `fsync` and `fdatasync`.
    Sync,
}

/// What the disk says, by its number in Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// EIO.
    InputOutput = 5,
    /// ENOSPC.
    Full = 28,
    /// EROFS.
    ReadOnly = 30,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What happens.
    pub mode: Mode,
    /// To which calls.
    pub operation: Operation,
    /// To which of them, from 1.
    pub nth: u32,
    /// What the disk says.
    pub error: DiskError,
    /// What the file's path contains; `$` at the end stands for the path's end.
    pub part: &'static str,
}

/// The switch of the faults of some processes.
pub struct Faults {
    control: PathBuf,
    shim: &'static Path,
}

impl Faults {
    /// A switch in the directory; no fault yet.
    pub fn new(dir: &Path) -> Self {
        Self {
            control: dir.join("faults"),
            shim: shim(),
        }
    }

    /// The environment of a process that obeys the switch, and of its children.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", self.shim), ("FAULT_CONTROL", &self.control)]
    }

    /// From now on this happens.
    pub fn set(&self, fault: Fault) {
        let Fault {
            mode,
            operation,
            nth,
            error,
            part,
        } = fault;
        let (mode, operation) = (
            format!("{mode:?}").to_lowercase(),
            format!("{operation:?}").to_lowercase(),
        );
        let line = format!("{mode} {operation} {nth} {} {part}\n", error as i32);
        // At once, so that nobody reads half a line.
        let fresh = self.control.with_extension("new");
        std::fs::write(&fresh, line).expect("a file");
        std::fs::rename(&fresh, &self.control).expect("a file");
    }

    /// The disk is well again.
    pub fn mend(&self) {
        let _ = std::fs::remove_file(&self.control);
    }
}

/// The library, compiled once for the processes of this one.
fn shim() -> &'static Path {
    static SHIM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SHIM.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("shim.so");
        let source = repository().join("hsm-tests/faults/shim.c");
        succeed(
            Command::new("cc")
                .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
                .arg(&path)
                .arg(source)
                .arg("-ldl"),
        );
        (dir, path)
    });
    path
}
