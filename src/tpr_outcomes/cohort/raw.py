"""RawTable: one table of text cells, each with the address its owner sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tpr_outcomes.cohort.coded import Texts, codes_of, without_rows

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Origin:
    """Where the cells of one reshaped column stood in the tables they were taken from.

    Attributes
    ----------
    table, row, column : (n,) int64
        Index into :attr:`RawTable.tables`, row number there, and column index there; a column of -1
        says that the user's table has no such cell, only the row.
    """

    table: Ints
    row: Ints
    column: Ints


@dataclass(frozen=True)
class Clash:
    """An entry of a visit that has another of the same kind, so that it is not clear which to read.

    Attributes
    ----------
    role : str
        Canonical column.
    address, column : str
        Where it stands, and the user's name of the column.
    other : str
        Where the first entry of that visit stands.
    row : int
        Row of the reshaped table.
    """

    role: str
    address: str
    column: str
    other: str
    row: int


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table of text cells that remembers where each stood.

    Attributes
    ----------
    kind : str
        What was read: ``"csv"``, ``"excel"``, ``"frame"``, ``"spss"``, ``"stata"``, ``"sas"`` …
    sha256 : str
        Digest of the file; empty for a frame.
    header : tuple of str
        Column names as written, stripped.
    cells : tuple of (n,) object arrays
        One array of stripped text per column of ``header``; an empty text is an empty cell.
    rows : (n,) int64
        Line of a text file, row of a sheet, or position in a frame, each counted from 1.
    header_row : int
        Line or row of the header (of its last row where it has several); 0 for a frame or where there
        is none.
    sheet : str
        Name of the sheet read; empty for other kinds.
    decimal_comma : bool
        Whether ``7,5`` is seven and a half.
    empty_rows, overlong_rows : tuple of int
        Rows without any content (not in ``cells``), and rows with more cells than the header.
    encoding : str
        Encoding of a text file.
    guessed : bool
        Whether the encoding had to be guessed.
    other_sheets : int
        Sheets of the workbook that were not read.
    labels : mapping of int to mapping of str to str
        For a column, what its codes stand for (value labels, choices).
    layout : {"tidy", "wide", "redcap"}
        How the user's table was laid out.
    guess : tuple of str
        How the table was understood, in sentences, where that was not certain.
    roles : tuple of str
        Canonical name of each column, or an empty text; empty where names decide.
    tables, origin : tuple
        For a reshaped table: the user's own tables, and where each column's cells stood in them. ``rows``
        then counts the rows of the reshaped table from 1.
    unused : tuple of (str, str, str)
        Address, reason and rule of each row of the user's tables that became no row here.
    clashes : tuple of Clash
        Entries of a visit that has another of the same kind.
    said : tuple of str
        Names of the columns as they may be repeated; an empty text for one that is not. Empty where nobody
        has looked at the names yet (:mod:`~tpr_outcomes.cohort.said_names`).
    sheet_number : int
        Place of the sheet in its workbook, from 1; 0 for other kinds.
    sheet_said : bool
        Whether the sheet's name may be repeated.
    """

    kind: str
    sha256: str
    header: tuple[str, ...]
    cells: tuple[Texts, ...]
    rows: Ints
    header_row: int = 0
    sheet: str = ""
    decimal_comma: bool = False
    empty_rows: tuple[int, ...] = ()
    overlong_rows: tuple[int, ...] = ()
    encoding: str = ""
    guessed: bool = False
    other_sheets: int = 0
    labels: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    layout: str = "tidy"
    guess: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    tables: tuple[RawTable, ...] = ()
    origin: tuple[Origin, ...] = ()
    unused: tuple[tuple[str, str, str], ...] = ()
    clashes: tuple[Clash, ...] = ()
    said: tuple[str, ...] = ()
    sheet_number: int = 0
    sheet_said: bool = True

    @property
    def n_rows(self) -> int:
        """Rows with content below the header."""
        return int(self.rows.size)

    def address(self, row: int | None = None, column: int | None = None) -> str:
        """Return where the user finds a cell, a row, a column or the whole table.

        Parameters
        ----------
        row : int, optional
            Row number as in ``rows``.
        column : int, optional
            Index into ``header``.

        Returns
        -------
        str
            For example ``"line 14, column pain"`` or ``"sheet Visits, cell C14"``; in the user's own file
            where the table was reshaped.
        """
        if self.origin:
            return self._own_address(row, column)
        if self.kind == "excel":
            place = f"sheet {self.sheet_name}"
            if column is not None:
                return f"{place}, cell {letters(column)}{self.header_row if row is None else row}"
            return place if row is None else f"{place}, row {row}"
        parts = []
        if row is not None:
            parts.append(f"{'line' if self.kind == 'csv' else 'row'} {row}")
        if column is not None:
            parts.append(f"column {self.said_name(column) or column + 1}")
        return ", ".join(parts) or ("table" if self.kind == "frame" else "file")

    def _own_address(self, row: int | None, column: int | None) -> str:
        """Return an address in the table a reshaped cell was taken from."""
        if row is None and column is None:
            return self.tables[0].address() if len({t.address() for t in self.tables}) == 1 else "file"
        where = self.origin[self._key if column is None else column]
        if not where.table.size:
            return self.tables[0].address()
        if row is None:
            seen = np.flatnonzero(where.column >= 0)
            i = int(seen[0]) if seen.size else 0
            own = int(where.column[i])
            return self.tables[int(where.table[i])].address(column=own if own >= 0 else None)
        i = row - 1
        own = int(where.column[i])
        return self.tables[int(where.table[i])].address(int(where.row[i]), own if own >= 0 else None)

    @property
    def sheet_name(self) -> str:
        """Name of the sheet as it may be repeated, else its number: ``"no. 3"``."""
        return self.sheet if self.sheet_said else f"no. {self.sheet_number}"

    def said_name(self, column: int) -> str:
        """Return the name of a column where it may be repeated, else an empty text.

        Parameters
        ----------
        column : int
            Index into ``header``.
        """
        return self.said[column] if self.said else self.header[column]

    def named(self, column: int) -> str:
        """Return the name of a column, or where it stands if its name is not repeated or it has none.

        Parameters
        ----------
        column : int
            Index into ``header``.

        Returns
        -------
        str
            For example ``"pain_v3"``, ``"column 8"`` or, of a sheet, ``"column H"``.
        """
        return self.said_name(column) or f"column {letters(column) if self.kind == 'excel' else column + 1}"

    @property
    def by_role(self) -> dict[str, int]:
        """Column of each canonical name, where the reader knows."""
        return {role: i for i, role in enumerate(self.roles) if role}

    @property
    def _key(self) -> int:
        """Column whose origin stands for the row as a whole."""
        return self.roles.index("visit") if "visit" in self.roles else 0

    def column_name(self, row: int, column: int) -> str:
        """Return the user's own name of the column a cell stands in.

        Parameters
        ----------
        row : int
            Row number as in ``rows``.
        column : int
            Index into ``header``.

        Returns
        -------
        str
            For example ``"pain_v3"`` where the header here is ``"pain"``; empty where it is not repeated.
        """
        if not self.origin:
            return self.said_name(column)
        where = self.origin[column]
        own = int(where.column[row - 1])
        return self.tables[int(where.table[row - 1])].said_name(own) if own >= 0 else self.said_name(column)


