//! Small readings of answers that every command shares.

use stele_api::v1;
use stele_core::authority::Bundle;
use stele_core::types::{CallerName, CallerSan, Position, Time};
use tonic::transport::Channel;

use crate::connect::MAX_MESSAGE;
use crate::error::CliError;

/// Something that the contract says is there.
pub(crate) fn present<T>(field: &str, value: Option<T>) -> Result<T, CliError> {
    value.ok_or_else(|| CliError::answer(format!("no `{field}`")))
}

/// A position in an answer.
pub(crate) fn position(field: &str, wire: Option<v1::Position>) -> Result<Position, CliError> {
    Position::try_from(present(field, wire)?).map_err(CliError::answer)
}

/// A time in an answer. It reads the two fields of a `google.protobuf.Timestamp`.
macro_rules! time {
    ($timestamp:expr) => {
        $timestamp.as_ref().map(|t| $crate::wire::millis(t.seconds, t.nanos))
    };
}
pub(crate) use time;

/// Seconds and nanoseconds since the epoch; what lies before it counts as the epoch.
pub(crate) fn millis(seconds: i64, nanos: i32) -> Time {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let millis = u64::try_from(nanos / 1_000_000).unwrap_or(0);
    Time::from_millis(seconds.saturating_mul(1000).saturating_add(millis))
}

/// A caller's identity, which queries take: as it is given, or by its name in the authority bundle.
pub(crate) async fn identity(caller: Option<&str>, channel: &Channel) -> Result<Option<String>, CliError> {
    let Some(caller) = caller.filter(|c| c.parse::<CallerSan>().is_err()) else {
        return Ok(caller.map(str::to_owned));
    };
    let name: CallerName = caller
        .parse()
        .map_err(|e: stele_core::Error| CliError::Usage(e.to_string()))?;
    let (bundle, _) = bundle(channel, None).await?;
    let listed = bundle.authority().callers().get(&name).map(|c| c.san.to_string());
    let unlisted = || CliError::Refused(format!("the authority bundle lists no caller {name}"));
    listed.ok_or_else(unlisted).map(Some)
}

/// The authority bundle in force, or an older one, checked as a document; its signatures are the ledger's to check.
pub(crate) async fn bundle(
    channel: &Channel,
    number: Option<u64>,
) -> Result<(Bundle, v1::GetBundleResponse), CliError> {
    let mut client = v1::authority_service_client::AuthorityServiceClient::new(channel.clone())
        .max_decoding_message_size(MAX_MESSAGE);
    let mut answer = client.get_bundle(v1::GetBundleRequest { number }).await?.into_inner();
    let bundle = Bundle::parse(&std::mem::take(&mut answer.bundle))
        .map_err(|errors| CliError::answer(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    Ok((bundle, answer))
}
