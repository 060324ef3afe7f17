//! The tree's arithmetic against an independent implementation (`tlog_tiles`) and against RFC 6962's definitions.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test may panic"
)]
use std::cell::RefCell;
use std::collections::HashMap;

use proptest::prelude::*;
use stele_core::Error;
use stele_core::merkle::{self, Frontier, Hash, HashReader};

/// A tree of which each hash is kept in memory.
#[derive(Default)]
struct Tree {
    hashes: HashMap<(u8, u64), Hash>,
    frontier: Frontier,
}

impl Tree {
    fn of(size: u64) -> Self {
        let mut tree = Self::default();
        for i in 0..size {
            for s in tree.frontier.push(merkle::leaf_hash(&i.to_be_bytes())) {
                assert_eq!(tree.hashes.insert((s.level, s.index), s.hash), None);
            }
        }
        tree
    }
}

impl HashReader for Tree {
    type Error = Error;
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Error> {
        let missing = || Error::malformed("hash", format!("({level}, {index})"), "a full subtree of the tree");
        self.hashes.get(&(level, index)).copied().ok_or_else(missing)
    }
}

/// The oracle's store: hashes in its own order.
struct Oracle(RefCell<Vec<tlog_tiles::Hash>>);

impl tlog_tiles::HashReader for Oracle {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let stored = self.0.borrow();
        Ok(indexes.iter().map(|i| stored[usize::try_from(*i).unwrap()]).collect())
    }
}

impl Oracle {
    fn of(size: u64) -> Self {
        let oracle = Self(RefCell::default());
        for i in 0..size {
            let new = tlog_tiles::stored_hashes(i, &i.to_be_bytes(), &oracle).unwrap();
            oracle.0.borrow_mut().extend(new);
        }
        oracle
    }
}

fn ours(proof: &[tlog_tiles::Hash]) -> Vec<Hash> {
    proof.iter().map(|h| stele_core::types::Digest(h.0)).collect()
}

/// MTH of RFC 6962 section 2.1, word for word.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => merkle::empty_root(),
        [one] => *one,
        many => {
            let k = many.len().next_power_of_two() / 2;
            merkle::node_hash(&mth(&many[..k]), &mth(&many[k..]))
        }
    }
}

const MAX: u64 = 600;

proptest! {
    #[test]
    fn roots_and_proofs_equal_the_oracle(size in 1..MAX, a in 0..MAX, b in 0..MAX) {
        let (tree, oracle) = (Tree::of(size), Oracle::of(size));
        let (index, older) = (a % size, 1 + b % size);
        let root = merkle::root(size, &tree).unwrap();
        prop_assert_eq!(root.0, tlog_tiles::tree_hash(size, &oracle).unwrap().0);
        prop_assert_eq!(root, tree.frontier.root());

        let proof = merkle::inclusion_proof(index, size, &tree).unwrap();
        prop_assert_eq!(&proof, &ours(&tlog_tiles::prove_record(size, index, &oracle).unwrap()));
        let leaf = tree.hash(0, index).unwrap();
        merkle::verify_inclusion(&leaf, index, size, &proof, &root).unwrap();

        let older_root = merkle::root(older, &tree).unwrap();
        let proof = merkle::consistency_proof(older, size, &tree).unwrap();
        prop_assert_eq!(&proof, &ours(&tlog_tiles::prove_tree(size, older, &oracle).unwrap()));
        merkle::verify_consistency(older, &older_root, size, &root, &proof).unwrap();
    }

    #[test]
    fn a_frontier_can_be_loaded_at_any_size(size in 0..MAX, at in 0..MAX) {
        let tree = Tree::of(size);
        let at = at.min(size);
        prop_assert_eq!(&Frontier::load(at, &tree).unwrap(), &Tree::of(at).frontier);
        let leaves: Vec<_> = (0..at).map(|i| tree.hash(0, i).unwrap()).collect();
        prop_assert_eq!(merkle::root(at, &tree).unwrap(), mth(&leaves));
    }

    /// Foreign proofs of any shape are rejected, never a panic.
    #[test]
    fn foreign_numbers_do_not_panic(i: u64, n: u64, m: u64, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let proof: Vec<Hash> = hashes.into_iter().map(stele_core::types::Digest).collect();
        let root = merkle::empty_root();
        prop_assert!(merkle::verify_inclusion(&merkle::leaf_hash(b""), i, n, &proof, &root).is_err());
        if m != n {
            prop_assert!(merkle::verify_consistency(m, &merkle::leaf_hash(b""), n, &root, &proof).is_err());
        }
    }
}

/// Every pair of sizes and every index up to 40, and each way to alter what is verified.
#[test]
fn altered_proofs_are_rejected() {
    const N: u64 = 40;
    let tree = Tree::of(N);
    let wrong = merkle::leaf_hash(b"another");
    for size in 1..=N {
        let root = merkle::root(size, &tree).unwrap();
        for index in 0..size {
            let leaf = tree.hash(0, index).unwrap();
            let proof = merkle::inclusion_proof(index, size, &tree).unwrap();
            let check = |leaf: &Hash, index, size, proof: &[Hash], root: &Hash| {
                merkle::verify_inclusion(leaf, index, size, proof, root).is_ok()
            };
            assert!(check(&leaf, index, size, &proof, &root));
            assert!(!check(&wrong, index, size, &proof, &root));
            assert!(!check(&leaf, index, size, &proof, &wrong));
            assert!((0..=size).all(|i| i == index || !check(&leaf, i, size, &proof, &root)));
            for altered in alterations(&proof, wrong) {
                assert!(!check(&leaf, index, size, &altered, &root));
            }
        }
        for m in 0..=size {
            let older = merkle::root(m, &tree).unwrap();
            let proof = merkle::consistency_proof(m, size, &tree).unwrap();
            let check = |m, older: &Hash, n, newer: &Hash, proof: &[Hash]| {
                merkle::verify_consistency(m, older, n, newer, proof).is_ok()
            };
            assert!(check(m, &older, size, &root, &proof));
            assert!(!check(m, &wrong, size, &root, &proof));
            assert!(!check(size, &root, m, &older, &proof) || m == size);
            // Nothing is said about the newer tree by a proof from the empty one.
            assert!(m == 0 || !check(m, &older, size, &wrong, &proof));
            for altered in alterations(&proof, wrong) {
                assert!(!check(m, &older, size, &root, &altered), "{m} {size}");
            }
        }
    }
}

/// The proof with each hash replaced, each left out, and one too many at either end.
fn alterations(proof: &[Hash], wrong: Hash) -> Vec<Vec<Hash>> {
    let mut all = vec![[proof, &[wrong]].concat(), [&[wrong], proof].concat()];
    for i in 0..proof.len() {
        let mut replaced = proof.to_vec();
        replaced[i] = wrong;
        let mut shorter = proof.to_vec();
        shorter.remove(i);
        all.extend([replaced, shorter]);
    }
    all
}

#[test]
fn proofs_outside_the_tree_are_refused() {
    let tree = Tree::of(5);
    assert!(merkle::inclusion_proof(5, 5, &tree).is_err());
    assert!(merkle::inclusion_proof(0, 0, &tree).is_err());
    assert!(merkle::inclusion_proof(0, 9, &tree).is_err());
    assert!(merkle::consistency_proof(6, 5, &tree).is_err());
    assert_eq!(merkle::consistency_proof(0, 0, &tree).unwrap(), []);
    assert_eq!(merkle::root(0, &tree).unwrap(), merkle::empty_root());
}
