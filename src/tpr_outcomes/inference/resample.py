"""Randomness by name: seeds that depend on what they are for, never on who runs them or when.

A replicate's numbers are a function of ``(seed, names)`` alone, so they are the same on one worker
or many, in any order and any chunking, and after a killed worker is replaced.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Random generator for one named purpose.

    Parameters
    ----------
    seed : int
        The analysis seed, 0 or larger.
    *names : str or int
        What the numbers are for, e.g. ``"multiplier"`` or ``("calibrate", "N4", 150, 17)``.

    Returns
    -------
    numpy.random.Generator
        PCG64 seeded by ``SeedSequence(entropy=seed, spawn_key=words)`` where ``words`` are the
        eight 32-bit words of the SHA-256 of the names, so that different purposes get independent
        streams (numpy's documented use of ``spawn_key``).
    """
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype=">u4")
    key = tuple(int(word) for word in words)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key)))


def rademacher(rng: np.random.Generator, replicates: int, n: int) -> NDArray[np.float64]:
    """Independent signs, +1 or -1 with probability one half each.

    Returns
    -------
    ndarray, shape (replicates, n)
        One bit of the generator per sign; row ``b`` depends on ``b`` and ``n`` only, so fewer
        replicates are the first rows of more.
    """
    row_bytes = -(-n // 8)
    bits = np.frombuffer(rng.bytes(replicates * row_bytes), dtype=np.uint8).reshape(replicates, row_bytes)
    signs = np.unpackbits(bits, axis=1, count=n).astype(np.float64)
    signs *= 2.0
    signs -= 1.0
    return signs
