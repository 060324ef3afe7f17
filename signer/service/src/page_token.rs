//! Tokens of list calls: where a page ended, bound to the conditions that it was read under.

use stele_api::status::{Failure, Reason};
use stele_core::types::{Digest, hex};

/// Octets of the conditions' digest in a token: enough to notice a mistake, which is all that it is for.
const CHECK: usize = 8;

/// The token for going on after `place` under `conditions`.
pub(crate) fn write(place: u64, conditions: &str) -> String {
    format!("{place}-{}", check(conditions))
}

/// The place in a token.
///
/// # Errors
/// When it is none of ours, or belongs to other conditions.
pub(crate) fn read(token: Option<&str>, conditions: &str) -> Result<Option<u64>, Failure> {
    let Some(token) = token else { return Ok(None) };
    let place = token
        .split_once('-')
        .filter(|(_, found)| *found == check(conditions))
        .and_then(|(place, _)| place.parse().ok());
    place
        .map(Some)
        .ok_or_else(|| Failure::new(Reason::PageTokenInvalid, "the page token belongs to other conditions"))
}

fn check(conditions: &str) -> String {
    let Digest(digest) = Digest::of(conditions.as_bytes());
    hex(digest.get(..CHECK).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_serves_its_own_conditions_only() {
        let token = write(7, "a");
        assert_eq!(read(Some(&token), "a").unwrap(), Some(7));
        assert_eq!(read(None, "a").unwrap(), None);
        for bad in [token.as_str(), "7", "", "x-y", "-1-00"] {
            assert_eq!(read(Some(bad), "b").unwrap_err().reason(), Reason::PageTokenInvalid);
        }
    }
}
