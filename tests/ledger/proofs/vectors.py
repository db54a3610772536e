"""Published test vectors, copied with where they come from."""

from __future__ import annotations

# github.com/google/certificate-transparency (cpp/merkletree/merkle_tree_test.cc) and github.com/transparency-dev/merkle
# (testonly/constants.go), Apache-2.0: eight leaves, the roots of their eight trees, audit paths (leaf and size from 1)
# and consistency proofs.
CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
_A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
_B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
_C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
_D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
_E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
CT_PATHS = {
    (1, 1): [],
    (1, 8): [_A, _B, _C],
    (6, 8): [_D, _E, CT_ROOTS[3]],
    (3, 3): [CT_ROOTS[1]],
    (2, 5): [CT_ROOTS[0], _B, _D],
}
CT_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [_A, _B, _C],
    (6, 8): ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", _E, CT_ROOTS[3]],
    (2, 5): [_B, _D],
}

# golang.org/x/mod/sumdb/note (note_test.go, and the package's example), BSD-3-Clause: a key pair and a note it signed.
NEUMANN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()

# c2sp.org/tlog-cosignature, the example of a co-signed checkpoint (C2SP/C2SP, tlog-cosignature.md, CC BY 4.0).
C2SP_COSIGNED = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()

# c2sp.org/signed-note, the example of the page (C2SP/C2SP, signed-note.md, CC BY 4.0): empty lines in the text.
C2SP_NOTE = (
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed è subito sera.\n"
    "\n"
    "— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
).encode()

# github.com/transparency-dev/formats (note/note_cosigv1_test.go), BSD-3-Clause: public keys as they are written, one of
# notes and one of co-signatures; and what is none.
WRITTEN_KEYS = [
    "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
]
NO_KEYS = [
    "bananas.sigstore.dev+12344556",
    "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!",
    "rekor.sigstore.dev+12345678+AwEB",
    "TEST+NOT_A_NUMBER+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
    "TEST+00000000+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
]

# Made once by another implementation, aics-tlog 0.2.1 (PyPI, Apache-2.0), which also took a whole proof of ours: the
# private key of 32 bytes 0x07 co-signs the checkpoint of example.com/perf/bed, 7 leaves, the root 00 01 02 ...
OTHERS_SEED = bytes([7]) * 32
OTHERS_TIME = 1679315147
OTHERS_KEY = "witness.example/w7+b84f516a+BOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
OTHERS_LINE = (
    "— witness.example/w7 "
    "uE9RagAAAABkGFDL+EuLuepMtWWACbCef7WAy6uziA+avyYMJybgx/CmRgVYmZ48W1vZlROkoo6coMHcTQO88Vx6DcLt06zFctLCDg=="
)
