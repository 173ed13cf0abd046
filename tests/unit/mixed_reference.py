"""The lme4 and nlme cases of tests/reference as calls of our engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tpr_outcomes.models.mixed import MixedFit, fit_mixed

REFERENCE = Path(__file__).parents[1] / "reference"
MEAN = ("intercept", "t", "dose", "hinge")


@dataclass(frozen=True)
class Case:
    """One model of one data set, as R fitted it."""

    source: str
    dataset: str
    model: str
    method: str

    def __str__(self) -> str:
        return "-".join((self.source, self.dataset, self.model, self.method))

    @property
    def expected(self) -> dict[str, float]:
        """Terms R filed; a correlation is nan where a standard deviation is 0."""
        return _tables()[self][0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was said of the optimum, piece by piece."""
        return _tables()[self][1]

    @property
    def residual(self) -> str:
        return next((r for key, r in _RESIDUALS if key in self.model), "independent")

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``fit_mixed``."""
        data = read(self.dataset)
        t = data["t"].to_numpy(float)
        basis = np.log1p(t) if self.model == "intercept_log" else t
        columns = (
            2 if "slope" in self.model or self.model == "intercept_log" else int("intercept" in self.model)
        )
        return {
            "y": data["pain"].to_numpy(float),
            "x": np.column_stack([np.ones(t.size), t, data["dose"], data["hinge"]]),
            "patient": np.unique(data["patient"], return_inverse=True)[1],
            "z": np.column_stack([np.ones(t.size), basis])[:, :columns],
            "time": data["weeks"].to_numpy(float),
            "residual": self.residual,
            "method": self.method.lower(),
        }

    def fit(self) -> MixedFit:
        return fit_mixed(**self.arguments())


_RESIDUALS = (("car1_nugget", "car1+nugget"), ("car1", "car1"))


@cache
def read(dataset: str) -> pd.DataFrame:
    folder = "nlme" if (REFERENCE / "nlme" / f"{dataset}.csv").exists() else "lme4"
    return pd.read_csv(REFERENCE / folder / f"{dataset}.csv")


@cache
def _tables() -> dict[Case, tuple[dict[str, float], tuple[str, ...]]]:
    found = {}
    for source in ("lme4", "nlme"):
        table = pd.read_csv(REFERENCE / source / "expected.csv")
        for key, rows in table.groupby(["dataset", "model", "method"], sort=False):
            note = rows["optimum_note"].iloc[0]
            notes = tuple(note.split("; ")) if isinstance(note, str) else ()
            values = dict(zip(rows["term"], rows["value"].astype(float), strict=True))
            found[Case(source, *key)] = (values, notes)
    return found


CASES = list(_tables())
CORRELATED = [case for case in CASES if case.residual != "independent"]
