"""A simulated clinic with all it wrote down: a record in memory, or a workbook with a sheet per table."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pandas as pd

from tpr_outcomes.cohort.record import Record
from tpr_outcomes.cohort.tables import read_record
from tpr_outcomes.planning.beside import Beside, tables_beside, weeks_beside
from tpr_outcomes.planning.simulate import (
    WrittenClinic,
    describe_truth,
    get_world,
    simulate_frame,
    write_both,
)
from tpr_outcomes.planning.truth import Truth

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time written on every part of a workbook: the earliest a zip file can hold."""


def simulate_tables(
    truth: Truth | str, *, n_patients: int, seed: int, beside: Beside | None = None
) -> dict[str, pd.DataFrame]:
    """Simulate a clinic and write down its visits and everything beside them.

    Parameters
    ----------
    truth : Truth or str
        A world, or the name of one.
    n_patients : int
        Patients, 1 or more.
    seed : int
        0 or larger; the visits are those of :func:`~tpr_outcomes.planning.simulate.simulate_frame`.
    beside : Beside, optional
        What is true beside the visits.

    Returns
    -------
    dict of str to DataFrame
        ``visits``, ``sites``, ``diary``, ``events``, ``patients``.

    Raises
    ------
    PlanError
        When there is no such world or a number is not possible.
    """
    beside = beside or Beside()
    visits = simulate_frame(truth, n_patients=n_patients, seed=seed)
    if "weeks" not in visits:
        visits.insert(2, "weeks", weeks_beside(visits["visit"].to_numpy(), beside, seed=seed))
    return {"visits": visits, **tables_beside(visits, beside, seed=seed)}


def simulate_record(
    truth: Truth | str, *, n_patients: int, seed: int, beside: Beside | None = None
) -> Record:
    """Simulate a clinic as :func:`simulate_tables` does and read what it wrote down."""
    tables = simulate_tables(truth, n_patients=n_patients, seed=seed, beside=beside)
    return read_record(tables.pop("visits"), tables=tables)


def to_workbook(
    truth: Truth | str, path: str | Path, *, n_patients: int, seed: int, beside: Beside | None = None
) -> WrittenClinic:
    """Write a simulated clinic as a workbook with a sheet per table, and the truth as JSON beside it.

    Parameters
    ----------
    truth : Truth or str
        A world, or the name of one.
    path : str or Path
        The workbook; the truth goes to the same name ending in ``.truth.json``.
    n_patients, seed, beside
        As in :func:`simulate_tables`. The same give the same bytes.

    Raises
    ------
    PlanError
        When there is no such world or a number is not possible.
    OutputError
        When a file cannot be written.
    """
    world = get_world(truth) if isinstance(truth, str) else truth
    beside = beside or Beside()
    tables = simulate_tables(world, n_patients=n_patients, seed=seed, beside=beside)
    known = describe_truth(world, n_patients, seed) | {"beside": beside.to_dict()}
    data = Path(path)
    sidecar = data.with_suffix(".truth.json")
    text = json.dumps(known, indent=2) + "\n"
    write_both({data: workbook_bytes(tables), sidecar: text.encode("utf-8")})
    return WrittenClinic(data, sidecar, len(tables["visits"]), n_patients)


def workbook_bytes(tables: Mapping[str, pd.DataFrame]) -> bytes:
    """Write frames as the sheets of a workbook; the same frames give the same bytes."""
    first = io.BytesIO()
    with pd.ExcelWriter(first, engine="openpyxl") as writer:
        for name, frame in tables.items():
            frame.to_excel(writer, sheet_name=name, index=False)
        writer.book.properties.created = writer.book.properties.modified = datetime(*_EPOCH[:3])  # noqa: DTZ001 (a workbook knows no zone)
    second = io.BytesIO()
    with zipfile.ZipFile(first) as source, zipfile.ZipFile(second, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist()):
            target.writestr(
                zipfile.ZipInfo(name, _EPOCH), _undated(name, source.read(name)), zipfile.ZIP_DEFLATED
            )
    return second.getvalue()


def _undated(name: str, content: bytes) -> bytes:
    """Take the time of saving, which the library sets by itself, out of the properties."""
    if name != "docProps/core.xml":
        return content
    text = content.decode("utf-8")
    start = text.index("<dcterms:modified")
    end = text.index("</dcterms:modified>")
    body = text.index(">", start) + 1
    return (text[:body] + "1980-01-01T00:00:00Z" + text[end:]).encode("utf-8")
