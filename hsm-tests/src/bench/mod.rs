//! Measurements: what the token gives, what the service could give at most (the floor), and what it gives.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use stele_core::types::KeyAlgorithm;

mod clients;
mod floor;
mod ledger;
mod load;
mod policy;
mod process;
mod service;
mod signatures;

pub use policy::policy;

use clients::Credentials;
pub use ledger::ledger;
use load::Measured;
use service::Service;
use signatures::BenchToken;

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(3);
/// Callers at once.
const CALLERS: [usize; 3] = [1, 16, 64];
/// The issuers: their keys' algorithm, and the profile that issues under them.
const ISSUERS: [(KeyAlgorithm, &str); 2] = [
    (KeyAlgorithm::EcP256, "workload"),
    (KeyAlgorithm::EcP384, "workload-p384"),
];

/// Prints signatures and certificates per second, latency, start-up time, and memory while so many more certificates
/// are issued.
///
/// # Errors
/// When something of what is measured fails: a figure of failures would mean nothing.
pub fn issue(module: &Path, certificates: u64) -> Fallible<()> {
    let token = BenchToken::new(module)?;
    println!("raw signatures per second, in the token alone");
    for (algorithm, _) in ISSUERS {
        let one = token.per_second(algorithm, 1, SPAN)?;
        let two = token.per_second(algorithm, 2, SPAN)?;
        println!("  {algorithm}: {one:.0} from 1 thread, {two:.0} from 2");
    }
    let mut service = Service::set_up()?;
    let (records, before) = (service.records()?, service.memory()?);
    let credentials = service.credentials()?;
    println!("certificates per second over mTLS; latency in milliseconds as p50/p99; processor time in microseconds");
    println!("for each certificate, the callers' included");
    println!("  issuer     callers     floor     latency  time    signer     latency  time   ratio");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare(token, &service, &credentials))?;
    println!("resident memory of signer and keeper");
    println!("  {records:>9} records: {before}");
    runtime.block_on(grow(&service, &credentials, certificates))?;
    let (small, grown, large) = (service.first_start, service.records()?, service.restart()?);
    println!("start-up of keeper and signer: {small} with few records, {large} with {grown}");
    Ok(())
}

/// Floor and signer in turn for each number of callers, so that both meet the same noise.
async fn compare(token: BenchToken, service: &Service, credentials: &Credentials) -> Fallible<()> {
    let floor = floor::serve(token, service).await?;
    let processes = service.pids()?;
    for (algorithm, profile) in ISSUERS {
        for callers in CALLERS {
            let least = load::measure(credentials, floor, &[], profile, callers, SPAN).await?;
            let whole = load::measure(credentials, service.address, &processes, profile, callers, SPAN).await?;
            let ratio = 100.0 * whole.per_second / least.per_second;
            let (least, whole) = (shown(&least), shown(&whole));
            println!("  {algorithm:<10} {callers:>7} {least} {whole} {ratio:>5.0} %");
        }
    }
    Ok(())
}

/// Issues certificates and prints the memory at every quarter of them.
async fn grow(service: &Service, credentials: &Credentials, certificates: u64) -> Fallible<()> {
    const QUARTERS: u64 = 4;
    let (_, profile) = ISSUERS[0];
    let show = || -> Fallible<()> {
        println!("  {:>9} records: {}", service.records()?, service.memory()?);
        Ok(())
    };
    show()?;
    for _ in 0..QUARTERS {
        let (callers, count) = (CALLERS[CALLERS.len() - 1], certificates / QUARTERS);
        load::issue(credentials, service.address, profile, callers, count).await?;
        show()?;
    }
    Ok(())
}

fn shown(measured: &Measured) -> String {
    let millis = |d: Duration| d.as_secs_f64() * 1000.0;
    let latency = format!("{:.1}/{:.1}", millis(measured.p50), millis(measured.p99));
    let (per_second, processor) = (measured.per_second, measured.processor.as_micros());
    format!("{per_second:>9.0} {latency:>11} {processor:>5}")
}
