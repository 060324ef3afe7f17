//! `[[witness]]` and `[witness_policy]`.

use std::collections::BTreeSet;

use super::{Check, RawAuthority};
use crate::authority::{Witness, WitnessPolicy};
use crate::checkpoint::{NoteKeyType, NoteVerifier};

/// The shortest lag that can be demanded, in seconds: a witness on another machine needs a moment.
const LEAST_LAG: u64 = 5;

impl Check<'_> {
    pub(super) fn witnesses(&mut self, raw: &RawAuthority) -> (Vec<Witness>, Option<WitnessPolicy>) {
        let (mut names, mut keys, mut out) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (n, witness) in raw.witness.iter().enumerate() {
            self.require(
                names.insert(&witness.name),
                &format!("witness[{n}].name"),
                format!("`{}` again", witness.name),
                "each witness once",
            );
            let path = format!("witness[{n}].vkey");
            let Some(key) = self.witness_key(&path, &witness.vkey) else {
                continue;
            };
            self.require(
                keys.insert(key.encoded().to_vec()),
                &path,
                "the key of another witness",
                "each key once: two names for one key are one witness",
            );
            let name = witness.name.clone();
            out.push(Witness { name, key });
        }
        (out, self.witness_policy(raw))
    }

    fn witness_key(&mut self, path: &str, text: &str) -> Option<NoteVerifier> {
        match text.parse::<NoteVerifier>() {
            Ok(key) if key.key_type() == NoteKeyType::CosignatureV1 => Some(key),
            Ok(key) => {
                let found = format!("a key of type {:02x}", key.key_type() as u8);
                self.require(false, path, found, "04, Ed25519 cosignature/v1 (C2SP tlog-cosignature)");
                None
            }
            Err(error) => {
                let permitted = "the witness's verifier key NAME+HEX+BASE64, as it publishes it";
                self.require(false, path, error.to_string(), permitted);
                None
            }
        }
    }

    fn witness_policy(&mut self, raw: &RawAuthority) -> Option<WitnessPolicy> {
        let policy = raw.witness_policy.as_ref()?;
        let listed = raw.witness.len();
        self.require(
            policy.quorum >= 1 && usize::try_from(policy.quorum).is_ok_and(|quorum| quorum <= listed),
            "witness_policy.quorum",
            policy.quorum.to_string(),
            format!("1 to {listed}, the number of witnesses"),
        );
        if let Some(lag) = policy.max_lag {
            self.require(
                lag.0 >= LEAST_LAG,
                "witness_policy.max_lag",
                lag.to_string(),
                format!("at least {LEAST_LAG}s, or none for no limit"),
            );
        }
        Some(WitnessPolicy {
            quorum: policy.quorum,
            ca_intents: policy.ca_intents,
            max_lag: policy.max_lag,
        })
    }
}
