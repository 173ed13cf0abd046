"""Records side by side: which quantities can be compared or pooled, with what came of it, and its rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tpr_outcomes.cohort.scales import get_scale
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.difference import INTERVALS, Difference, Estimate, difference
from tpr_outcomes.inference.funnel import ALARM_LEVEL, WARNING_LEVEL, Between, Funnel, between, funnel
from tpr_outcomes.inference.shrinkage import FEWEST_GROUPS, Pooled, partial_pool
from tpr_outcomes.reporting import words_compare as say
from tpr_outcomes.reporting.compare_folders import Clinic
from tpr_outcomes.reporting.labels import fill
from tpr_outcomes.reporting.linking import NUMBER, value_of
from tpr_outcomes.reporting.numbers import Results, Row
from tpr_outcomes.reporting.spelling import Terms, terms

LEVEL = 0.95
CUT, VISIT = 30, 6
SUPPORTED = "threshold_supported"
FEW = 10
"""With fewer clinics than this the page says that the limits can hardly flag any."""


@dataclass(frozen=True)
class Measure:
    """One quantity that records may hold.

    Attributes
    ----------
    key : str
        Of :data:`tpr_outcomes.reporting.words_compare.MEASURES`.
    row : str
        Id of its row in ``results.json``.
    factor : float
        What turns it into the unit shown: 100 for shares.
    share : bool
        Shown as a percentage.
    pooled : bool
        Has a standard error that does not hang on the estimate, and is in every record.
    """

    key: str
    row: str
    factor: float = 1.0
    share: bool = False
    pooled: bool = False


MEASURES = (
    Measure("slope", "verdict:slope_line", pooled=True),
    Measure("adjusted", "sensitivity:adjusted:all_ratings", pooled=True),
    Measure("threshold", "test:threshold"),
    Measure("slope_past", "verdict:slope_past"),
    Measure("responders", f"responders:percent-{CUT}", factor=100.0, share=True),
    Measure("response", f"claims:C11:response_by_{VISIT}_{CUT}", factor=100.0, share=True),
    Measure("excess", f"claims:C11:excess_by_{VISIT}_{CUT}", factor=100.0, pooled=True),
    Measure("first_rating", "figures:courses:1"),
)
"""What is compared, the one that counts first."""


@dataclass(frozen=True, eq=False)
class Pool:
    """One quantity over several clinics.

    Attributes
    ----------
    measure : Measure
    who : tuple of int
        Places of the clinics that hold it.
    pooled : Pooled
    between : Between
    funnel : Funnel
    """

    measure: Measure
    who: tuple[int, ...]
    pooled: Pooled
    between: Between
    funnel: Funnel

    @property
    def flagged(self) -> tuple[int, ...]:
        """Places of the clinics outside the outer limits, in the order given."""
        return tuple(np.asarray(self.who)[self.funnel.outside(ALARM_LEVEL)].tolist())

    @property
    def warned(self) -> tuple[int, ...]:
        """Places of the clinics between the two limits."""
        only = self.funnel.outside(WARNING_LEVEL) & ~self.funnel.outside(ALARM_LEVEL)
        return tuple(np.asarray(self.who)[only].tolist())


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came of setting records side by side.

    Attributes
    ----------
    clinics : tuple of Clinic
        In the order given.
    called : Terms
        What dose and outcome are called.
    estimates : mapping of str to tuple of Estimate or None
        By measure, one per clinic, in the unit shown.
    differences : mapping of str to Difference
        Of two clinics, by measure.
    pools : mapping of str to Pool
        Of three or more, by measure.
    left : mapping of str to str
        Measures that were not compared or pooled, with the reason.
    """

    clinics: tuple[Clinic, ...]
    called: Terms
    estimates: dict[str, tuple[Estimate | None, ...]]
    differences: dict[str, Difference]
    pools: dict[str, Pool]
    left: dict[str, str]

    @property
    def two(self) -> bool:
        """Whether there are just two records."""
        return len(self.clinics) == 2

    def name(self, key: str) -> str:
        """What a quantity is called."""
        return fill(say.MEASURES[key], self.called, cut=str(CUT), visit=str(VISIT))

    def unit(self, key: str) -> str:
        """Unit of a difference or of what is pooled."""
        return fill(say.UNITS[key], self.called)


def compare(clinics: Sequence[Clinic]) -> Comparison:
    """Set records side by side.

    Parameters
    ----------
    clinics : sequence of Clinic
        Two: differences. Three or more: pooling and funnels.

    Returns
    -------
    Comparison
    """
    called = terms(str(clinics[0].plan["dose"]), get_scale(str(clinics[0].plan["scale"])))
    found: dict[str, tuple[Estimate | None, ...]] = {}
    differences: dict[str, Difference] = {}
    pools: dict[str, Pool] = {}
    left: dict[str, str] = {}
    for measure in MEASURES:
        rows = [_row(clinic, measure) for clinic in clinics]
        found[measure.key] = tuple(None if r is None else _estimate(r, measure.factor) for r in rows)
        held = [r for r in rows if r is not None]
        if len(clinics) > 2 and not measure.pooled:
            continue
        reason = _unlike(held)
        if len(clinics) == 2:
            first, second = found[measure.key]
            if first is None or second is None:
                left[measure.key] = "absent"
            elif reason:
                left[measure.key] = reason
            else:
                try:
                    differences[measure.key] = difference(first, second)
                except FitError:
                    left[measure.key] = "inside"
            continue
        if reason:
            left[measure.key] = reason
            continue
        pool = _pool(measure, found[measure.key])
        if pool is None:
            left[measure.key] = "few"
        else:
            pools[measure.key] = pool
    return Comparison(tuple(clinics), called, found, differences, pools, left)


