//! What the system says of a process (proc(5)).

use std::fmt;
use std::time::Duration;

use super::Fallible;

/// Resident memory of signer and keeper.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub(super) signer: Kib,
    pub(super) keeper: Kib,
}

/// Kibibytes.
#[derive(Clone, Copy)]
pub(super) struct Kib(u64);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let (signer, keeper) = (mib(self.signer.0), mib(self.keeper.0));
        write!(f, "{:.0} MiB ({signer:.0} + {keeper:.0})", signer + keeper)
    }
}

/// VmRSS of a process.
pub(super) fn resident(pid: u32) -> Fallible<Kib> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.ok_or("no VmRSS in the process's status")?.trim();
    Ok(Kib(kib.trim_end_matches(" kB").parse()?))
}

/// Processor time that processes have used together so far, in user and kernel mode.
pub(super) fn processor_time(pids: &[u32]) -> Fallible<Duration> {
    /// USER_HZ, which is 100 on every architecture that Linux has left.
    const TICK: Duration = Duration::from_millis(10);
    let mut ticks: u32 = 0;
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The command's name may hold anything, so fields are counted from behind it: utime and stime are 14 and 15.
        let (_, fields) = stat.rsplit_once(')').ok_or("no command in the process's stat")?;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u32>()?;
        }
    }
    Ok(TICK * ticks)
}
