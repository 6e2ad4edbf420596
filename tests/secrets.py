"""Looking for secrets in everything that a run leaves behind."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote


def spellings(secret: str) -> Iterator[bytes]:
    """The secret as it may be written: plainly, in a URL, and in base64 at each of the three places that it may begin at."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    for shift in range(3):
        # The first and last characters depend on what stands beside the secret.
        yield base64.b64encode(b"x" * shift + raw)[4:-4]


def leaks(secrets: Iterable[str], folder: Path, **texts: str) -> list[str]:
    """Where a secret stands: files below ``folder`` by their paths, and ``texts`` by their names."""
    wanted = [spelling for secret in secrets for spelling in spellings(secret)]
    found = [name for name, text in texts.items() if any(w in text.encode() for w in wanted)]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            content = str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes()
            found += [str(path.relative_to(folder))] if any(w in content for w in wanted) else []
    return found