def _row(clinic: Clinic, measure: Measure) -> Row | None:
    """Return a clinic's row; a threshold only where its verdict stands by it."""
    if measure.key in ("threshold", "slope_past") and clinic.verdict != SUPPORTED:
        return None
    held = clinic.rows.get(measure.row)
    return held if held is not None and math.isfinite(held.estimate) else None


def _estimate(held: Row, factor: float) -> Estimate:
    estimate, low, high = (factor * part for part in (held.estimate, held.conf_low, held.conf_high))
    return Estimate(estimate, low, high, factor * held.std_error, level=held.level)


def _unlike(held: Sequence[Row]) -> str:
    """Return why rows of several records are not of one kind; empty where they are."""
    if len({(r.method.partition("; only ")[0], r.unit) for r in held}) > 1:
        return "method"
    return "level" if len({r.level for r in held}) > 1 else ""


def _pool(measure: Measure, estimates: Sequence[Estimate | None]) -> Pool | None:
    """Pool what has a standard error; None where too few have."""
    kept = {
        i: e
        for i, e in enumerate(estimates)
        if e is not None and math.isfinite(e.std_error) and e.std_error > 0
    }
    if len(kept) < FEWEST_GROUPS:
        return None
    y, s = [e.estimate for e in kept.values()], [e.std_error for e in kept.values()]
    return Pool(
        measure, tuple(kept), partial_pool(y, s, level=LEVEL), between(y, s, level=LEVEL), funnel(y, s)
    )


# --- rows -----------------------------------------------------------------------------------------


def collect(found: Comparison) -> Results:
    """Gather every number of a comparison, once, with the tables that hold them."""
    rows = [
        *_settings(found),
        *(row for i in range(len(found.clinics)) for row in _clinic(found, i)),
        *_differences(found),
        *(row for pool in found.pools.values() for row in _pooled(found, pool)),
    ]
    return Results(tuple(rows), frames(found))


def _settings(found: Comparison) -> Iterator[Row]:
    fixed = {
        "level": ("level of the intervals and of the inner limits", 100 * LEVEL, "%"),
        "alarm": ("level of the outer limits", 100 * ALARM_LEVEL, "%"),
        "cut": ("improvement called important", float(CUT), "%"),
        "visit": ("visit by which a response counts", float(VISIT), "visit"),
        "fewest": ("records that pooling needs", float(FEWEST_GROUPS), "count"),
        "top": ("point of the doses near the highest", 100 * LEVEL, "%"),
        "zero": ("no difference", 0.0, ""),
    }
    for name, (term, value, unit) in fixed.items():
        yield Row(f"setting:{name}", term, value, unit=unit, method="fixed before the records were read")
    yield Row("setting:clinics", "records", len(found.clinics), unit="count", method="count")


def _clinic(found: Comparison, i: int) -> Iterator[Row]:
    """What one record gives; counts are those its own report shows."""
    clinic, key = found.clinics[i], f"clinics:{i + 1}"
    for measure in MEASURES:
        e = found.estimates[measure.key][i]
        if e is not None:
            unit = "%" if measure.share else found.unit(measure.key)
            parts = (e.estimate, e.std_error, e.conf_low, e.conf_high)
            yield Row(f"{key}:{measure.key}", measure.key, *parts, level=e.level, unit=unit,
                      method=clinic.rows[measure.row].method)  # fmt: skip
    for name, source in WHO.items():
        held = clinic.rows.get(source)
        if held is not None and math.isfinite(held.estimate):
            yield Row(f"{key}:{name}", name, held.estimate, unit=held.unit, method=held.method)
    for n, said in enumerate(NUMBER.finditer(clinic.sentence), start=1):
        value, _ = value_of(said)
        unit = "%" if said["percent"] else ""
        method = "as its report says"
        yield Row(f"quoted:{key}:{n}", "number in a quoted verdict", value, unit=unit, method=method)


WHO = {
    "patients": "data:patients_analysed",
    "ratings": "data:ratings",
    "first_total": "by_visit:2:total",
    "top_total": "design:dose_95",
}
"""What is said of who was in a record, and the row it comes from."""


def _differences(found: Comparison) -> Iterator[Row]:
    for key, d in found.differences.items():
        yield Row(f"differences:{key}", f"B less A: {key}", d.estimate, d.std_error, d.conf_low, d.conf_high,
                  level=d.level, unit=found.unit(key), method=INTERVALS)  # fmt: skip
    if found.differences:
        m = float(len(found.differences))
        yield Row("multiple:compared", "quantities compared", m, unit="count", method="count")
        yield Row("multiple:expected", "told from none by chance alone", (1 - LEVEL) * m, unit="count",
                  method="level times quantities")  # fmt: skip


