//! The Merkle tree of the log: RFC 6962 section 2.1, with SHA-256.
//!
//! A *full subtree* `(level, index)` covers the `2^level` leaves from `index * 2^level` on. Full subtrees never change
//! once their last leaf is there, so a log stores exactly their hashes, and everything else is computed from them.

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::types::Digest;

/// The hash of a leaf or of a subtree.
pub type Hash = Digest;

/// The hash of a leaf that holds `entry`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    // The prefixes 0x00 and 0x01 keep a leaf from being passed off as a node (RFC 6962 section 2.1).
    Digest(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// The hash of the node over `left` and `right`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Digest(
        Sha256::new()
            .chain_update([0x01])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The root of the tree without leaves: the hash of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Digest::of(b"")
}

/// A source of the hashes of full subtrees.
pub trait HashReader {
    /// What can go wrong while reading; arguments that do not fit the tree are reported through it, too.
    type Error: From<Error>;

    /// The hash of the full subtree over the `2^level` leaves from `index * 2^level` on.
    ///
    /// # Errors
    /// When the hash cannot be read or is not there.
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// A full subtree and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree {
    /// Its height; 0 is a leaf.
    pub level: u8,
    /// Its index among the subtrees of its level.
    pub index: u64,
    /// Its hash.
    pub hash: Hash,
}

/// The largest power of two smaller than `n`, where a tree of `n > 1` leaves is split (RFC 6962 section 2.1).
fn split(n: u64) -> u64 {
    1 << n.saturating_sub(1).max(1).ilog2()
}

/// The full subtrees `(level, index)` that make up the leaves `lo..hi`, largest first. `lo` must be a multiple of a
/// power of two that is not smaller than `hi - lo` halved, as every subtree of a tree has it.
fn full_subtrees(mut lo: u64, hi: u64) -> impl Iterator<Item = (u8, u64)> {
    std::iter::from_fn(move || {
        let level = (hi - lo).checked_ilog2()?;
        let index = lo >> level;
        lo += 1 << level;
        // A level is at most 63.
        Some((level as u8, index))
    })
}

/// Joins the hashes of adjoining full subtrees, largest first, into the root over all of them.
fn join(subtrees: &[Hash]) -> Hash {
    subtrees
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or_else(empty_root)
}

