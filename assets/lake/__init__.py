"""Storage of the lake: fingerprints, manifests, versions and receipts.

This room knows nothing of Dagster or torch: jobs on GPU nodes import it too.
"""

from assets.lake.fingerprint import code_digest, digest_of
from assets.lake.identity import Identity
from assets.lake.manifest import FileEntry, InputRef, Manifest
from assets.lake.receipt import GateNotPassedError, Receipt
from assets.lake.store import Lake, LakeError
from assets.lake.writer import VersionWriter

__all__ = [
    "FileEntry",
    "GateNotPassedError",
    "Identity",
    "InputRef",
    "Lake",
    "LakeError",
    "Manifest",
    "Receipt",
    "VersionWriter",
    "code_digest",
    "digest_of",
]
