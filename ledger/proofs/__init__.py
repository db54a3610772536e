"""Proofs that need no trust in this program: one Merkle tree for each origin, in the published formats."""
