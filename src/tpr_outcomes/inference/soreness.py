"""How many are sore after needling, for how long, and is it more with more twitches? Claims C7 to C10.

A diary says at a few hours after a visit how sore the patient is. Soreness that was there at one entry and
gone at the next ended somewhere between: durations are interval-censored. All shares come from one
nonparametric distribution of the duration over all visits with a diary, so that a missing entry costs
precision but not truth, as long as leaving it out has nothing to do with soreness. The bounds say what
leaving out could do at worst.

Taken for granted, and counted where the diary shows otherwise (``delayed``): soreness is there from the start
and once gone stays gone. The duration is the time of the last soreness.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.cohort.diary import DIARY_HOURS, diary_entries, diary_episodes, diary_visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.clustered import Estimate, jackknife, not_estimated, regression, share_of, wilson
from tpr_outcomes.inference.interval_censored import DurationFit, Npmle, fit_duration, npmle

Array = NDArray[np.float64]

FEWEST_PATIENTS = 5
"""With fewer patients no interval is given."""

QUANTILES = (0.5, 0.75, 0.9)
FAMILIES = ("weibull", "lognormal")


@dataclass(frozen=True)
class Soreness:
    """What the soreness diaries say.

    Attributes
    ----------
    estimates : tuple of Estimate
        See :func:`analyse_soreness` for the terms.
    duration : Npmle
        Distribution of the duration over all visits with a diary; mass up to ``first_hour`` means not sore.
    shapes : tuple of DurationFit
        Weibull and log-normal fits, as far as there are any.
    first_hour, horizon : float
        First planned hour with entries, from which soreness counts; hour by which it is asked whether it is
        resolved.
    level : float
    delayed : int
        Visits at which soreness came after an entry without.
    without_diary : int or None
        Visits without any entry; None if the visits are not known.
    """

    estimates: tuple[Estimate, ...]
    duration: Npmle
    shapes: tuple[DurationFit, ...]
    first_hour: float
    horizon: float
    level: float
    delayed: int
    without_diary: int | None
    patients_without: int | None = None

    def get(self, term: str) -> Estimate:
        """Return the estimate of that name."""
        for row in self.estimates:
            if row.term == term:
                return row
        known = ", ".join(row.term for row in self.estimates)
        raise PlanError(f"There is no soreness estimate called {term!r}; there are {known}.")

    def to_frame(self) -> pd.DataFrame:
        """One row per estimate."""
        return pd.DataFrame([asdict(row) for row in self.estimates])


def analyse_soreness(
    diary: pd.DataFrame,
    *,
    visits: pd.DataFrame | None = None,
    planned: tuple[float, ...] = DIARY_HOURS,
    horizon: float = 48.0,
    sore_above: float = 0.0,
    level: float = 0.95,
) -> Soreness:
    """Analyse a soreness diary.

    Parameters
    ----------
    diary : DataFrame
        One row per entry: ``patient`` (code), ``visit`` (number), ``hours`` since needling (> 0),
        ``soreness`` (0–10, NaN: not filled in), optionally ``area`` ("local", "referred" or "both").
    visits : DataFrame, optional
        One row per visit, with or without a diary: ``patient``, ``visit`` and optionally ``twitches``.
    planned : tuple of float, optional
        Hours at which entries were asked for.
    horizon : float, optional
        One of ``planned``: by when is soreness resolved?
    sore_above : float, optional
        Soreness above this counts as sore (scale points).
    level : float, optional
        Of the intervals.

    Returns
    -------
    Soreness
        Terms (48 stands for the horizon): ``sore`` share of visits sore at the first planned hour or later;
        ``sore_lowest``, ``sore_highest`` the same if every missing entry and diary had been without, or with,
        soreness; ``sore_patients`` share of patients seen sore at least once; ``resolved_48`` among sore
        visits, with ``resolved_48_lowest``, ``_highest`` and the parametric ``resolved_48_weibull``,
        ``_lognormal``; ``free_48`` not or no longer sore, of all visits; ``duration_50``, ``_75``, ``_90``
        hours among the sore; ``local``, ``referred`` share of sore visits with an area; ``twitches``,
        ``twitches_within``, ``twitches_between`` points of soreness per twitch at that visit.

    Raises
    ------
    DataError
        If columns are missing or entries impossible.
    PlanError
        If ``horizon`` is not a planned hour after the first.
    FitError
        If fewer than five patients made entries at any planned hour.
    """
    hours = tuple(sorted(float(hour) for hour in planned))
    entries = diary_entries(diary, hours)
    visits = None if visits is None else diary_visits(visits, entries)
    episodes = diary_episodes(entries, sore_above=sore_above)
    first = _first_hour(entries)
    if horizon not in hours or horizon <= first:
        raise PlanError(f"The horizon is {horizon:g} h; it has to be a planned hour after {first:g} h.")
    without = 0 if visits is None else len(visits) - len(episodes)
    duration = npmle(episodes["left"], episodes["right"])
    shapes, why_not = _shapes(episodes)
    rows = [
        *_shares(episodes, first=first, horizon=horizon, level=level),
        *_bounds(episodes, visits, first=first, horizon=horizon, level=level),
        *_parametric(shapes, episodes, why_not, first=first, horizon=horizon, level=level),
        *_quantiles(duration, shapes, episodes, first=first, level=level),
        *_areas(episodes, level=level),
        *dose_slopes(entries, visits, hours, level=level),
    ]
    return Soreness(
        estimates=tuple(rows),
        duration=duration,
        shapes=shapes,
        first_hour=first,
        horizon=float(horizon),
        level=level,
        delayed=int(episodes["delayed"].sum()),
        without_diary=None if visits is None else without,
        patients_without=None if visits is None else int(np.unique(_lacking(episodes, visits)).size),
    )


def _first_hour(entries: pd.DataFrame) -> float:
    """First planned hour at which enough patients made an entry."""
    people = entries.loc[entries["hours"] == entries["planned"]].groupby("planned")["patient"].nunique()
    enough = people.index[people >= FEWEST_PATIENTS]
    if not len(enough):
        raise FitError(
            f"No planned hour has entries of {FEWEST_PATIENTS} patients; fewer do not make an interval."
        )
    return float(enough[0])


def _distribution_shares(duration: Npmle, first: float, horizon: float) -> Array:
    """Share sore, free by the horizon, and resolved by the horizon among the sore.

    Where no look falls on an hour, the cautious end: as sore, and as long, as fits the entries.
    """
    not_sore, by = duration.share_by(first)[0], duration.share_by(horizon)[0]
    sore = 1.0 - not_sore
    return np.array([sore, by, (by - not_sore) / sore if sore > 1e-9 else math.nan])


def _shares(episodes: pd.DataFrame, *, first: float, horizon: float, level: float) -> list[Estimate]:
    """Shares from the nonparametric distribution over all visits with a diary."""
    left, right = episodes["left"].to_numpy(), episodes["right"].to_numpy()
    patient = episodes["patient"].to_numpy()

    def statistic(keep: NDArray[np.bool_]) -> Array:
        return _distribution_shares(npmle(left[keep], right[keep]), first, horizon)

    whole = statistic(np.ones(len(episodes), dtype=bool))
    errors = np.sqrt(np.diag(jackknife(statistic, patient)))
    sore = episodes.loc[episodes["sore"]]
    frames = (episodes, episodes, sore)
    names = ("sore", f"free_{horizon:g}", f"resolved_{horizon:g}")
    rows = []
    for name, value, error, frame in zip(names, whole.tolist(), errors.tolist(), frames, strict=True):
        people = frame["patient"].nunique()
        if people < FEWEST_PATIENTS or not math.isfinite(error):
            reason = f"fewer than {FEWEST_PATIENTS} patients were seen sore"
            rows.append(not_estimated(name, n_rows=len(frame), n_patients=people, reason=reason))
            continue
        low, high = wilson(value, error, n_patients=people, level=level)
        sides = _sides(name, frame, horizon)
        rows.append(Estimate(name, value, error, low, high, math.nan, len(frame), people, "", sides))
    ever = episodes.groupby("patient")["sore"].any()
    rows.append(share_of("sore_patients", ever.to_numpy(), ever.index.to_numpy(), level=level))
    return rows


def _sides(name: str, frame: pd.DataFrame, horizon: float) -> tuple[int, int]:
    """Patients with an episode that can have been so, and with one that can have been otherwise."""
    yes, no = frame["sore"], ~frame["sore"]
    if name != "sore":
        yes, no = frame["left"] < horizon, frame["right"] > horizon
    return int(frame.loc[yes, "patient"].nunique()), int(frame.loc[no, "patient"].nunique())


def _bounds(
    episodes: pd.DataFrame, visits: pd.DataFrame | None, *, first: float, horizon: float, level: float
) -> list[Estimate]:
    """What the shares would be if all that is missing had gone the one way, or the other."""
    left, right = episodes["left"].to_numpy(), episodes["right"].to_numpy()
    # which of 0 not sore, 1 resolved by the horizon, 2 later an episode can have been
    can = np.column_stack([left < first, (left < horizon) & (right > first), right > horizon])
    patient = episodes["patient"].to_numpy()
    note = "missing entries"
    if visits is not None:
        note = "missing entries and diaries"
        lacking = _lacking(episodes, visits)
        can = np.vstack([can, np.ones((lacking.size, 3), dtype=bool)])
        patient = np.concatenate([patient, lacking])

    def choose(*order: int) -> NDArray[np.int64]:
        return np.asarray(np.take(order, np.argmax(can[:, order], axis=1)), dtype=np.int64)

    rows = []
    for name, kind in (("sore_lowest", choose(0, 1, 2)), ("sore_highest", choose(1, 2, 0))):
        rows.append(share_of(name, kind > 0, patient, level=level, note=note))
    open_ends = int(np.unique(patient[can.sum(axis=1) > 1]).size)
    term = f"resolved_{horizon:g}"
    for name, kind in ((f"{term}_lowest", choose(2, 0, 1)), (f"{term}_highest", choose(1, 0, 2))):
        sore = kind > 0
        rows.append(share_of(name, kind[sore] == 1, patient[sore], level=level, note=note))
    # what is not known follows from the two ends together
    return [replace(row, sides=None if row.sides is None else (*row.sides, open_ends)) for row in rows]


def _lacking(episodes: pd.DataFrame, visits: pd.DataFrame) -> NDArray[np.int64]:
    """Patient of each visit without a diary."""
    whole = visits.merge(episodes[["patient", "visit"]], how="left", indicator="diary")
    return np.asarray(whole.loc[whole["diary"] == "left_only", "patient"])


def _shapes(episodes: pd.DataFrame) -> tuple[tuple[DurationFit, ...], str]:
    """Fits to sore episodes, given that soreness outlasted the first entry; or why there are none."""
    sore = episodes.loc[episodes["sore"]]
    if sore["patient"].nunique() < FEWEST_PATIENTS:
        return (), f"fewer than {FEWEST_PATIENTS} patients were seen sore"
    entry = sore["first_entry"]
    fits = []
    try:
        for family in FAMILIES:
            fits.append(
                fit_duration(sore["left"], sore["right"], family=family, entry=entry, cluster=sore["patient"])
            )
    except FitError as problem:
        return (), str(problem)
    return tuple(fits), ""


def _parametric(
    shapes: tuple[DurationFit, ...],
    episodes: pd.DataFrame,
    why_not: str,
    *,
    first: float,
    horizon: float,
    level: float,
) -> list[Estimate]:
    """Share resolved by the horizon under each shape; interval on the logit scale."""
    sore = episodes.loc[episodes["sore"]]
    people, n = sore["patient"].nunique(), len(sore)
    names = [f"resolved_{horizon:g}_{family}" for family in FAMILIES]
    if not shapes:
        return [not_estimated(name, n_rows=n, n_patients=people, reason=why_not) for name in names]
    t = float(stats.t.ppf(0.5 + level / 2.0, people - 1))
    rows = []
    for name, fit in zip(names, shapes, strict=True):

        def logit(at: DurationFit) -> float:
            share = min(max(at.share_by(horizon, after=first), 1e-12), 1.0 - 1e-12)
            return math.log(share / (1.0 - share))

        here, error = logit(fit), fit.std_error(logit)
        share, low, high = (1.0 / (1.0 + math.exp(-x)) for x in (here, here - t * error, here + t * error))
        note = f"AIC {fit.aic:.2f}"
        rows.append(
            Estimate(name, share, error * share * (1.0 - share), low, high, math.nan, n, people, note, ())
        )
    return rows


def _quantiles(
    duration: Npmle, shapes: tuple[DurationFit, ...], episodes: pd.DataFrame, *, first: float, level: float
) -> list[Estimate]:
    """Hours of soreness among the sore: the better shape, and beside it what holds without any."""
    sore = episodes.loc[episodes["sore"]]
    people, n = sore["patient"].nunique(), len(sore)
    best = min(shapes, key=lambda fit: fit.aic) if shapes else None
    rows = []
    for share in QUANTILES:
        name = f"duration_{100 * share:g}"
        low, high = duration.quantile(share, after=first)
        bracket = f"over {low:g} h" if math.isinf(high) else f"between {low:g} and {high:g} h"
        if best is None:
            reason = f"{bracket}, without a shape"
            rows.append(not_estimated(name, n_rows=n, n_patients=people, reason=reason))
            continue
        t = float(stats.t.ppf(0.5 + level / 2.0, people - 1))
        value = best.quantile(share, after=first)
        error = best.std_error(_log_quantile(share, first))
        note = f"{best.family}; without a shape {bracket}"
        ends = value * math.exp(-t * error), value * math.exp(t * error)
        rows.append(Estimate(name, value, value * error, *ends, math.nan, n, people, note))
    return rows


def _log_quantile(share: float, first: float) -> Callable[[DurationFit], float]:
    return lambda fit: math.log(fit.quantile(share, after=first))


def _areas(episodes: pd.DataFrame, *, level: float) -> list[Estimate]:
    """Share of sore visits, with the area recorded, sore where treated and sore where pain is referred to."""
    if "mapped" not in episodes:
        return []
    mapped = episodes.loc[episodes["mapped"]]
    return [
        share_of(name, mapped[name].to_numpy(), mapped["patient"].to_numpy(), level=level)
        for name in ("local", "referred")
    ]


def dose_slopes(
    entries: pd.DataFrame, visits: pd.DataFrame | None, planned: tuple[float, ...], *, level: float = 0.95
) -> list[Estimate]:
    """Soreness against twitches at that visit, among entries of the same planned hour; visit number held.

    Parameters
    ----------
    entries : DataFrame
        As :func:`tpr_outcomes.cohort.diary.diary_entries` returns them.
    visits : DataFrame or None
        ``patient``, ``visit`` and ``twitches``.
    planned : tuple of float
        Hours at which entries were asked for.
    level : float, optional

    Returns
    -------
    list of Estimate
        ``twitches``, ``twitches_within`` and ``twitches_between``, points per twitch; none without twitches.
    """
    names = ("twitches", "twitches_within", "twitches_between")
    if visits is None or "twitches" not in visits:
        return []
    table = entries.merge(visits.loc[visits["twitches"].notna()], on=["patient", "visit"])
    people, n = table["patient"].nunique(), len(table)
    counts = table.drop_duplicates(["patient", "visit"])
    mean = table["patient"].map(counts.groupby("patient")["twitches"].mean()).to_numpy(dtype=np.float64)
    dose = table["twitches"].to_numpy(dtype=np.float64)
    usable = {
        name: np.ptp(x) > 0 if n else False for name, x in zip(names, (dose, dose - mean, mean), strict=True)
    }
    if people < FEWEST_PATIENTS or not usable["twitches"]:
        reason = f"fewer than {FEWEST_PATIENTS} patients have entries and twitches that vary"
        return [not_estimated(name, n_rows=n, n_patients=people, reason=reason) for name in names]
    hour = table["planned"].to_numpy(dtype=np.float64)
    dummies = [hour == value for value in planned if (hour == value).any()]
    base = np.column_stack([*dummies, table["visit"]]).astype(np.float64)
    y, patient, k = table["soreness"].to_numpy(dtype=np.float64), table["patient"].to_numpy(), base.shape[1]
    rows = list(regression(y, np.column_stack([base, dose]), patient, terms={k: "twitches"}, level=level))
    if not (usable["twitches_within"] and usable["twitches_between"]):
        reason = "twitches vary only within, or only between patients"
        return rows + [not_estimated(name, n_rows=n, n_patients=people, reason=reason) for name in names[1:]]
    both = {k: names[1], k + 1: names[2]}
    return rows + list(
        regression(y, np.column_stack([base, dose - mean, mean]), patient, terms=both, level=level)
    )
