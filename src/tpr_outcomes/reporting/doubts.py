"""From sensitivity analyses to tables: tidy rows for machines, sentences with the same numbers for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from tpr_outcomes.inference.comparison import ComparisonDose
from tpr_outcomes.inference.dropout import TippingPoint
from tpr_outcomes.inference.falsify import Check
from tpr_outcomes.inference.sensitivity import Sensitivity, Undone, UnrecordedReason
from tpr_outcomes.inference.sequential import MsmFit, SnmmFit
from tpr_outcomes.inference.tipping import NaturalCourse
from tpr_outcomes.models.random_threshold import RandomThresholdFit
from tpr_outcomes.reporting import words_doubts as say
from tpr_outcomes.reporting.labels import fill, p_text
from tpr_outcomes.reporting.spelling import Terms, amount, number, percent
from tpr_outcomes.reporting.told import told

FITS = ("next_rating", "all_ratings", "past_threshold", "weighted")


def sensitivity_frame(found: Sensitivity, called: Terms) -> pd.DataFrame:
    """Return every estimate beside the verdict.

    Parameters
    ----------
    found : Sensitivity
    called : Terms

    Returns
    -------
    DataFrame
        ``term, estimate, std_error, conf_low, conf_high, p_value, level, unit, n, method, reason``; what
        could not be done has a reason and no numbers.
    """
    columns = ["term", "estimate", "std_error", "conf_low", "conf_high", "p_value", "level", "unit", "n"]
    frame = pd.DataFrame(list(_rows(found, called)), columns=[*columns, "method", "reason"])
    frame["reason"] = frame["reason"].fillna("")
    numeric = ["estimate", "std_error", "conf_low", "conf_high", "p_value", "level"]
    return frame.astype(dict.fromkeys(numeric, "float64")).astype({"n": "Int64"})


def _rows(found: Sensitivity, called: Terms) -> Iterator[dict[str, Any]]:
    per = f"{called.unit} per {called.one}"
    for name in FITS:
        fit = getattr(found, name)
        if fit is None:
            continue
        if isinstance(fit, Undone):
            yield {"term": f"adjusted:{name}", "reason": fit.reason}
            continue
        yield {"term": f"adjusted:{name}", "unit": per, "n": fit.n_patients, "method": _method(fit)} | {
            key: getattr(fit, key)
            for key in ("estimate", "std_error", "conf_low", "conf_high", "p_value", "level")
        }
        if fit.knot:
            yield {"term": f"adjusted:{name}:knot", "estimate": fit.knot, "unit": called.recorded}
        if isinstance(fit, SnmmFit) and name == "next_rating":
            unit = f"{called.many} per point"
            yield {"term": "doubt:unrecorded:driven", "estimate": fit.pain_on_dose, "unit": unit}
    if isinstance(found.weighted, MsmFit):
        yield from _cut(found.weighted)
    yield from _unrecorded(found.unrecorded, per, found.worse)
    yield from _natural(found.natural, called)
    yield from _tipping("mean_change", found.mean_change, called.unit, found.last_visit)
    yield from _tipping("dose_slope", found.dose_slope, per, found.last_visit)
    for check in (found.timing, found.control):
        yield _check(check)
    yield from _spread(found.spread, called)
    yield from _comparison(found.comparison, per, found.worse)


def _method(fit: SnmmFit | MsmFit) -> str:
    kind = "structural nested mean model" if isinstance(fit, SnmmFit) else "marginal structural model"
    return f"{kind}, clustered by patient"


def _cut(fit: MsmFit) -> Iterator[dict[str, Any]]:
    w, how = fit.weights, {"method": "stabilised weights"}
    low, high = w.limits
    cut = {"term": "weights:cut", "estimate": w.n_truncated, "conf_low": low, "conf_high": high}
    yield how | cut | {"unit": "weight", "n": fit.n_rows}
    for name, quantile in zip(("first", "last"), w.quantiles, strict=True):
        yield how | {"term": f"weights:{name}", "estimate": quantile, "unit": "share"}


def _unrecorded(found: UnrecordedReason | Undone, per: str, worse: float) -> Iterator[dict[str, Any]]:
    if isinstance(found, Undone):
        yield {"term": "doubt:unrecorded", "reason": found.reason}
        return
    how, rows = "robustness value", "least squares on whitened rows"
    shares = {"": found.value, ":interval": found.value_interval}
    for suffix, value in shares.items():
        yield {"term": f"doubt:unrecorded{suffix}", "estimate": value, "unit": "share", "method": how}
    slope = {"term": "doubt:unrecorded:slope", "estimate": worse * found.slope, "std_error": found.std_error}
    yield slope | {"unit": per, "method": rows}
    if found.benchmark is not None:
        how = "omitted variable"
        yield {"term": "doubt:benchmark", "estimate": found.benchmark, "unit": per, "method": how}


def _natural(found: NaturalCourse | Undone, called: Terms) -> Iterator[dict[str, Any]]:
    if isinstance(found, Undone):
        yield {"term": "doubt:natural", "reason": found.reason}
        return
    values = {"": (found.times_as_fast, "times"), ":extra": (found.points_per_week, f"{called.unit} a week")}
    values |= {":weeks": (found.weeks, "weeks"), ":relief": (found.relief, called.unit)}
    for suffix, (value, unit) in values.items():
        yield {
            "term": f"doubt:natural{suffix}",
            "estimate": value,
            "unit": unit,
            "method": "exponential course",
        }


def _tipping(name: str, found: TippingPoint | Undone, unit: str, last_visit: int) -> Iterator[dict[str, Any]]:
    if isinstance(found, Undone):
        yield {"term": f"doubt:{name}", "reason": found.reason}
        return
    start = found.table.iloc[0]
    how = "multiple imputation, Rubin's rules"
    delta = np.nan if found.delta is None else abs(found.delta)
    yield {"term": f"doubt:{name}", "estimate": delta, "unit": "points", "method": how}
    yield {"term": f"doubt:{name}:unshifted", "unit": unit, "method": how, "level": 0.95} | {
        key: float(start[key]) for key in ("estimate", "std_error", "conf_low", "conf_high", "p_value")
    }
    size = abs(float(start["estimate"]))
    yield {"term": f"doubt:{name}:size", "estimate": size, "unit": unit, "method": how}
    yield {"term": f"doubt:{name}:visit", "estimate": last_visit + 1, "unit": "visit"}


def _check(check: Check) -> dict[str, Any]:
    return {"term": f"doubt:{check.name}", "p_value": check.p_value, "n": check.n or None} | {
        "method": f"{check.name} check", "reason": check.reason
    }  # fmt: skip


def _spread(found: RandomThresholdFit | Undone | None, called: Terms) -> Iterator[dict[str, Any]]:
    if found is None:
        return
    if isinstance(found, Undone):
        yield {"term": "doubt:spread", "reason": found.reason}
        return
    how = {"unit": called.recorded, "method": "marginal likelihood", "level": found.level}
    for suffix, e in (("", found.threshold_sd), (":typical", found.threshold)):
        ends = {"conf_low": e.conf_low, "conf_high": e.conf_high}
        row = {"term": f"doubt:spread{suffix}", "estimate": e.estimate, "std_error": e.std_error}
        yield how | row | {key: value if np.isfinite(value) else np.nan for key, value in ends.items()}


def _comparison(found: ComparisonDose | Undone, per: str, worse: float) -> Iterator[dict[str, Any]]:
    if isinstance(found, Undone):
        yield {"term": "doubt:comparison", "reason": found.reason}
        return
    how = {"unit": per, "method": "both lines together, patient-robust", "n": found.n_patients}
    low, high = sorted((worse * found.conf_low, worse * found.conf_high))
    yield how | {
        "term": "doubt:comparison",
        "estimate": worse * found.difference,
        "std_error": found.difference_error,
        "conf_low": low,
        "conf_high": high,
        "p_value": found.p_value,
        "level": 0.95,
    }
    for name, slope, error in (
        ("twitches", found.twitches, found.twitches_error),
        ("quiet", found.quiet, found.quiet_error),
    ):
        term = f"doubt:comparison:{name}"
        yield how | {"term": term, "estimate": worse * slope, "std_error": error}


def weights_frame(found: Sensitivity) -> pd.DataFrame:
    """Return weights, balance and positivity by visit.

    Returns
    -------
    DataFrame
        ``visit, n, mean, effective, free, before, after``: number of the needling visit, ratings, mean and
        effective number of the weights, share of the dose's variance that the history leaves free, and the
        largest absolute correlation of the dose with the recorded past before and after weighting. Empty
        when no weights could be made.
    """
    columns = ["visit", "n", "mean", "effective", "free", "before", "after"]
    if isinstance(found.weighted, Undone):
        return pd.DataFrame(columns=columns)
    w = found.weighted.weights
    seen = w.visits[w.visits["component"] == "weight"].set_index("visit_index")
    balance = w.balance.groupby("visit_index")[["correlation_before", "correlation_after"]]
    largest = balance.agg(_largest)
    free = w.positivity.set_index("visit_index")["share_free"]
    frame = pd.DataFrame({
        "visit": seen.index + 1,
        "n": seen["n"],
        "mean": seen["mean"],
        "effective": seen["effective_n"],
        "free": free.reindex(seen.index),
        "before": largest["correlation_before"].reindex(seen.index),
        "after": largest["correlation_after"].reindex(seen.index),
    })  # fmt: skip
    return frame.reset_index(drop=True)


def _largest(values: pd.Series[float]) -> float:
    return float(values.abs().max())


# --- sentences ------------------------------------------------------------------------------------


def adjusted_rows(found: Sensitivity, called: Terms) -> list[tuple[str, tuple[str, str, str, str]]]:
    """Write the history-adjusted changes: name, then method, change, interval, what it assumes."""
    rows = []
    for name in FITS:
        fit = getattr(found, name)
        if fit is None:
            continue
        title, assumes = say.ADJUSTED[name]
        knot = "" if isinstance(fit, Undone) else number(fit.knot)
        title = fill(title, called, knot=knot)
        if isinstance(fit, Undone):
            rows.append((name, (title, "–", "–", say.UNDONE.format(reason=told(fit.reason)))))
            continue
        ends = say.SPAN.format(low=fine(fit.conf_low), high=fine(fit.conf_high))
        rows.append((name, (title, fine(fit.estimate), ends, assumes)))
    return rows


def doubt_rows(found: Sensitivity, called: Terms) -> list[tuple[str, tuple[str, str]]]:
    """Write the tipping points: name, then the other explanation and what it would take."""
    answers = {
        "unrecorded": _say_unrecorded(found, called),
        "benchmark": _say_benchmark(found.unrecorded, found.worse, called),
        "natural": _say_natural(found.natural, called),
        "mean_change": _say_worse(found, called),
        "dose_slope": _say_better(found, called),
        "timing": _say_check(found.timing, say.TIMING, called),
        "spread": _say_spread(found.spread, called),
        "comparison": _say_comparison(found.comparison, found.worse, called),
        "control": _say_check(found.control, say.CONTROL, called),
    }
    return [(name, (fill(say.DOUBTS[name], called), text)) for name, text in answers.items() if text]


def weights_note(found: Sensitivity) -> str:
    """Write where the weights were cut off; empty where there are none."""
    if isinstance(found.weighted, Undone):
        return ""
    w = found.weighted.weights
    low, high = (fine(limit) for limit in w.limits)
    first, last = (percent(quantile) for quantile in w.quantiles)
    return say.WEIGHTS_NOTE.format(low=low, high=high, n=f"{w.n_truncated:,}", first=first, last=last)


def _say_unrecorded(found: Sensitivity, called: Terms) -> str:
    reason = found.unrecorded
    if isinstance(reason, Undone):
        return say.UNDONE.format(reason=told(reason.reason))
    if reason.value_interval == 0.0:
        return say.UNRECORDED_ZERO
    texts = {"value": percent(reason.value), "interval": percent(reason.value_interval)}
    if isinstance(found.next_rating, Undone):
        return fill(say.UNRECORDED_PLAIN, called, **texts)
    return fill(say.UNRECORDED, called, **texts, driven=number(found.next_rating.pain_on_dose))


def _say_benchmark(reason: UnrecordedReason | Undone, worse: float, called: Terms) -> str:
    if isinstance(reason, Undone) or reason.benchmark is None:
        return ""
    return fill(say.BENCHMARK, called, bias=fine(reason.benchmark), slope=fine(worse * reason.slope))


def _say_natural(found: NaturalCourse | Undone, called: Terms) -> str:
    if isinstance(found, Undone):
        return say.UNDONE.format(reason=told(found.reason))
    texts = {"extra": amount(found.points_per_week, called.unit), "weeks": number(found.weeks)}
    if not np.isfinite(found.times_as_fast):
        return say.NATURAL_NEVER.format(**texts)
    return say.NATURAL.format(times=number(found.times_as_fast), **texts)


def _say_worse(found: Sensitivity, called: Terms) -> str:
    tipping = found.mean_change
    if isinstance(tipping, Undone):
        return say.UNDONE.format(reason=told(tipping.reason))
    better = "lower" if tipping.limit > 0 else "higher"
    visit = str(found.last_visit + 1)
    if tipping.conclusion != better:
        return say.WORSE_NONE.format(visit=visit)
    texts = {"change": amount(abs(float(tipping.table["estimate"].iloc[0])), called.unit), "visit": visit}
    if tipping.delta is None:
        return say.WORSE_NEVER.format(**texts)
    return say.WORSE.format(delta=amount(abs(tipping.delta), called.unit), **texts)


def _say_better(found: Sensitivity, called: Terms) -> str:
    tipping = found.dose_slope
    if isinstance(tipping, Undone):
        return say.UNDONE.format(reason=told(tipping.reason))
    better = "lower" if tipping.limit < 0 else "higher"
    if tipping.conclusion != better:
        return fill(say.BETTER_NONE, called)
    if tipping.delta is None:
        return fill(say.BETTER_NEVER, called)
    return fill(say.BETTER, called, delta=amount(abs(tipping.delta), called.unit))


def _say_check(check: Check, words: dict[bool, str], called: Terms) -> str:
    if check.passed is None:
        return say.UNDONE.format(reason=told(check.reason))
    return fill(words[check.passed], called, p=p_text(check.p_value))


def _say_spread(found: RandomThresholdFit | Undone | None, called: Terms) -> str:
    if found is None:
        return ""
    if isinstance(found, Undone):
        return say.UNDONE.format(reason=told(found.reason))
    sd = found.threshold_sd
    if not np.isfinite([sd.conf_low, sd.conf_high]).all():
        return say.SPREAD_OPEN
    numbers = {"sd": sd.estimate, "low": sd.conf_low, "high": sd.conf_high}
    numbers["typical"] = found.threshold.estimate
    texts = {name: number(value) for name, value in numbers.items()}
    return fill(say.SPREAD[found.distinguishable()], called, **texts)


def _say_comparison(found: ComparisonDose | Undone, worse: float, called: Terms) -> str:
    if isinstance(found, Undone):
        return say.UNDONE.format(reason=told(found.reason))
    low, high = sorted((worse * found.conf_low, worse * found.conf_high))
    slopes = {"twitches": found.twitches, "quiet": found.quiet, "difference": found.difference}
    numbers = {name: fine(worse * slope) for name, slope in slopes.items()}
    numbers |= {"low": fine(low), "high": fine(high)}
    return fill(say.COMPARISON, called, **numbers, p=p_text(found.p_value))


def fine(value: float) -> str:
    """Write a change per dose to three decimals, with a true minus sign.

    Examples
    --------
    >>> fine(-0.0204), fine(0.0)
    ('−0.020', '0.000')
    """
    text = f"{value:.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")
