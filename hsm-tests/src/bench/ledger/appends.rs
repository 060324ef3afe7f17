//! Appends to a real keeper through its socket.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stele_core::keeping::Keeper as _;
use stele_core::record::{Body, Process};
use stele_keeper_client::Client;

use super::Fallible;
use crate::keeper::KeeperFiles;
use crate::scratch::Scratch;

const SPAN: Duration = Duration::from_secs(3);
const WRITERS: [usize; 2] = [1, 64];

pub(super) fn measure() -> Fallible<()> {
    let scratch = Scratch::new();
    let files = KeeperFiles::init(&scratch, "signer", "bench.example/1", &[]);
    let keeper = files.start(&scratch);
    println!("appends per second, durable when answered; with a checkpoint that covers each");
    for writers in WRITERS {
        let alone = per_second(keeper.socket(), writers, false)?;
        let covered = per_second(keeper.socket(), writers, true)?;
        println!("  {writers:>3} writers: {alone:>7.0}  with checkpoints {covered:>7.0}");
    }
    Ok(())
}

fn per_second(socket: &Path, writers: usize, checkpoints: bool) -> Fallible<f64> {
    let (ending, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        let work = || -> Fallible<()> {
            let client = Client::new(socket);
            while !ending.load(Ordering::Relaxed) {
                client.append(&record())?;
                if checkpoints {
                    client.checkpoint()?;
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..writers).map(|_| scope.spawn(work)).collect();
        std::thread::sleep(SPAN);
        ending.store(true, Ordering::Relaxed);
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread ended early".into())))
    })?;
    Ok(done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

/// The smallest record that a signer writes by itself.
fn record() -> Body {
    Body::Started(Process {
        process: "signer".to_owned(),
        instance: "0".repeat(16),
        version: "0".to_owned(),
        detail: String::new(),
    })
}
