//! Records that this process appended and the index does not have yet: what it wrote itself it need not read back.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use stele_core::door::Stored;

/// The most records in memory; those beyond are read from the log like anybody's.
const MOST: usize = 4096;
/// The most records that the index takes at once.
const AT_ONCE: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<BTreeMap<u64, Stored>>);

impl Heard {
    /// Adds records.
    pub(crate) fn add(&self, stored: impl IntoIterator<Item = Stored>) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (record, bytes) in stored {
            if heard.len() < MOST {
                heard.insert(record.index, (record, bytes));
            }
        }
    }

    /// Takes the records from `next` on, up to the first that is missing. Older ones are forgotten.
    pub(crate) fn take(&self, next: u64) -> Vec<Stored> {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = heard.split_off(&next);
        (next..).take(AT_ONCE).map_while(|index| heard.remove(&index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use stele_core::record::{Body, Failed, Record};
    use stele_core::types::Time;

    use super::*;

    fn stored(index: u64) -> Stored {
        let body = Body::Failed(Failed {
            intent: 0,
            reason: String::new(),
        });
        let time = Time::from_secs(0);
        (Record { index, time, body }, index.to_string().into_bytes())
    }

    #[test]
    fn what_is_taken_has_no_gap() {
        let heard = Heard::default();
        heard.add([stored(3), stored(4), stored(7), stored(5)]);
        assert!(heard.take(2).is_empty());
        let taken: Vec<u64> = heard.take(4).iter().map(|(record, _)| record.index).collect();
        assert_eq!(taken, [4, 5]);
        heard.add([stored(6)]);
        assert_eq!(heard.take(6).len(), 2);
        assert!(heard.take(0).is_empty());
    }
}