fn range_root<R: HashReader>(lo: u64, hi: u64, reader: &R) -> Result<Hash, R::Error> {
    let hashes: Result<Vec<_>, _> = full_subtrees(lo, hi)
        .map(|(level, index)| reader.hash(level, index))
        .collect();
    Ok(join(&hashes?))
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// What `reader` reports.
pub fn root<R: HashReader>(size: u64, reader: &R) -> Result<Hash, R::Error> {
    range_root(0, size, reader)
}

/// The inclusion proof of the leaf at `index` in the tree of the first `size` leaves, from the leaf's sibling up
/// (RFC 6962 section 2.1.1).
///
/// # Errors
/// When `index` is not below `size`, and what `reader` reports.
pub fn inclusion_proof<R: HashReader>(index: u64, size: u64, reader: &R) -> Result<Vec<Hash>, R::Error> {
    if index >= size {
        let permitted = format!("an index below the tree's size, {size}");
        return Err(Error::malformed("inclusion proof", format!("index {index}"), permitted).into());
    }
    let (mut lo, mut hi, mut proof) = (0, size, Vec::new());
    while hi - lo > 1 {
        let middle = lo + split(hi - lo);
        if index < middle {
            proof.push(range_root(middle, hi, reader)?);
            hi = middle;
        } else {
            proof.push(range_root(lo, middle, reader)?);
            lo = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `m` leaves is a beginning of that of the first `n` (RFC 6962 section 2.1.2);
/// empty where `m` is 0 or `n`.
///
/// # Errors
/// When `m` is above `n`, and what `reader` reports.
pub fn consistency_proof<R: HashReader>(m: u64, n: u64, reader: &R) -> Result<Vec<Hash>, R::Error> {
    if m > n {
        let permitted = format!("at most the newer tree's size, {n}");
        return Err(Error::malformed("consistency proof", format!("older tree size {m}"), permitted).into());
    }
    if m == 0 {
        return Ok(Vec::new());
    }
    let (mut lo, mut hi, mut proof) = (0, n, Vec::new());
    while m < hi {
        let middle = lo + split(hi - lo);
        if m <= middle {
            proof.push(range_root(middle, hi, reader)?);
            hi = middle;
        } else {
            proof.push(range_root(lo, middle, reader)?);
            lo = middle;
        }
    }
    // Where `lo` is still 0 the rest is the older tree itself, whose root the verifier has.
    if lo > 0 {
        proof.push(range_root(lo, hi, reader)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The way from a leaf to the root as both verifications walk it (RFC 9162 sections 2.1.3.2 and 2.1.4.2): the number
/// of the node on its level, and that of the level's last node.
struct Path {
    node: u64,
    last: u64,
}

impl Path {
    /// Climbs one level and says whether the sibling met there is on the left; `None` at the root.
    fn climb(&mut self) -> Option<bool> {
        if self.last == 0 {
            return None;
        }
        let left = self.node & 1 == 1 || self.node == self.last;
        if left {
            // The last node of a level may have no sibling: it moves up until it has one.
            let skip = self.node.trailing_zeros().min(63);
            self.node >>= skip;
            self.last >>= skip;
        }
        self.node >>= 1;
        self.last >>= 1;
        Some(left)
    }
}

/// Verifies that the leaf with `leaf_hash` stands at `index` in the tree of `size` leaves with the root `root`.
///
/// # Errors
/// [`Error::Unverified`] when the proof does not show that.
pub fn verify_inclusion(leaf_hash: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), Error> {
    let unverified = |why: &str| Error::unverified(format!("inclusion of entry {index} in the tree of {size}"), why);
    if index >= size {
        return Err(unverified("the index is not below the tree's size"));
    }
    let mut path = Path {
        node: index,
        last: size - 1,
    };
    let mut hash = *leaf_hash;
    for sibling in proof {
        hash = match path.climb() {
            Some(true) => node_hash(sibling, &hash),
            Some(false) => node_hash(&hash, sibling),
            None => return Err(unverified("the proof has too many hashes")),
        };
    }
    if path.last != 0 {
        return Err(unverified("the proof has too few hashes"));
    }
    if hash != *root {
        return Err(unverified(
            "the proof leads to another root: the entry, its index or the tree differs",
        ));
    }
    Ok(())
}

/// Verifies that the tree of `m` leaves with the root `m_root` is a beginning of that of `n` leaves with `n_root`.
///
/// # Errors
/// [`Error::Unverified`] when the proof does not show that.
pub fn verify_consistency(m: u64, m_root: &Hash, n: u64, n_root: &Hash, proof: &[Hash]) -> Result<(), Error> {
    let unverified = |why: &str| Error::unverified(format!("consistency of the tree of {m} with that of {n}"), why);
    if m > n {
        return Err(unverified("the older tree is larger"));
    }
    if m == 0 || m == n {
        return match (proof.is_empty(), m == n, m > 0 || *m_root == empty_root()) {
            (false, ..) => Err(unverified("the proof should be empty")),
            (_, true, _) if m_root != n_root => Err(unverified("two roots for the same size")),
            (_, _, false) => Err(unverified("the empty tree has another root")),
            _ => Ok(()),
        };
    }
    // A full older tree is itself the first node of the walk, and left out of the proof.
    let (start, rest) = match proof.split_first() {
        None => return Err(unverified("the proof is empty")),
        Some(_) if m.is_power_of_two() => (*m_root, proof),
        Some((first, rest)) => (*first, rest),
    };
    let skip = (m - 1).trailing_ones();
    let mut path = Path {
        node: (m - 1) >> skip,
        last: (n - 1) >> skip,
    };
    let (mut older, mut newer) = (start, start);
    for sibling in rest {
        match path.climb() {
            Some(true) => {
                older = node_hash(sibling, &older);
                newer = node_hash(sibling, &newer);
            }
            Some(false) => newer = node_hash(&newer, sibling),
            None => return Err(unverified("the proof has too many hashes")),
        }
    }
    if path.last != 0 {
        return Err(unverified("the proof has too few hashes"));
    }
    if older != *m_root || newer != *n_root {
        return Err(unverified(
            "the proof leads to other roots: the log was rewritten or the proof altered",
        ));
    }
    Ok(())
}

/// The right edge of a growing tree: the hashes of the full subtrees that make it up, at most 64. It is all one needs to append
/// and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Largest subtree first; one for each bit of `size`.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of the first `size` leaves: reads one hash for each bit set in `size`.
    ///
    /// # Errors
    /// What `reader` reports.
    pub fn load<R: HashReader>(size: u64, reader: &R) -> Result<Self, R::Error> {
        let subtrees: Result<_, _> = full_subtrees(0, size)
            .map(|(level, index)| reader.hash(level, index))
            .collect();
        Ok(Self {
            size,
            subtrees: subtrees?,
        })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        join(&self.subtrees)
    }

    /// Appends a leaf; returns the full subtrees that it completes, the leaf itself first.
    pub fn push(&mut self, leaf_hash: Hash) -> Vec<Subtree> {
        let mut new = Subtree {
            level: 0,
            index: self.size,
            hash: leaf_hash,
        };
        let mut completed = vec![new];
        while new.index & 1 == 1
            && let Some(left) = self.subtrees.pop()
        {
            new = Subtree {
                level: new.level + 1,
                index: new.index >> 1,
                hash: node_hash(&left, &new.hash),
            };
            completed.push(new);
        }
        self.subtrees.push(new.hash);
        self.size += 1;
        completed
    }
}
