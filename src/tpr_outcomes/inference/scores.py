"""Change of each questionnaire from first to last score, held against every cited important difference.

Changes are plain: natural recovery and regression to the mean are in them. They are given per instrument over
all patients who have one, never for a subgroup of them, so nothing is picked out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.cohort.instruments import ImportantDifference, Scale
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.inference.clustered import Estimate, not_estimated, wilson

Array = NDArray[np.float64]

FEWEST_PATIENTS = 10
"""Patients with two scores that an instrument needs."""
_ROUNDING = 1e-9
"""A change that reaches a cut-point but for the rounding of decimals reaches it."""


@dataclass(frozen=True)
class Reached:
    """Share of patients who reached a cut-point.

    Attributes
    ----------
    cut : ImportantDifference
    share, conf_low, conf_high : float
    sides : tuple of int
        Patients who did, and who did not.
    """

    cut: ImportantDifference
    share: float
    conf_low: float
    conf_high: float
    sides: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ScoreChange:
    """What became of one instrument.

    Attributes
    ----------
    scale : Scale
    change : Estimate
        Last less first score, scale points; for an anchor, which asks for the change itself, the last score.
    reached : tuple of Reached
        One per cited cut-point, in the order of the instrument.
    beyond_error : float
        Share of patients whose change exceeds the smallest cited measurement error; NaN where none is cited.
    beyond_sides : tuple of int
        Patients whose change does, and whose does not.
    """

    scale: Scale
    change: Estimate
    reached: tuple[Reached, ...]
    beyond_error: float
    beyond_sides: tuple[int, ...] | None = None


def score_changes(scores: pd.DataFrame, *, level: float = 0.95) -> tuple[ScoreChange, ...]:
    """Summarise the change of every instrument with enough patients.

    Parameters
    ----------
    scores : DataFrame
        The table of scores: ``patient``, ``visit``, ``instrument``, ``score``, optionally ``moment``; scores
        right after a needling are left out.
    level : float, optional

    Returns
    -------
    tuple of ScoreChange
        In the order of :data:`tpr_outcomes.cohort.scales.SCALES`.

    Notes
    -----
    One first and one last score per patient; interval by Student's t, shares by Wilson.
    """
    table = scores[scores["score"].notna()]
    if "moment" in table:
        table = table[table["moment"].fillna("") != "after"]
    found = []
    for name, scale in SCALES.items():
        rows = table[table["instrument"] == name].sort_values(["patient", "visit"])
        if len(rows):
            found.append(_change(rows, scale, level))
    return tuple(found)


def _change(rows: pd.DataFrame, scale: Scale, level: float) -> ScoreChange:
    by = rows.groupby("patient")["score"]
    first, last = by.first().to_numpy(dtype=np.float64), by.last().to_numpy(dtype=np.float64)
    anchor = scale.role == "anchor"
    keep = np.ones(first.size, dtype=bool) if anchor else by.size().to_numpy() > 1
    first, last = first[keep], last[keep]
    n = int(keep.sum())
    if n < FEWEST_PATIENTS:
        reason = f"fewer than {FEWEST_PATIENTS} patients have {'one' if anchor else 'two'}"
        return ScoreChange(
            scale, not_estimated(scale.name, n_rows=n, n_patients=n, reason=reason), (), math.nan
        )
    value = last if anchor else last - first
    mean, error = float(value.mean()), float(value.std(ddof=1) / math.sqrt(n))
    reach = float(stats.t.ppf(0.5 + level / 2.0, n - 1)) * error
    change = Estimate(scale.name, mean, error, mean - reach, mean + reach, math.nan, n, n)
    reached = []
    for cut in scale.important_differences:
        met = _met(first, last, cut, scale)
        share = float(met.mean())
        low, high = wilson(share, math.sqrt(share * (1 - share) / n), n_patients=n, level=level)
        reached.append(Reached(cut, share, low, high, _sides(met)))
    errors = [item.value for item in scale.detectable_changes]
    past = np.abs(last - first) > min(errors, default=math.inf)
    beyond = float(past.mean()) if errors else math.nan
    return ScoreChange(scale, change, tuple(reached), beyond, _sides(past))


def _sides(met: NDArray[np.bool_]) -> tuple[int, int]:
    """How many are true, and how many are not."""
    return int(met.sum()), int((~met).sum())


def _met(first: Array, last: Array, cut: ImportantDifference, scale: Scale) -> NDArray[np.bool_]:
    """Whether each patient reached a cut-point."""
    sign = -1.0 if scale.higher_is_worse else 1.0
    if cut.kind == "level":
        return np.asarray(sign * last >= sign * cut.value)
    better = sign * (last - first)
    if cut.kind == "absolute":
        return np.asarray(better >= cut.value - _ROUNDING)
    return np.asarray((better > 0) & (better >= cut.value / 100.0 * np.abs(first) - _ROUNDING))
