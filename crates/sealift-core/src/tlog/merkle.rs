//! Merkle tree proofs: that an entry is in a log, and that a log only grew.
//!
//! Specification: <https://www.rfc-editor.org/rfc/rfc9162#section-2.1>.

use sha2::{Digest as _, Sha256};

/// A node of the tree.
pub type Hash = [u8; 32];

/// The most nodes a proof may have: a tree has at most 2^63 leaves. Stops hashing of endless proofs.
pub const MAX_PROOF_NODES: usize = 64;

/// Returns the hash of a leaf.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// Checks that the leaf at `index` of a tree with `size` leaves and root `root` has hash `leaf`.
///
/// # Errors
/// Says whether the numbers, the length of the proof or the hashes do not fit.
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::IndexBeyondSize { index, size });
    }
    let inner = inner_length(index, size);
    let expected = inner + right_border_length(index, inner);
    if proof.len() != expected {
        return Err(MerkleError::ProofLength { expected, found: proof.len() });
    }
    let (inner_proof, border_proof) = proof.split_at(inner);
    let hash = chain_border(chain_inner(*leaf, inner_proof, index), border_proof);
    if hash == *root { Ok(()) } else { Err(MerkleError::Root) }
}

/// Checks that the tree with `size1` leaves and root `root1` is a prefix of the one with `size2` and `root2`.
///
/// # Errors
/// Says whether the numbers, the length of the proof or the hashes do not fit. The empty tree is a prefix of nothing:
/// a proof from it would say nothing.
pub fn verify_consistency(
    size1: u64,
    size2: u64,
    proof: &[Hash],
    root1: &Hash,
    root2: &Hash,
) -> Result<(), MerkleError> {
    if size1 == 0 || size2 < size1 {
        return Err(MerkleError::Sizes { size1, size2 });
    }
    if size1 == size2 {
        return match proof.len() {
            0 if root1 == root2 => Ok(()),
            0 => Err(MerkleError::Root),
            found => Err(MerkleError::ProofLength { expected: 0, found }),
        };
    }
    let shift = size1.trailing_zeros() as usize;
    let inner = inner_length(size1 - 1, size2) - shift;
    // A complete subtree of the old tree is its own root; else the proof starts with that subtree's hash.
    let (seed, proof) = if size1.is_power_of_two() {
        (*root1, proof)
    } else {
        let (seed, rest) = proof.split_first().ok_or(MerkleError::ProofLength { expected: 1, found: 0 })?;
        (*seed, rest)
    };
    let expected = inner + right_border_length(size1 - 1, inner + shift);
    if proof.len() != expected {
        return Err(MerkleError::ProofLength { expected, found: proof.len() });
    }
    let (inner_proof, border_proof) = proof.split_at(inner);
    let mask = (size1 - 1) >> shift;
    let old = chain_border(chain_inner_right(seed, inner_proof, mask), border_proof);
    let new = chain_border(chain_inner(seed, inner_proof, mask), border_proof);
    if old == *root1 && new == *root2 { Ok(()) } else { Err(MerkleError::Root) }
}

/// Levels below the point where the paths of the leaf and of the last leaf meet.
fn inner_length(index: u64, size: u64) -> usize {
    (u64::BITS - (index ^ (size - 1)).leading_zeros()) as usize
}

/// Complete subtrees to the left above that point.
fn right_border_length(index: u64, inner: usize) -> usize {
    u32::try_from(inner).ok().and_then(|inner| index.checked_shr(inner)).map_or(0, |rest| rest.count_ones() as usize)
}

fn chain_inner(seed: Hash, proof: &[Hash], index: u64) -> Hash {
    proof.iter().enumerate().fold(seed, |hash, (level, node)| {
        if index >> level & 1 == 0 { node_hash(&hash, node) } else { node_hash(node, &hash) }
    })
}

fn chain_inner_right(seed: Hash, proof: &[Hash], index: u64) -> Hash {
    let left = proof.iter().enumerate().filter(|(level, _)| index >> level & 1 == 1);
    left.fold(seed, |hash, (_, node)| node_hash(node, &hash))
}

fn chain_border(seed: Hash, proof: &[Hash]) -> Hash {
    proof.iter().fold(seed, |hash, node| node_hash(node, &hash))
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Says why a proof proves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MerkleError {
    /// The index is not one of the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    IndexBeyondSize {
        /// Index of the leaf.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The proof has another number of hashes than the tree's shape asks for.
    #[error("the proof has {found} hashes where the tree's shape asks for {expected}")]
    ProofLength {
        /// Hashes expected.
        expected: usize,
        /// Hashes found.
        found: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to another root hash")]
    Root,
    /// A tree of the first size cannot become one of the second, or there is nothing to prove.
    #[error("a tree of {size1} leaves is no starting point for one of {size2}")]
    Sizes {
        /// Leaves of the older tree.
        size1: u64,
        /// Leaves of the newer tree.
        size2: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&root(left), &root(right))
            }
        }
    }

    fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let middle = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(middle);
        let (mut proof, other) =
            if index < middle { (path(index, left), root(right)) } else { (path(index - middle, right), root(left)) };
        proof.push(other);
        proof
    }

    /// RFC 9162 section 2.1.4.1.
    fn prefix(size: usize, leaves: &[Hash], is_whole: bool) -> Vec<Hash> {
        if size == leaves.len() {
            return if is_whole { Vec::new() } else { vec![root(leaves)] };
        }
        let middle = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(middle);
        if size <= middle {
            let mut proof = prefix(size, left, is_whole);
            proof.push(root(right));
            proof
        } else {
            let mut proof = prefix(size - middle, right, false);
            proof.push(root(left));
            proof
        }
    }

    #[test]
    fn proofs_of_small_trees_verify_and_their_mutants_do_not() {
        let leaves: Vec<Hash> = (0..20u8).map(|byte| leaf_hash(&[byte])).collect();
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            let top = root(tree);
            for (index, leaf) in tree.iter().enumerate() {
                let proof = path(index, tree);
                let verify = |index: u64, proof: &[Hash], leaf| verify_inclusion(index, size as u64, leaf, proof, &top);
                assert_eq!(verify(index as u64, &proof, leaf), Ok(()), "{index} of {size}");
                assert!(verify(index as u64, &proof, &[7; 32]).is_err());
                assert!(verify(size as u64, &proof, leaf).is_err());
                let longer = [proof.as_slice(), &[[0; 32]]].concat();
                assert!(verify(index as u64, &longer, leaf).is_err());
                for node in 0..proof.len() {
                    let mut flipped = proof.clone();
                    flipped[node][31] ^= 1;
                    assert_eq!(verify(index as u64, &flipped, leaf), Err(MerkleError::Root));
                }
            }
            for old in 1..=size {
                let proof = prefix(old, tree, true);
                let start = root(&tree[..old]);
                let verify = |proof: &[Hash]| verify_consistency(old as u64, size as u64, proof, &start, &top);
                assert_eq!(verify(&proof), Ok(()), "{old} to {size}");
                for node in 0..proof.len() {
                    let mut flipped = proof.clone();
                    flipped[node][0] ^= 1;
                    assert!(verify(&flipped).is_err());
                }
                assert!(verify(&[proof.as_slice(), &[[0; 32]]].concat()).is_err());
            }
        }
    }
}
