"""Evaluated folders with chosen numbers: the three files that a comparison reads, in their form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scipy import stats

from tpr_outcomes import __version__
from tpr_outcomes.reporting.folder import MANIFEST_SCHEMA
from tpr_outcomes.reporting.numbers import Results, Row
from tpr_outcomes.reporting.results import SCHEMA

SLOPE = "straight line, patient-robust; negative is better"
Z = float(stats.norm.ppf(0.975))


def rows_of(
    slope: float | None,
    error: float = 0.005,
    *,
    patients: float | None = 120.0,
    threshold: tuple[float, float, float] | None = None,
    improved: tuple[float, float, float] | None = None,
    excess: tuple[float, float] | None = None,
    slope_method: str = SLOPE,
) -> tuple[Row, ...]:
    """Rows of ``results.json`` with these numbers in them."""
    made = [Row("data:patients_analysed", "data:patients_analysed", unit="count", method="count")]
    if patients is not None:
        made = [
            Row("data:patients_analysed", "data:patients_analysed", patients, unit="count", method="count")
        ]
    made.append(Row("data:ratings", "data:ratings", 480.0, unit="count", method="count"))
    made.append(
        Row("figures:courses:1", "mean rating", 6.3, conf_low=6.0, conf_high=6.6, level=0.95, unit="points")
    )
    made.append(Row("by_visit:2:total", "running total", 9.0, unit="twitches", method="median and quartiles"))
    made.append(Row("design:dose_95", "dose_95", 63.45, unit="twitches", method="95th percentile"))
    if slope is not None:
        ends = slope - Z * error, slope + Z * error
        made.append(Row("verdict:slope_line", "change per dose", slope, error, *ends, level=0.95,
                        unit="points per dose", method=slope_method))  # fmt: skip
    if threshold is not None:
        place, low, high = threshold
        made.append(Row("test:threshold", "threshold", place, conf_low=low, conf_high=high, level=0.95,
                        unit="recorded twitches", method="likelihood ratio, 999 draws"))  # fmt: skip
    if improved is not None:
        share, low, high = improved
        made.append(Row("responders:percent-30", "share", share, conf_low=low, conf_high=high, level=0.95,
                        unit="share", method="recommendation"))  # fmt: skip
    if excess is not None:
        value, spread = excess
        ends = value - Z * spread, value + Z * spread
        made.append(Row("claims:C11:excess_by_6_30", "excess", value, spread, *ends,
                        level=0.95, unit="share", method="Aalen–Johansen"))  # fmt: skip
    return tuple(made)


def write_folder(
    folder: Path,
    rows: tuple[Row, ...],
    *,
    verdict: str = "inconclusive",
    sentence: str = "This record leaves it open.",
    plan: Mapping[str, Any] | None = None,
    version: str = __version__,
    record: str | None = None,
) -> Path:
    """Write the three files; the record's digest is that of the folder's path unless it is given."""
    folder.mkdir(parents=True)
    content = {"schema": SCHEMA, "verdict": verdict, "sentence": sentence}
    files = {
        "verdict.json": json.dumps(content).encode(),
        "results.json": Results(rows, {}).to_json().encode(),
    }
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "package": {"name": "tpr-outcomes", "version": version},
        "plan": {"dose": "twitches", "scale": "nrs", "rated": "before"} | dict(plan or {}),
        "seed": 1,
        "input": {"kind": "csv", "sha256": record or hashlib.sha256(str(folder).encode()).hexdigest()},
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def registry(home: Path, slopes: Mapping[str, tuple[float, float]]) -> list[Path]:
    """Write one folder per clinic, in the order of the mapping."""
    return [
        write_folder(
            home / name,
            rows_of(slope, error, patients=80.0 + 10 * i, excess=(0.05 + 0.01 * i, 0.04)),
        )
        for i, (name, (slope, error)) in enumerate(slopes.items())
    ]
