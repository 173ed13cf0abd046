"""Answers to C20, C21, C22 and C24: what can be described by region and instrument, and why it is no answer.

Everybody in a clinic's record was needled. What goes beyond the natural course of each problem, or beyond
sham, has to come from elsewhere; so these claims are not identifiable, with the description beside it.
"""

from __future__ import annotations

import math

import pandas as pd

from tpr_outcomes.cohort.privacy import MINIMUM
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.regions import RegionRelief, relief_by_region
from tpr_outcomes.inference.scores import ScoreChange, score_changes
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting import words_regions as say
from tpr_outcomes.reporting.claim_plug import AVAILABILITY, Analysis, Basis, Need, Said, number_of
from tpr_outcomes.reporting.spelling import number, percent
from tpr_outcomes.reporting.told import unit_of
from tpr_outcomes.reporting.verdict import Behind, Number

DIFFER_LEVEL = 0.05
"""Cochran's test below this: regions differ by more than chance."""
HEADACHE = ("headache_days", "hit6")
FIBROMYALGIA = ("fiqr", "fiq")
PAIN = ("nrs", "vas", "bpi", "psfs", "pgic")
METHOD = "slope of the dose in the region, REML, partial pooling; patient-robust"


def regions_of(basis: Basis) -> RegionRelief | str:
    """Set regions side by side; why not, where the record cannot."""
    if basis.evidence.working is None:
        return say.NO_MODEL
    try:
        return relief_by_region(basis.evidence.working, basis.record.visits)
    except FitError as problem:
        text = str(problem)
        return text[:1].lower() + text[1:].rstrip(".")


def _regions(result: RegionRelief | str, _: Basis) -> Said:
    """C20: relief by region, beyond time but not beyond what is not in the record."""
    if isinstance(result, str):
        return Said("not identifiable", say.C20["no contrast"], "none", {"reason": result})
    pooled, unit, shown = result.pooled, result.unit, result.shown(MINIMUM)
    numbers = [
        Number(f"region_{name}", float(pooled.shrunken[i]), float(pooled.shrunken_error[i]),
               float(pooled.conf_low[i]), float(pooled.conf_high[i]), level=pooled.level, unit=unit,
               n=shown[i] or 0, method=f"{METHOD}; own estimate {pooled.estimate[i]:.3g}",
               behind=Behind(group="region"))
        for i, name in enumerate(result.names)
    ]  # fmt: skip
    n = 0 if None in shown else sum(result.patients)
    numbers += [
        Number("regions_mean", pooled.mean, pooled.mean_error, pooled.mean_low, pooled.mean_high,
               level=pooled.level, unit=unit, n=n, method="REML, Hartung-Knapp"),
        Number("regions_sd", pooled.tau, p_value=pooled.p_value, unit=unit, n=n, method="REML; Cochran"),
        Number("regions", len(result.names), unit="count", n=n, method="regions with ten patients or more"),
        Number("regions_relief", -pooled.mean, conf_low=-pooled.mean_high, conf_high=-pooled.mean_low,
               level=pooled.level, unit=unit, n=n, method="the mean of the regions, as relief"),
        Number("regions_dose", result.dose, unit="doses", n=n, method="median of patients' totals"),
    ]  # fmt: skip
    texts = {
        "dose": number(result.dose),
        "change": number(pooled.mean),
        "low": number(pooled.mean_low),
        "high": number(pooled.mean_high),
        "unit": unit_of(unit),
        "regions": f"{len(result.names)}",
        "differ": say.DIFFER[pooled.p_value < DIFFER_LEVEL],
    }
    return Said("not identifiable", say.C20["described"], "none", texts, numbers)


