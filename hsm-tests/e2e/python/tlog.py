"""A transparency log's proofs, checked from the specifications alone: RFC 6962 section 2.1, C2SP signed-note,
tlog-checkpoint and tlog-proof. Nothing here comes from Stele."""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = 1


class Invalid(Exception):
    """Something does not verify; the text says what."""


def require(condition, what):
    if not condition:
        raise Invalid(what)


def leaf_hash(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size):
    """The largest power of two below a size of at least 2."""
    return 1 << (size - 1).bit_length() - 1


def root_of(leaves):
    """The Merkle tree hash of a list of leaf hashes (RFC 6962 section 2.1)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    left = split(len(leaves))
    return node_hash(root_of(leaves[:left]), root_of(leaves[left:]))


def root_from_inclusion(leaf, index, size, proof):
    """The root that an inclusion proof leads to (the recursion of RFC 6962 section 2.1.1, read backwards)."""
    require(0 <= index < size, f"index {index} is not in a tree of {size}")
    if size == 1:
        require(not proof, "the inclusion proof is too long")
        return leaf
    require(proof, "the inclusion proof is too short")
    left, (*rest, sibling) = split(size), proof
    if index < left:
        return node_hash(root_from_inclusion(leaf, index, left, rest), sibling)
    return node_hash(sibling, root_from_inclusion(leaf, index - left, size - left, rest))


def roots_from_consistency(old_size, size, proof, old_root, whole=True):
    """The roots of the old and the new tree that a consistency proof leads to (RFC 6962 section 2.1.2).

    `whole`: the old tree is a subtree of which the verifier knows the root, so the proof leaves it out."""
    if old_size == size:
        if whole:
            require(not proof, "the consistency proof is too long")
            return old_root, old_root
        require(len(proof) == 1, "the consistency proof has the wrong length")
        return proof[0], proof[0]
    require(proof, "the consistency proof is too short")
    left, (*rest, sibling) = split(size), proof
    if old_size <= left:
        old, new = roots_from_consistency(old_size, left, rest, old_root, whole)
        return old, node_hash(new, sibling)
    old, new = roots_from_consistency(old_size - left, size - left, rest, old_root, False)
    return node_hash(sibling, old), node_hash(sibling, new)


def verify_consistency(old_size, old_root, size, root, proof):
    require(0 < old_size <= size, f"{old_size} is no older size of {size}")
    require(roots_from_consistency(old_size, size, proof, old_root) == (old_root, root), "the consistency proof does not fit the roots")


@dataclass(frozen=True)
class Verifier:
    """A verifier key of a signed note."""

    name: str
    key_id: bytes
    key: Ed25519PublicKey

    @classmethod
    def parse(cls, text):
        name, hexadecimal, encoded = text.strip().split("+", 2)
        material = base64.b64decode(encoded, validate=True)
        key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
        require(key_id.hex() == hexadecimal, "the verifier key does not fit its id")
        require(material[0] == ED25519 and len(material) == 33, "the verifier key is not Ed25519")
        return cls(name, key_id, Ed25519PublicKey.from_public_bytes(material[1:]))

    def open(self, note):
        """The text of a note that this key signed."""
        text, separator, signatures = note.rpartition("\n\n")
        require(separator and signatures.endswith("\n"), "this is not a signed note")
        text += "\n"
        verified = False
        for line in signatures[:-1].split("\n"):
            dash, name, encoded = line.split(" ")
            require(dash == "—", "a signature line does not begin with an em dash")
            signature = base64.b64decode(encoded, validate=True)
            if (name, signature[:4]) == (self.name, self.key_id):
                try:
                    self.key.verify(signature[4:], text.encode())
                except InvalidSignature:
                    raise Invalid("the log's signature does not verify") from None
                verified = True
        require(verified, "the log did not sign this note")
        return text


@dataclass(frozen=True)
class Checkpoint:
    """A verified tree head."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def open(cls, note, verifier):
        origin, size, root = verifier.open(note).splitlines()
        require(origin == verifier.name, "the checkpoint is another log's")
        require(str(int(size)) == size, "the checkpoint's size is not canonical")
        return cls(origin, int(size), base64.b64decode(root, validate=True))


def open_proof(text, verifier):
    """The entry that a tlog-proof with `extra` proves, its index and the checkpoint; Invalid if it proves nothing."""
    head, separator, note = text.partition("\n\n")
    require(separator, "the proof has no checkpoint")
    magic, extra, index, *hashes = head.split("\n")
    require(magic == "c2sp.org/tlog-proof@v1", "this is not a tlog-proof")
    require(extra.startswith("extra ") and index.startswith("index "), "the proof lacks extra or index")
    entry = base64.b64decode(extra[6:], validate=True)
    proof = [base64.b64decode(line, validate=True) for line in hashes]
    checkpoint = Checkpoint.open(note, verifier)
    root = root_from_inclusion(leaf_hash(entry), int(index[6:]), checkpoint.size, proof)
    require(root == checkpoint.root, "the proof does not lead to the checkpoint's root")
    return entry, int(index[6:]), checkpoint
