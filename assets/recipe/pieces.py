"""The SentencePiece model of Flores-101, by whose pieces spBLEU is counted: a file of the user's, never fetched.

Whether it is there decides which scores a translation gets, so its digest is part of what they are known by.
"""

import hashlib
import os
from pathlib import Path

NAME = "sacrebleu_tokenizer_spm.model"


def pieces_path() -> Path:
    """Where sacrebleu looks for it: below the folder that the environment variable ``SACREBLEU`` names, or ``~/.sacrebleu``."""
    return Path(os.environ.get("SACREBLEU") or Path.home() / ".sacrebleu") / "models" / NAME


def pieces_digest() -> str | None:
    """SHA-256 of its bytes (64 hex characters); None where it is not at hand."""
    try:
        return hashlib.sha256(pieces_path().read_bytes()).hexdigest()
    except OSError:
        return None
