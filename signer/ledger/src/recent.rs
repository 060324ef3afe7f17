//! The tree's newest hashes in memory. The proofs that everybody asks for are of the newest entries, and all of them
//! end in the same old subtrees, so that hardly one reads the file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use stele_core::merkle::{self, Hash, HashReader, Subtree};

/// The most hashes in one generation, about 0.5 MiB.
const GENERATION: usize = 8192;

/// Hashes of full subtrees, by level and index: what was used lately. Clones share them.
#[derive(Clone, Default)]
pub struct RecentHashes(Arc<Mutex<Generations>>);

#[derive(Default)]
struct Generations {
    young: HashMap<(u8, u64), Hash>,
    old: HashMap<(u8, u64), Hash>,
}

impl Generations {
    fn keep(&mut self, place: (u8, u64), hash: Hash) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, hash);
    }

    fn find(&mut self, place: (u8, u64)) -> Option<Hash> {
        if let Some(hash) = self.young.get(&place) {
            return Some(*hash);
        }
        let hash = self.old.remove(&place)?;
        self.keep(place, hash);
        Some(hash)
    }
}

impl RecentHashes {
    /// Keeps hashes that are durable.
    pub(crate) fn add(&self, subtrees: impl IntoIterator<Item = Subtree>) {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for subtree in subtrees {
            generations.keep((subtree.level, subtree.index), subtree.hash);
        }
    }

    /// The inclusion proof of the entry at `index` in the tree of the first `size` entries; `read` gives what is not in
    /// memory.
    ///
    /// # Errors
    /// Where `index` is not below `size`, and what `read` reports.
    pub fn inclusion_proof<E: From<stele_core::Error>>(
        &self,
        index: u64,
        size: u64,
        read: impl Fn(u8, u64) -> Result<Hash, E>,
    ) -> Result<Vec<Hash>, E> {
        merkle::inclusion_proof(index, size, &Source { recent: self, read })
    }
}

struct Source<'r, F> {
    recent: &'r RecentHashes,
    read: F,
}

impl<E, F> HashReader for Source<'_, F>
where
    E: From<stele_core::Error>,
    F: Fn(u8, u64) -> Result<Hash, E>,
{
    type Error = E;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, E> {
        let lock = || self.recent.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hash) = lock().find((level, index)) {
            return Ok(hash);
        }
        let hash = (self.read)(level, index)?;
        lock().keep((level, index), hash);
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use stele_core::merkle::{Frontier, leaf_hash};

    use super::*;
    use crate::LedgerError;

    /// Every proof is the file's, whatever of it is in memory, and those of new entries hardly read the file.
    #[test]
    fn proofs_are_those_of_the_whole_tree() {
        let (recent, mut frontier, mut all) = (RecentHashes::default(), Frontier::new(), HashMap::new());
        for n in 0..20_000_u64 {
            let completed = frontier.push(leaf_hash(&n.to_be_bytes()));
            all.extend(completed.iter().map(|s| ((s.level, s.index), s.hash)));
            recent.add(completed);
        }
        let reads = Cell::new(0);
        let read = |level, index| {
            reads.set(reads.get() + 1);
            Ok::<_, LedgerError>(all[&(level, index)])
        };
        let root = frontier.root();
        for index in (0..20_000).step_by(997).chain(19_000..20_000) {
            let proof = recent.inclusion_proof(index, 20_000, read).unwrap();
            merkle::verify_inclusion(&leaf_hash(&index.to_be_bytes()), index, 20_000, &proof, &root).unwrap();
        }
        assert!(reads.get() < 400, "{} reads", reads.get());
        assert!(recent.inclusion_proof(20_000, 20_000, read).is_err());
    }
}
