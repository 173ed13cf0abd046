"""The secret behind shifted dates and codes of patients: the one place where chance must not be repeatable.

Everything else in the package gives the same bytes for the same input and seed. A shift that followed from a
seed could be undone by whoever tries seeds, so it follows from a secret that is drawn from the operating
system and is in no output. With a key file the same secret is used again, and the output is the same.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from tpr_outcomes.errors import OutputError, SourceError

KEY_BYTES = 32
LEAST_BYTES = 16


def draw_secret() -> bytes:
    """Draw a secret that nobody can repeat."""
    return secrets.token_bytes(KEY_BYTES)


def load_key(path: str | Path) -> tuple[bytes, bool]:
    """Read the secret from a key file, making the file where there is none.

    Parameters
    ----------
    path : str or Path
        Whoever has this file can link codes to patients; keep it where the record is kept.

    Returns
    -------
    secret : bytes
    made : bool
        Whether the file was made now, readable by its owner alone.

    Raises
    ------
    SourceError
        When the file cannot be read or is too short to be a secret.
    OutputError
        When it cannot be made.
    """
    place = Path(path)
    try:
        found = place.read_bytes().strip()
    except FileNotFoundError:
        return _make(place), True
    except OSError as error:
        raise SourceError(f"The key {place} cannot be read ({error.strerror}).") from error
    if len(found) < LEAST_BYTES:
        raise SourceError(
            f"The key {place} holds {len(found)} bytes; at least {LEAST_BYTES} are wanted. Name a file that "
            "is not there yet, and one is made."
        )
    return found, False


def _make(place: Path) -> bytes:
    """Write a new key, readable by its owner alone, never over another."""
    text = secrets.token_hex(KEY_BYTES).encode()
    try:
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text + b"\n")
    except OSError as error:
        raise OutputError(f"The key {place} cannot be written ({error.strerror}).") from error
    return text


def keyed(secret: bytes, purpose: str, text: str) -> int:
    """Return a number from 0 to 2**256 - 1 that only the secret can repeat (HMAC-SHA256).

    Parameters
    ----------
    secret : bytes
    purpose : str
        What the number is for; other purposes give other numbers.
    text : str
        What it stands for.
    """
    digest = hmac.new(secret, f"{purpose}\0{text}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest, "big")