def texts(values: list[str]) -> Texts:
    """Return a one-dimensional object array of the texts.

    Parameters
    ----------
    values : list of str
        The texts.

    Returns
    -------
    (n,) object array
        The same texts.
    """
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result


def drop_empty(header: tuple[str, ...], cells: tuple[Texts, ...], rows: Ints, **facts: Any) -> RawTable:
    """Make a table, setting rows without content aside and saying which they were.

    Parameters
    ----------
    header : tuple of str
        Column names.
    cells : tuple of (n,) object arrays
        Text of each column.
    rows : (n,) int64
        Row numbers.
    **facts
        Further attributes of :class:`RawTable`.

    Returns
    -------
    RawTable
        Without the empty rows.
    """
    used = np.zeros(rows.size, dtype=bool)
    for column in cells:
        codes, different = codes_of(column)
        used |= (different != "")[codes]
    return RawTable(
        header=header,
        cells=cells if used.all() else tuple(without_rows(column, used) for column in cells),
        rows=rows[used],
        empty_rows=tuple(int(row) for row in rows[~used]),
        **facts,
    )


def letters(column: int) -> str:
    """Return a spreadsheet's letters for a column index: 0 is A, 26 is AA.

    Parameters
    ----------
    column : int
        From 0.

    Returns
    -------
    str
        One or more capital letters.
    """
    text = ""
    number = column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
