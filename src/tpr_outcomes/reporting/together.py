"""Many clinics together: a line for each, and their dose slopes pulled towards one another.

Everything is read from the clinics' own folders as :func:`~tpr_outcomes.reporting.bundle.write_report` wrote
them, so small counts are withheld here as they are there, and a clinic that was judged last month
counts like one that was judged today.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tpr_outcomes import __version__
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.shrinkage import FEWEST_GROUPS, partial_pool
from tpr_outcomes.reporting import words_clinics as say
from tpr_outcomes.reporting.results import Json, tidy_json

INDEX_SCHEMA = "tpr-outcomes/clinics/1"
POOLED_SCHEMA = "tpr-outcomes/pooled/1"
DOSES = 10
"""Doses to which slopes are counted: one twitch more is too little to picture."""
COLUMNS = (
    "label", "folder", "verdict", "patients", "ratings", "dose", "scale", "rated", "threshold", "conf_low",
    "conf_high", "p_dose", "p_threshold", "delta_bic", "identifiable", "slope_line", "slope_line_error",
)  # fmt: skip
"""Columns of the index: ``slope_line`` is the change per 10 doses, each alike; negative is better."""


@dataclass(frozen=True)
class Failure:
    """Why a clinic could not be judged.

    Attributes
    ----------
    label, what, where, remedy : str
    """

    label: str
    what: str
    where: str
    remedy: str


def clinic_row(label: str, folder: Path) -> dict[str, Json]:
    """Return the main numbers of one clinic, from its folder; None where there is none or it is withheld."""
    said = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    numbers = json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]
    line = next((row for row in numbers if row["id"] == "verdict:slope_line"), None)
    threshold: Mapping[str, Json] = said["threshold"] or {}
    data = said["data"]
    row: dict[str, Json] = {
        "label": label,
        "folder": f"{folder.parent.name}/{folder.name}",
        "verdict": said["verdict"],
        "patients": data["patients_analysed"],
        "ratings": data["ratings"],
        "dose": data["dose"],
        "scale": data["scale"],
        "rated": data["rated"],
        "threshold": threshold.get("estimate"),
        "conf_low": threshold.get("conf_low"),
        "conf_high": threshold.get("conf_high"),
        "p_dose": said["p_values"]["dose"],
        "p_threshold": said["p_values"]["threshold_max"],
        "delta_bic": said["delta_bic"],
        "identifiable": said["design"]["identifiable"],
        "slope_line": None if line is None else DOSES * line["estimate"],
        "slope_line_error": None if line is None else DOSES * line["std_error"],
    }
    return {name: row[name] for name in COLUMNS}


def index_json(rows: Sequence[Mapping[str, Json]], failures: Sequence[Failure]) -> str:
    """Return ``index.json``: a line per clinic, and which failed."""
    content = tidy_json(
        {
            "schema": INDEX_SCHEMA,
            "package": {"name": "tpr-outcomes", "version": __version__},
            "clinics": [dict(row) for row in rows],
            "failed": list(dict.fromkeys(failure.label for failure in failures)),
        }
    )
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def index_frame(rows: Sequence[Mapping[str, Json]]) -> pd.DataFrame:
    """Return the index as a table, columns :data:`COLUMNS`."""
    tidy: Any = tidy_json([dict(row) for row in rows])
    frame = pd.DataFrame(tidy, columns=list(COLUMNS))
    return frame.astype({"patients": "Int64", "ratings": "Int64"})


def pooled_json(rows: Sequence[Mapping[str, Json]]) -> str:
    """Return ``pooled.json``: partial pooling of the slopes of clinics with one scale, dose and timing."""
    kinds = sorted({(str(r["scale"]), str(r["dose"]), str(r["rated"])) for r in rows})
    groups = [
        _pooled([r for r in rows if (r["scale"], r["dose"], r["rated"]) == kind], *kind) for kind in kinds
    ]
    content = tidy_json({"schema": POOLED_SCHEMA, "reading": say.POOLED["reading"], "groups": groups})
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _pooled(rows: Sequence[Mapping[str, Json]], scale: str, dose: str, rated: str) -> Json:
    """Pool clinics that can be compared, or say why that cannot be done."""
    used = [row for row in rows if row["slope_line"] is not None and row["slope_line_error"]]
    quantity = say.POOLED["quantity"].format(dose=dose)
    group: dict[str, Json] = {"scale": scale, "dose": dose, "rated": rated, "quantity": quantity}
    group["left_out"] = [row["label"] for row in rows if row not in used]
    try:
        if len(used) < FEWEST_GROUPS:
            raise FitError(say.POOLED["too_few"].format(k=len(used), fewest=FEWEST_GROUPS))
        slopes: Any = [[row["slope_line"], row["slope_line_error"]] for row in used]
        p = partial_pool([slope for slope, _ in slopes], [error for _, error in slopes])
    except FitError as error:
        return group | {"reason": str(error), "mean": None, "clinics": []}
    mean: dict[str, Json] = {"estimate": p.mean, "std_error": p.mean_error, "conf_low": p.mean_low}
    mean |= {"conf_high": p.mean_high, "level": p.level}
    between: dict[str, Json] = {"tau": p.tau, "q": p.q, "p_value": p.p_value}
    clinics: list[Json] = [
        {
            "label": row["label"],
            "estimate": float(p.estimate[i]),
            "std_error": float(p.std_error[i]),
            "shrunken": float(p.shrunken[i]),
            "shrunken_error": float(p.shrunken_error[i]),
            "conf_low": float(p.conf_low[i]),
            "conf_high": float(p.conf_high[i]),
            "own_weight": float(p.weight[i]),
        }
        for i, row in enumerate(used)
    ]
    return group | {"reason": "", "mean": mean, "between": between, "clinics": clinics}
