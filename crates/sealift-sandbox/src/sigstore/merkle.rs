//! The tree of RFC 6962 (<https://www.rfc-editor.org/rfc/rfc6962#section-2.1>) and its tiles
//! (<https://c2sp.org/tlog-tiles>).

use super::encoding::sha256;

/// A hash of the tree.
pub(super) type Hash = [u8; 32];

/// A tree that grows.
#[derive(Default)]
pub(super) struct Tree {
    /// `levels[k][i]` is the root of the complete subtree over the leaves `i * 2^k .. (i + 1) * 2^k`.
    levels: Vec<Vec<Hash>>,
}

/// Returns the hash of a leaf.
pub(super) fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// Makes a proof lead elsewhere, also the empty one of a tree with one leaf.
///
/// The proof itself is changed, not the root beside it: for version 2 of the log, verifiers take the checkpoint's root.
pub(super) fn mislead(proof: &mut Vec<Hash>) {
    match proof.first_mut() {
        Some(hash) => hash[0] ^= 1,
        None => proof.push([0; 32]),
    }
}

impl Tree {
    /// Returns the number of leaves.
    pub(super) fn size(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Adds a leaf and returns its index.
    pub(super) fn append(&mut self, leaf: Hash) -> usize {
        let index = self.size();
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            if !row.len().is_multiple_of(2) {
                break;
            }
            hash = parent(&row[row.len() - 2], &row[row.len() - 1]);
        }
        index
    }

    /// Returns the root of the first `size` leaves.
    pub(super) fn root(&self, size: usize) -> Hash {
        if size == 0 { sha256(&[]) } else { self.range(0, size) }
    }

    /// Returns the proof that leaf `index` is among the first `size`, nearest sibling first.
    pub(super) fn inclusion(&self, index: usize, size: usize) -> Vec<Hash> {
        let (mut start, mut end) = (0, size);
        let mut proof = Vec::new();
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                proof.push(self.range(middle, end));
                end = middle;
            } else {
                proof.push(self.range(start, middle));
                start = middle;
            }
        }
        proof.reverse();
        proof
    }

    /// Returns the proof that the first `old` leaves are a prefix of the first `new`.
    pub(super) fn consistency(&self, old: usize, new: usize) -> Vec<Hash> {
        let (mut start, mut end) = (0, new);
        let mut proof = Vec::new();
        if old == 0 {
            return proof;
        }
        while old != end {
            let middle = start + split(end - start);
            if old <= middle {
                proof.push(self.range(middle, end));
                end = middle;
            } else {
                proof.push(self.range(start, middle));
                start = middle;
            }
        }
        if start != 0 {
            proof.push(self.range(start, end));
        }
        proof.reverse();
        proof
    }

    /// Returns the hashes of a tile that is `width` hashes wide, or nothing when there are not that many.
    pub(super) fn tile(&self, level: usize, index: usize, width: usize) -> Option<Vec<u8>> {
        let start = index.checked_mul(TILE_WIDTH)?;
        let row = self.levels.get(level.checked_mul(TILE_HEIGHT)?)?;
        Some(row.get(start..start.checked_add(width)?)?.concat())
    }

    fn range(&self, start: usize, end: usize) -> Hash {
        let length = end - start;
        if length.is_power_of_two() && start.is_multiple_of(length) {
            return self.levels[length.trailing_zeros() as usize][start / length];
        }
        let middle = start + split(length);
        parent(&self.range(start, middle), &self.range(middle, end))
    }
}

/// Leaves or hashes in a full tile.
pub(super) const TILE_WIDTH: usize = 256;
const TILE_HEIGHT: usize = 8;

fn parent(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// Returns the largest power of two below `length`.
fn split(length: usize) -> usize {
    length.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roots of the tree over these leaves, from the reference implementation of certificate transparency.
    #[test]
    fn roots_are_those_of_the_reference_tree() {
        let leaves: [&[u8]; 4] = [b"", &[0x00], &[0x10], &[0x20, 0x21]];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        let mut tree = Tree::default();
        for (leaf, root) in leaves.iter().zip(roots) {
            tree.append(leaf_hash(leaf));
            assert_eq!(super::super::encoding::hex(tree.root(tree.size())), root);
        }
    }

    #[test]
    fn every_inclusion_proof_leads_to_the_root() {
        let mut tree = Tree::default();
        for leaf in 0..40_u8 {
            tree.append(leaf_hash(&[leaf]));
        }
        for size in 1..=40 {
            for index in 0..size {
                let proof = tree.inclusion(index, size);
                assert_eq!(follow(leaf_hash(&[u8::try_from(index).unwrap()]), index, size, &proof), tree.root(size));
            }
        }
    }

    /// RFC 9162, 2.1.3.2.
    fn follow(leaf: Hash, index: usize, size: usize, proof: &[Hash]) -> Hash {
        let (mut node, mut last, mut hash) = (index, size - 1, leaf);
        for sibling in proof {
            if node % 2 == 1 || node == last {
                hash = parent(sibling, &hash);
                while node % 2 == 0 && node != 0 {
                    (node, last) = (node / 2, last / 2);
                }
            } else {
                hash = parent(&hash, sibling);
            }
            (node, last) = (node / 2, last / 2);
        }
        assert_eq!(last, 0);
        hash
    }

    #[test]
    fn every_consistency_proof_leads_to_both_roots() {
        let mut tree = Tree::default();
        for leaf in 0..40_u8 {
            tree.append(leaf_hash(&[leaf]));
        }
        for new in 2..=40 {
            for old in 1..new {
                let proof = tree.consistency(old, new);
                assert_eq!(both(old, new, tree.root(old), &proof), (tree.root(old), tree.root(new)), "{old} {new}");
            }
        }
    }

    /// RFC 9162, 2.1.4.2.
    fn both(old: usize, new: usize, old_root: Hash, proof: &[Hash]) -> (Hash, Hash) {
        let mut path = proof.to_vec();
        if old.is_power_of_two() {
            path.insert(0, old_root);
        }
        let (mut first, mut second) = (old - 1, new - 1);
        while first % 2 == 1 {
            (first, second) = (first / 2, second / 2);
        }
        let (mut one, mut other) = (path[0], path[0]);
        for hash in &path[1..] {
            if first % 2 == 1 || first == second {
                (one, other) = (parent(hash, &one), parent(hash, &other));
                while first % 2 == 0 && first != 0 {
                    (first, second) = (first / 2, second / 2);
                }
            } else {
                other = parent(&other, hash);
            }
            (first, second) = (first / 2, second / 2);
        }
        (one, other)
    }
}
