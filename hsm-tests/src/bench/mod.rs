//! Measurements: what the token gives, what the service could give at most (the floor), and what it gives.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use stele_core::types::KeyAlgorithm;

mod clients;
mod floor;
mod ledger;
mod load;
mod service;
mod signatures;

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

/// Prints signatures and certificates per second, latency, memory and start-up time.
///
/// # Errors
/// When something of what is measured fails: a figure of failures would mean nothing.
pub fn issue(module: &Path) -> Fallible<()> {
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
    println!("certificates per second over mTLS; latency in milliseconds as p50/p99");
    println!("  issuer     callers     floor  latency     signer  latency   ratio");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare(token, &service, &credentials))?;
    let (grown, after) = (service.records()?, service.memory()?);
    println!("resident memory of signer and keeper: {before} with {records} records, {after} with {grown}");
    let (small, large) = (service.first_start, service.restart()?);
    println!("start-up of keeper and signer: {small} with few records, {large} with {grown}");
    Ok(())
}

/// Floor and signer in turn for each number of callers, so that both meet the same noise.
async fn compare(token: BenchToken, service: &Service, credentials: &Credentials) -> Fallible<()> {
    let floor = floor::serve(token, service).await?;
    for (algorithm, profile) in ISSUERS {
        for callers in CALLERS {
            let least = load::measure(credentials, floor, profile, callers, SPAN).await?;
            let whole = load::measure(credentials, service.address, profile, callers, SPAN).await?;
            let ratio = 100.0 * whole.per_second / least.per_second;
            let (least, whole) = (shown(&least), shown(&whole));
            println!("  {algorithm:<10} {callers:>7} {least} {whole} {ratio:>6.0} %");
        }
    }
    Ok(())
}

fn shown(measured: &Measured) -> String {
    let millis = |d: Duration| d.as_secs_f64() * 1000.0;
    let latency = format!("{:.1}/{:.1}", millis(measured.p50), millis(measured.p99));
    format!("{:>9.0} {latency:>11}", measured.per_second)
}
