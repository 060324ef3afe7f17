//! A failed call in words.

use std::fmt::Write as _;

use tonic::Status;
use tonic_types::{ErrorInfo, StatusExt as _};

use super::{DOMAIN, Reason};

/// What a client prints about a failed call: what happened, each violation on a line of its own, where it is
/// recorded, when to try again, and who mends it. Control characters from the server are escaped, so that nothing of
/// it can steer a terminal. Does not end in a newline.
#[must_use]
pub fn explain(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let reason = info.and_then(|info| Reason::from_name(&info.reason));
    let mut text = headline(status, info, reason);

    let shown = details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default();
    for violation in shown {
        let rule = violation.reason.to_ascii_lowercase().replace('_', "-");
        line(
            &mut text,
            &format!("{} [{rule}]: {}", violation.field, violation.description),
        );
    }
    if let Some(info) = info {
        let of = |key: &str| info.metadata.get(key).map(String::as_str);
        let all = of("violations").and_then(|n| n.parse().ok()).unwrap_or(shown.len());
        if all > shown.len() {
            line(&mut text, &format!("... and {} more violations", all - shown.len()));
        }
        if let (Some(id), Some(attempt)) = (of("request_id"), of("attempt")) {
            line(&mut text, &format!("request {id}, attempt {attempt}"));
        }
        if let Some(position) = of("refusal") {
            line(&mut text, &format!("recorded at {position}"));
        }
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        line(&mut text, &format!("try again in {:.1} s", delay.as_secs_f64()));
    }
    if let Some(reason) = reason {
        line(&mut text, &format!("to mend it: {}", reason.remedy()));
    }
    text
}

/// The reason's meaning where we know it; where violations follow, the message would only repeat the first.
fn headline(status: &Status, info: Option<&ErrorInfo>, reason: Option<Reason>) -> String {
    let code = format!("{:?}", status.code());
    let message = printable(status.message());
    match (info, reason) {
        (Some(info), Some(reason)) if info.metadata.contains_key("violations") => {
            format!("{} ({})", reason.meaning(), reason.name())
        }
        (_, Some(reason)) => format!("{message} ({}): {}", reason.name(), reason.meaning()),
        (Some(info), None) => format!("{message} ({}, {code})", printable(&info.reason)),
        (None, None) => format!("{message} ({code}: {})", status.code().description()),
    }
}

fn line(text: &mut String, content: &str) {
    let _ = write!(text, "\n  {}", printable(content));
}

fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            let _ = write!(out, "{}", c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}