def _pooled(found: Comparison, pool: Pool) -> Iterator[Row]:
    key, unit, k = pool.measure.key, found.unit(pool.measure.key), len(pool.who)
    p, b, f = pool.pooled, pool.between, pool.funnel
    how = "random effects, REML; Hartung and Knapp"
    yield Row(f"pooled:{key}", f"mean of the clinics: {key}", p.mean, p.mean_error, p.mean_low, p.mean_high,
              level=LEVEL, unit=unit, n=k, method=how)  # fmt: skip
    yield Row(f"pooled:{key}:clinics", "clinics pooled", k, unit="count", method="count")
    yield Row(f"pooled:{key}:between", "standard deviation between clinics", p.tau, math.nan, b.conf_low,
              b.conf_high, level=LEVEL, unit=unit, n=k, method="REML; Q-profile interval")  # fmt: skip
    yield Row(
        f"pooled:{key}:differ", "Cochran's Q", p.q, p_value=p.p_value, unit="Q", n=k, method="chi-squared"
    )
    yield Row(f"pooled:{key}:share", "share of the spread that is not noise", 100 * b.i_squared, unit="%",
              n=k, method="Higgins and Thompson")  # fmt: skip
    ends = float(p.shrunken.min()), float(p.shrunken.max())
    yield Row(f"pooled:{key}:ends", "least and most of the pulled estimates", conf_low=ends[0],
              conf_high=ends[1], unit=unit, n=k)  # fmt: skip
    how = "z-values winsorised and corrected; additive over-dispersion"
    yield Row(f"funnel:{key}", "target of the funnel", f.target, unit=unit, n=k, method=how)
    yield Row(f"funnel:{key}:spread", "over-dispersion of the funnel", f.tau, unit=unit, n=k, method=how)
    counts: dict[str, float] = {"flagged": len(pool.flagged), "warned": len(pool.warned)}
    counts |= {"expected": (1 - ALARM_LEVEL) * k, "expected_warning": (1 - WARNING_LEVEL) * k}
    counts["expected_between"] = counts["expected_warning"] - counts["expected"]
    for name, count in counts.items():
        yield Row(f"funnel:{key}:{name}", f"clinics {name}", count, unit="count", n=k)
    limits = {level: f.limits(f.std_error, level) for level in (WARNING_LEVEL, ALARM_LEVEL)}
    for j, i in enumerate(pool.who):
        at = f"clinics:{i + 1}:{key}"
        yield Row(f"{at}:pulled", f"pulled: {key}", float(p.shrunken[j]), float(p.shrunken_error[j]),
                  float(p.conf_low[j]), float(p.conf_high[j]), level=LEVEL, unit=unit,
                  method="best linear unbiased prediction")  # fmt: skip
        yield Row(f"{at}:own_weight", "share of the own estimate", float(p.weight[j]), unit="share")
        yield Row(f"{at}:z", "distance from the target", float(f.z[j]), unit="standard deviations")
        for level, (low, high) in limits.items():
            yield Row(f"{at}:limits:{1000 * level:.0f}", "control limits", conf_low=float(low[j]),
                      conf_high=float(high[j]), level=level, unit=unit)  # fmt: skip


def place_of(pool: Pool, i: int) -> str:
    """Tell where a clinic lies in the funnel: inside, between the limits (warning), outside (alarm)."""
    return "alarm" if i in pool.flagged else "warning" if i in pool.warned else "inside"


# --- tables for machines --------------------------------------------------------------------------


def frames(found: Comparison) -> dict[str, pd.DataFrame]:
    """Return one row per difference, and one per clinic and pooled quantity."""
    labels = [clinic.label for clinic in found.clinics]
    made = {"verdicts": pd.DataFrame({"record": labels, "verdict": [c.verdict for c in found.clinics]})}
    if found.two:
        rows = []
        for key, d in found.differences.items():
            a, b = found.estimates[key]
            assert a is not None
            assert b is not None
            rows.append(
                {"term": key, "first": a.estimate, "second": b.estimate, "estimate": d.estimate}
                | {
                    "std_error": d.std_error,
                    "conf_low": d.conf_low,
                    "conf_high": d.conf_high,
                    "level": d.level,
                }
                | {"unit": found.unit(key), "told_from_none": d.told_from_none}
            )
        made["differences"] = pd.DataFrame(rows)
    for key, pool in found.pools.items():
        p, f = pool.pooled, pool.funnel
        made[f"pooled_{key}"] = pd.DataFrame({
            "record": [labels[i] for i in pool.who], "estimate": p.estimate, "std_error": p.std_error,
            "pulled": p.shrunken, "pulled_low": p.conf_low, "pulled_high": p.conf_high,
            "own_weight": p.weight, "z": f.z, "funnel": [place_of(pool, i) for i in pool.who],
        })  # fmt: skip
    return made
