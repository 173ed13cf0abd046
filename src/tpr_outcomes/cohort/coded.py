"""Columns of text as codes: each different text is kept, read and judged once.

A clinic's column of a million cells holds a few dozen different texts. Whoever wants to know something of
every cell asks it of every different text and looks the answers up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Texts = npt.NDArray[np.object_]
Codes = npt.NDArray[np.int64] | npt.NDArray[np.int32]


class CodedTexts(np.ndarray[tuple[int], np.dtype[np.object_]]):
    """An object array of texts that remembers which of its texts are the same.

    It is an ordinary array to everyone; parts and copies of it are plain arrays in effect, since they
    do not remember the codes.

    Attributes
    ----------
    coded : tuple of (n,) int array and (k,) object array, or None
        For every cell the position of its text among the different texts.
    """

    coded: tuple[Codes, Texts] | None = None

    def __array_finalize__(self, other: Any) -> None:
        """Forget the codes: what is made of the array has other cells."""
        self.coded = None


def from_codes(codes: Codes, texts: Texts) -> Texts:
    """Return the column whose cells are ``texts[codes]``.

    Parameters
    ----------
    codes : (n,) int array
        Positions in ``texts``, none negative.
    texts : (k,) object array of str
        Different texts.

    Returns
    -------
    (n,) object array of str
        A :class:`CodedTexts`; equal cells share one text in memory.
    """
    column = texts[codes].view(CodedTexts)
    column.coded = (codes, texts)
    return column


def codes_of(cells: Texts) -> tuple[Codes, Texts]:
    """Return for every cell the position of its text, and the different texts.

    Parameters
    ----------
    cells : (n,) object array of str
        A column.

    Returns
    -------
    codes : (n,) int array
        ``texts[codes]`` are the cells.
    texts : (k,) object array of str
        Different texts, in no particular order.
    """
    if isinstance(cells, CodedTexts) and cells.coded is not None:
        return cells.coded
    codes, texts = pd.factorize(np.asarray(cells))
    return codes.astype(np.int64), texts


def without_rows(cells: Texts, keep: npt.NDArray[np.bool_]) -> Texts:
    """Return a column without some of its rows, its codes kept where it has them.

    Parameters
    ----------
    cells : (n,) object array of str
        A column.
    keep : (n,) bool
        Rows that stay.

    Returns
    -------
    (m,) object array of str
        The cells of those rows.
    """
    if isinstance(cells, CodedTexts) and cells.coded is not None:
        codes, texts = cells.coded
        return from_codes(codes[keep], texts)
    return cells[keep]
