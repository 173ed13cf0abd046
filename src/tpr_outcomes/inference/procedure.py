"""What needling feels like: how long a twitch hurts, what it is like, is the insertion felt? Claims C4 to C6.

All come from the table of sites, one row per muscle and visit. What was not recorded is left out and counted;
rows of one patient are one patient's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import Estimate, ratio_of, share_of

FEWEST_PATIENTS = 5
"""With fewer patients no share is given."""
BRIEF = 1.0
"""Seconds below which a pain counts as very brief, in the words of the claim."""
NAMED = ("electrical shock", "cramping")
"""Feelings the claim names."""
SILENT = "nothing"
"""Word for a twitch that was not felt."""


@dataclass(frozen=True)
class Shares:
    """Shares of one question, with who reported them.

    Attributes
    ----------
    estimates : tuple of Estimate
    reported_by : mapping of str to int
        Rows by who said so; "not recorded" where nobody is named.
    left_out : int
        Rows of the table without an answer to the question.
    """

    estimates: tuple[Estimate, ...]
    reported_by: Mapping[str, int]
    left_out: int

    def get(self, term: str) -> Estimate:
        """Return the estimate of that name."""
        return next(row for row in self.estimates if row.term == term)


def twitch_pain(sites: pd.DataFrame, *, level: float = 0.95) -> Shares:
    """How long the pain of a twitch lasts.

    Parameters
    ----------
    sites : DataFrame
        ``patient``, ``twitch_pain_seconds`` (NaN: not timed), optionally ``reported_by``.
    level : float, optional

    Returns
    -------
    Shares
        ``brief``: share under :data:`BRIEF` seconds; ``median_seconds``, ``seconds_90``: without intervals.

    Raises
    ------
    FitError
        With fewer than five patients.
    """
    used = _answered(sites, "twitch_pain_seconds")
    seconds = used["twitch_pain_seconds"].to_numpy(dtype=np.float64)
    brief = share_of("brief", seconds < BRIEF, used["patient"], level=level)
    rows = [brief]
    for name, share in (("median_seconds", 0.5), ("seconds_90", 0.9)):
        value = float(np.quantile(seconds, share))
        nothing = (math.nan,) * 4
        rows.append(Estimate(name, value, *nothing, brief.n_rows, brief.n_patients))
    return Shares(tuple(rows), reporters(used), len(sites) - len(used))


def twitch_feeling(sites: pd.DataFrame, *, level: float = 0.95) -> Shares:
    """How often each word is used for the feeling of a twitch, among those that were felt.

    Parameters
    ----------
    sites : DataFrame
        ``patient``, ``twitch_feeling`` (missing: not asked), optionally ``reported_by``.
    level : float, optional

    Returns
    -------
    Shares
        ``named``: share of :data:`NAMED` together; then one estimate per word, most frequent first.

    Raises
    ------
    FitError
        With fewer than five patients.
    """
    used = _answered(sites, "twitch_feeling")
    used = used.loc[used["twitch_feeling"] != SILENT]
    _require_patients(used)
    words, patient = used["twitch_feeling"], used["patient"]
    rows = [share_of("named", words.isin(NAMED), patient, level=level)]
    rows += [share_of(str(word), words == word, patient, level=level) for word in words.value_counts().index]
    return Shares(tuple(rows), reporters(used), len(sites) - len(used))


def insertion_felt(sites: pd.DataFrame, *, level: float = 0.95) -> Shares:
    """How many needle insertions are not felt.

    Parameters
    ----------
    sites : DataFrame
        ``patient``, ``insertions``, ``insertions_felt`` (NaN: not asked), optionally ``reported_by``.
    level : float, optional

    Returns
    -------
    Shares
        ``not_felt``: share of insertions; ``not_felt_patients``: share of patients who felt fewer than half.

    Raises
    ------
    FitError
        With fewer than five patients.
    """
    used = _answered(sites, "insertions_felt", "insertions")
    used = used.loc[used["insertions"] > 0]
    _require_patients(used)
    missed = used["insertions"] - used["insertions_felt"]
    sums = used.assign(missed=missed).groupby("patient")[["missed", "insertions"]].sum()
    most = sums["missed"] > 0.5 * sums["insertions"]
    rows = (
        ratio_of("not_felt", missed, used["insertions"], used["patient"], level=level),
        share_of("not_felt_patients", most, sums.index, level=level),
    )
    return Shares(rows, reporters(used), len(sites) - len(used))


def reporters(table: pd.DataFrame) -> dict[str, int]:
    """Count rows by who reported them."""
    if "reported_by" not in table:
        return {"not recorded": len(table)} if len(table) else {}
    counts = table["reported_by"].fillna("not recorded").value_counts()
    return {str(name): int(n) for name, n in counts.items()}


def _answered(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Rows that answer the question; enough patients among them, or it is refused."""
    used = table.loc[table[list(columns)].notna().all(axis=1)]
    _require_patients(used)
    return used


def _require_patients(table: pd.DataFrame) -> None:
    people = int(table["patient"].nunique())
    if people < FEWEST_PATIENTS:
        raise FitError(f"Fewer than {FEWEST_PATIENTS} patients answered.")