def scores_of(basis: Basis) -> tuple[ScoreChange, ...]:
    """Summarise the questionnaires, and the ratings of the visits as one more."""
    visits, scores = basis.record.visits, basis.record.scores
    tables = [] if scores is None else [scores]
    known = SCALES.get(visits.scale.name) is visits.scale
    if known and (scores is None or not (scores["instrument"] == visits.scale.name).any()):
        own = visits.table[["patient", "visit", "pain"]].rename(columns={"pain": "score"})
        tables.append(own.assign(instrument=visits.scale.name))
    return score_changes(pd.concat(tables, ignore_index=True)) if tables else ()


def described(changes: tuple[ScoreChange, ...], names: tuple[str, ...]) -> Said:
    """Describe the instruments of a claim, every cited cut-point side by side in the numbers.

    Parameters
    ----------
    changes : tuple of ScoreChange
    names : tuple of str
        Instruments that bear on the claim, first choice first.

    Returns
    -------
    Said
        Not identifiable, with what can be described of the first instrument that has enough patients.
    """
    by_name = {item.scale.name: item for item in changes}
    chosen = [by_name[name] for name in dict.fromkeys(names) if name in by_name]
    numbers = [number for item in chosen for number in _numbers(item)]
    item = next((item for item in chosen if math.isfinite(item.change.estimate)), None)
    if item is None:
        return Said("not identifiable", words.ABOUT["not identifiable"], "none", numbers=numbers)
    texts = {
        "n": f"{item.change.n_patients:,}",
        "instrument": item.scale.label,
        "change": number(item.change.estimate),
        "unit": unit_of(item.scale.unit),
        "low": number(item.change.conf_low),
        "high": number(item.change.conf_high),
        "reached": _reached(item),
    }
    return Said("not identifiable", say.SCORES["described"], "none", texts, numbers)


def _reached(item: ScoreChange) -> str:
    """The most lenient and the strictest cited cut-point with their shares and sources, in words."""
    if not item.reached:
        return ""
    ends = sorted(item.reached, key=lambda one: -one.share)
    texts: dict[str, str] = {}
    for name, one in (("most", ends[0]), ("least", ends[-1])):
        cut = say.CUTS[one.cut.kind].format(value=f"{one.cut.value:g}", unit=unit_of(item.scale.unit))
        texts |= {name: percent(one.share), f"{name}_cut": cut, f"{name}_source": one.cut.source}
    return say.REACHED["one" if len(ends) == 1 else "several"].format(**texts)


def _numbers(item: ScoreChange) -> list[Number]:
    name, n = item.scale.name, item.change.n_patients
    found = [
        number_of(item.change, unit=item.scale.unit, method="last less first score", term=f"{name}_change")
    ]
    for one in item.reached:
        cut = say.CUTS[one.cut.kind].format(value=f"{one.cut.value:g}", unit=item.scale.unit)
        found.append(
            Number(f"{name}_reached", one.share, conf_low=one.conf_low, conf_high=one.conf_high, level=0.95,
                   unit="share", n=n, method=f"{cut}: {one.cut.label} ({one.cut.source})",
                   behind=Behind(one.sides))
        )  # fmt: skip
    if math.isfinite(item.beyond_error):
        method = "change beyond the smallest cited measurement error"
        behind = Behind(item.beyond_sides)
        found.append(
            Number(f"{name}_beyond_error", item.beyond_error, unit="share", n=n, method=method, behind=behind)
        )
    return found


def _pain(changes: tuple[ScoreChange, ...], basis: Basis) -> Said:
    """C24: the change of the ratings themselves, with natural recovery and regression in it."""
    return described(changes, (basis.record.visits.scale.name, *PAIN))


ANALYSES = {
    "C20": Analysis(AVAILABILITY, _regions, regions_of, (Need("visits", ("region",)),)),
    "C21": Analysis(AVAILABILITY, lambda changes, _: described(changes, HEADACHE), scores_of),
    "C22": Analysis(AVAILABILITY, lambda changes, _: described(changes, FIBROMYALGIA), scores_of),
    "C24": Analysis(AVAILABILITY, _pain, scores_of),
}
