//! Random `kill -9` of signer, keeper and both under load, for as many rounds as one likes; then everything that any
//! client ever received is looked for.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stele_api::convert::{Issued, SignAnswer};
use stele_api::v1::SignRequest;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::crash::{Findings, Random, found, read, the_log_is_whole, vkey};
use crate::service::Service;
use crate::service_client::{leaf, runtime, sign};

/// Clients that ask at the same time.
const CALLERS: usize = 8;
/// After so many rounds the log is exported into one directory and verified, so that a log that lost its end is found.
const ROUNDS_BETWEEN_EXPORTS: u64 = 100;
/// How long a request may stay unanswered when nothing is killed any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that are sent a second time at the end, at once.
const REPEATED_AT_ONCE: usize = 16;

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Certificates that clients received.
    pub delivered: usize,
    /// Those of them that the log does not have where the client was told.
    pub unrecorded: usize,
    /// Those of them that the same request does not bring again.
    pub lost: usize,
    /// Intents whose fate is recorded as unknown.
    pub unknown: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "delivered={} unrecorded={} lost={} unknown={}",
            self.delivered, self.unrecorded, self.lost, self.unknown
        )
    }
}

impl Tally {
    /// Whether every promise was kept.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.unrecorded == 0 && self.lost == 0 && self.delivered > 0
    }
}

/// A request and what it brought.
struct Delivered {
    request: SignRequest,
    issued: Issued,
}

/// Kills for `rounds` rounds and counts. Progress goes to stderr.
///
/// # Panics
/// When the log does not verify, or a process does not come back.
pub fn run(rounds: u64, seed: u64) -> Tally {
    let mut service = Service::started();
    let mut random = Random::seeded(seed);
    let runtime = runtime();
    let ending = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let callers: Vec<JoinHandle<Vec<Delivered>>> = runtime.block_on(async {
        (0..CALLERS)
            .map(|number| tokio::spawn(ask_on(service.channel("caller"), number, ending.clone(), count.clone())))
            .collect()
    });
    let export = service.path("kills-ledger");
    for round in 1..=rounds {
        kill_once(&mut service, &mut random);
        if round % ROUNDS_BETWEEN_EXPORTS == 0 {
            verify(&service, &export);
        }
        if round % 10 == 0 || round == rounds {
            let delivered = count.load(Ordering::Relaxed);
            eprintln!("round {round} of {rounds}: {delivered} certificates delivered");
        }
    }
    ending.store(true, Ordering::Relaxed);
    let delivered = runtime.block_on(async {
        let mut all = Vec::new();
        for caller in callers {
            all.extend(caller.await.expect("a caller"));
        }
        all
    });
    verify(&service, &export);
    let tally = runtime.block_on(count_up(&service, delivered));
    service.stop();
    tally
}

/// Kills one or both at a random moment: mostly in full work, now and then in the middle of a start.
fn kill_once(service: &mut Service, random: &mut Random) {
    std::thread::sleep(Duration::from_millis(random.below(700)));
    let in_the_start = random.below(4) == 0;
    match random.below(3) {
        0 => {
            service.kill_keeper();
            if in_the_start {
                std::thread::sleep(Duration::from_millis(random.below(400)));
                service.kill_keeper();
            }
        }
        1 => {
            service.kill_signer();
            service.launch();
            if in_the_start {
                std::thread::sleep(Duration::from_millis(random.below(400)));
                service.kill_signer();
                service.launch();
            }
        }
        _ => {
            service.kill_both();
            service.launch();
            if in_the_start {
                std::thread::sleep(Duration::from_millis(random.below(400)));
                service.kill_both();
                service.launch();
            }
        }
    }
    service.wait_ready();
}

fn verify(service: &Service, export: &Path) {
    eprintln!("the log is exported, continuing the export before, and verified");
    service.verify_export(export);
}

/// Asks for one certificate after the other, each until it comes.
async fn ask_on(channel: Channel, number: usize, ending: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> Vec<Delivered> {
    let mut all = Vec::new();
    for n in 0.. {
        let request = leaf(&format!("kills:{number}:{n}"));
        let issued = persist(&channel, &request, &ending).await;
        count.fetch_add(1, Ordering::Relaxed);
        all.push(Delivered { request, issued });
        if ending.load(Ordering::Relaxed) {
            break;
        }
    }
    all
}

/// Asks until the certificate comes. Patience counts from the end of the killing.
async fn persist(channel: &Channel, request: &SignRequest, ending: &AtomicBool) -> Issued {
    let mut ended = None;
    loop {
        match sign(channel, request.clone()).await {
            Ok(SignAnswer::Issued(issued)) => return *issued,
            Ok(SignAnswer::Pending(_)) => panic!("{} waits for operators", request.request_id),
            Err(status) => {
                if ending.load(Ordering::Relaxed) {
                    let since = *ended.get_or_insert_with(Instant::now);
                    assert!(since.elapsed() < PATIENCE, "{}: {status:?}", request.request_id);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn count_up(service: &Service, delivered: Vec<Delivered>) -> Tally {
    let findings: Findings = read(service).await;
    let vkeys = [vkey(service)];
    let mut tally = Tally {
        delivered: delivered.len(),
        unknown: findings.unknown.len(),
        ..Tally::default()
    };
    let mut places = BTreeSet::new();
    for one in &delivered {
        let place = found(&findings, &one.issued, &vkeys);
        let twice = !places.insert(one.issued.position.index);
        if let Some(why) = place.err().or_else(|| twice.then(|| "two requests got it".to_owned())) {
            eprintln!(
                "unrecorded: {} at {}: {why}",
                one.request.request_id, one.issued.position.index
            );
            tally.unrecorded += 1;
        }
    }
    let channel = service.channel("caller");
    for some in delivered.chunks(REPEATED_AT_ONCE) {
        let again = some.iter().map(|one| comes_again(channel.clone(), one));
        let again: Vec<_> = again.map(tokio::spawn).collect();
        for task in again {
            tally.lost += usize::from(!task.await.expect("a repeated request"));
        }
    }
    the_log_is_whole(service, &findings);
    tally
}

/// Whether the same request brings the same certificate, chain, record and position (P8).
fn comes_again(channel: Channel, one: &Delivered) -> impl Future<Output = bool> + use<> {
    let (request, first) = (one.request.clone(), one.issued.clone());
    async move {
        let never = AtomicBool::new(true);
        let again = persist(&channel, &request, &never).await;
        let same = again.certificate == first.certificate
            && again.chain == first.chain
            && again.record == first.record
            && again.position == first.position;
        if !same {
            eprintln!("lost: {} brings another certificate", request.request_id);
        }
        same
    }
}
