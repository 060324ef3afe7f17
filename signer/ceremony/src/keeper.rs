//! The ceremony's own keeper: a child process that holds the root token and the log, and ends with the command.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stele_keeper_client::Client;

use crate::error::CeremonyError;
use crate::folder::{Folder, read_text};

/// How long a keeper may take to come up or to end: a network HSM's log-in takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an orphaned keeper may still take to listen before its absence is believed.
const ORPHAN_COMES_UP: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(20);
/// `sun_path` of unix(7) with its final NUL.
const MAX_SOCKET_PATH: usize = 107;

/// Where keeper, log and socket of a ceremony are.
#[derive(Debug)]
pub(crate) struct KeeperProgram {
    program: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

impl KeeperProgram {
    /// The keeper at `program`, or the one beside this executable.
    pub(crate) fn find(program: Option<&Path>, folder: &Folder) -> Result<Self, CeremonyError> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => std::env::current_exe()
                .map_err(CeremonyError::file(Path::new("stele-ceremony")))?
                .with_file_name("stele-keeper"),
        };
        if !program.is_file() {
            let found = format!(
                "{}: no stele-keeper there; give its place with --keeper PATH",
                program.display()
            );
            return Err(CeremonyError::Order(found));
        }
        let socket = folder.state("keeper.sock");
        if socket.as_os_str().len() > MAX_SOCKET_PATH {
            let found = format!(
                "{}: too long for a socket ({MAX_SOCKET_PATH} bytes); choose a shorter --dir",
                socket.display()
            );
            return Err(CeremonyError::Order(found));
        }
        Ok(Self {
            program,
            socket,
            log: folder.state("keeper.log"),
        })
    }

    /// The executable.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    fn spawn(&self, verb: &str, config: &Path) -> Result<Child, CeremonyError> {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)
            .map_err(CeremonyError::file(&self.log))?;
        let errors = log.try_clone().map_err(CeremonyError::file(&self.log))?;
        Command::new(&self.program)
            .arg(verb)
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(CeremonyError::file(&self.program))
    }

    /// Runs `stele-keeper init`.
    pub(crate) fn init(&self, config: &Path) -> Result<(), CeremonyError> {
        let status = self
            .spawn("init", config)?
            .wait()
            .map_err(CeremonyError::file(&self.program))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.ended("init", status))
        }
    }

    /// Starts the keeper and waits until it answers.
    pub(crate) fn start(&self, config: &Path) -> Result<RunningKeeper, CeremonyError> {
        self.end_orphan()?;
        let first = self.attempt(config);
        // An orphan that was not listening yet holds the log: once it listens, it can be ended.
        if first.is_err() && self.appears() {
            self.end_orphan()?;
            return self.attempt(config);
        }
        first
    }

    fn attempt(&self, config: &Path) -> Result<RunningKeeper, CeremonyError> {
        let child = self.spawn("run", config)?;
        let mut running = RunningKeeper {
            child,
            client: Client::new(&self.socket),
        };
        let begun = Instant::now();
        loop {
            // Asked first: on the socket an orphan may answer while this child fails on the log's lock.
            if let Some(status) = running.child.try_wait().map_err(CeremonyError::file(&self.program))? {
                return Err(self.ended("run", status));
            }
            if running.client.status().is_ok() {
                return Ok(running);
            }
            if begun.elapsed() > PATIENCE {
                let found = format!(
                    "stele-keeper did not answer within {} s; see {}",
                    PATIENCE.as_secs(),
                    self.log.display()
                );
                return Err(CeremonyError::Keeper(found));
            }
            sleep(POLL);
        }
    }

    /// Whether a keeper comes to listen on the socket shortly.
    fn appears(&self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < ORPHAN_COMES_UP {
            if UnixStream::connect(&self.socket).is_ok() {
                return true;
            }
            sleep(POLL);
        }
        false
    }

    /// A command that was killed leaves its keeper behind; nobody else listens on this socket.
    pub(crate) fn end_orphan(&self) -> Result<(), CeremonyError> {
        let Ok(stream) = UnixStream::connect(&self.socket) else {
            return Ok(());
        };
        let peer =
            rustix::net::sockopt::socket_peercred(&stream).map_err(|e| CeremonyError::file(&self.socket)(e.into()))?;
        drop(stream);
        eprintln!(
            "Ending the keeper (process {}) of an interrupted command.",
            peer.pid.as_raw_nonzero()
        );
        kill_process(peer.pid, Signal::TERM).map_err(|e| CeremonyError::file(&self.socket)(e.into()))?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if UnixStream::connect(&self.socket).is_err() && rustix::process::test_kill_process(peer.pid).is_err() {
                return Ok(());
            }
            sleep(POLL);
        }
        Err(CeremonyError::Keeper(format!(
            "the keeper of an interrupted command, process {}, does not end",
            peer.pid.as_raw_nonzero()
        )))
    }

    /// The end of a keeper, with its last words.
    fn ended(&self, verb: &str, status: ExitStatus) -> CeremonyError {
        let words = read_text(&self.log).unwrap_or_default();
        let last: Vec<_> = words.lines().rev().take(5).collect();
        let last: String = last.into_iter().rev().map(|line| format!("\n  {line}")).collect();
        CeremonyError::Keeper(format!(
            "stele-keeper {verb} ended with {status}; its last words in {}:{last}",
            self.log.display()
        ))
    }
}

/// A keeper that answers.
#[derive(Debug)]
pub(crate) struct RunningKeeper {
    child: Child,
    /// The way to ask it.
    pub(crate) client: Client,
}

impl RunningKeeper {
    /// Ends it in order.
    pub(crate) fn stop(mut self) -> Result<(), CeremonyError> {
        self.end()
            .map_err(|cause| CeremonyError::Keeper(format!("ending stele-keeper: {cause}")))
    }

    fn end(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_none()
            && let Some(pid) = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default())
        {
            kill_process(pid, Signal::TERM)?;
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(POLL);
        }
        self.child.kill()
    }
}

impl Drop for RunningKeeper {
    fn drop(&mut self) {
        if let Err(cause) = self.end() {
            eprintln!("stele-ceremony: ending stele-keeper: {cause}");
        }
    }
}
