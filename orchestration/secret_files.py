"""Secrets from files: ``NAME_FILE`` names a file with the value of the variable ``NAME``, as container engines mount them."""

import os
from pathlib import Path

from assets.recipe.operations import SECRETS as ALERT_SECRETS

NEEDED = ("TOKKA_POSTGRES_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
OPTIONAL = tuple(ALERT_SECRETS)
"""A file of these may be empty: nothing is to be sent then."""


class SecretFileError(ValueError):
    """A file that shall hold a secret does not. The message names the file and never what is in it."""


def read_secret_files() -> None:
    """Set each secret's variable that is not set from the file that ``NAME_FILE`` names. Raises SecretFileError."""
    for name in (*NEEDED, *OPTIONAL):
        path = os.environ.get(f"{name}_FILE")
        if not path or os.environ.get(name):
            continue
        try:
            value = Path(path).read_text("utf-8").strip()
        except FileNotFoundError:
            raise SecretFileError(
                f"the secret {name} is missing: there is no file {path} ({name}_FILE). infra/stack/prepare.sh makes the "
                "stack's secrets."
            ) from None
        except OSError as error:
            raise SecretFileError(
                f"the secret {name} cannot be read from {path} by the user {os.getuid()}: {error.strerror}. "
                "infra/stack/prepare.sh sets the owner of the stack's secrets."
            ) from None
        except UnicodeDecodeError:
            raise SecretFileError(f"the secret {name} cannot be read: {path} is not UTF-8 text.") from None
        if value:
            os.environ[name] = value
        elif name in NEEDED:
            raise SecretFileError(f"the secret {name} is missing: the file {path} ({name}_FILE) is empty.")
