"""Answers to C20, C21, C22 and C24: what can be described by region and instrument, and why it is no answer.

Everybody in a clinic's record was needled. What goes beyond the natural course of each problem, or beyond
sham, has to come from elsewhere; so these claims are not identifiable, with the description beside it.
"""

from __future__ import annotations

import math

from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.regions import RegionRelief, relief_by_region
from tpr_outcomes.inference.scores import ScoreChange, score_changes
from tpr_outcomes.reporting import words_regions as say
from tpr_outcomes.reporting.claim_plug import AVAILABILITY, Analysis, Basis, Need, Said, number_of
from tpr_outcomes.reporting.spelling import number, percent
from tpr_outcomes.reporting.verdict import Number

DIFFER_LEVEL = 0.05
"""Cochran's test below this: regions differ by more than chance."""
HEADACHE = ("headache_days", "hit6")
FIBROMYALGIA = ("fiqr", "fiq")
METHOD = "slope of the dose in the region, REML, partial pooling; patient-robust"


def regions_of(basis: Basis) -> RegionRelief | str:
    """Set regions side by side; why not, where the record cannot."""
    if basis.evidence.working is None:
        return "the ratings do not carry a model"
    try:
        return relief_by_region(basis.evidence.working, basis.record.visits)
    except FitError as problem:
        text = str(problem)
        return text[:1].lower() + text[1:].rstrip(".")


def _regions(result: RegionRelief | str, _: Basis) -> Said:
    """C20: relief by region, beyond time but not beyond what is not in the record."""
    if isinstance(result, str):
        return Said("not identifiable", say.C20["no contrast"], "none", {"reason": result})
    pooled, unit = result.pooled, result.unit
    numbers = [
        Number(f"region_{name}", float(pooled.shrunken[i]), float(pooled.shrunken_error[i]),
               float(pooled.conf_low[i]), float(pooled.conf_high[i]), level=pooled.level, unit=unit,
               n=result.patients[i], method=f"{METHOD}; own estimate {pooled.estimate[i]:.3g}")
        for i, name in enumerate(result.names)
    ]  # fmt: skip
    n = sum(result.patients)
    numbers += [
        Number("regions_mean", pooled.mean, pooled.mean_error, pooled.mean_low, pooled.mean_high,
               level=pooled.level, unit=unit, n=n, method="REML, Hartung-Knapp"),
        Number("regions_sd", pooled.tau, p_value=pooled.p_value, unit=unit, n=n, method="REML; Cochran"),
        Number("regions_dose", result.dose, unit="doses", n=n, method="median of patients' totals"),
    ]  # fmt: skip
    texts = {
        "dose": number(result.dose),
        "relief": number(-pooled.mean),
        "low": number(-pooled.mean_high),
        "high": number(-pooled.mean_low),
        "unit": unit,
        "regions": f"{len(result.names)}",
        "differ": say.DIFFER[pooled.p_value < DIFFER_LEVEL],
    }
    return Said("not identifiable", say.C20["described"], "none", texts, numbers)


def scores_of(basis: Basis) -> tuple[ScoreChange, ...]:
    """Summarise the questionnaires."""
    assert basis.record.scores is not None
    return score_changes(basis.record.scores)


def described(changes: tuple[ScoreChange, ...], names: tuple[str, ...]) -> Said:
    """Describe the instruments of a claim, every cited cut-point side by side in the numbers.

    Parameters
    ----------
    changes : tuple of ScoreChange
    names : tuple of str
        Instruments that bear on the claim, first choice first; empty: all.

    Returns
    -------
    Said
        Not identifiable, with what can be described of the first instrument that has enough patients.
    """
    chosen = [item for item in changes if not names or item.scale.name in names]
    numbers = [number for item in chosen for number in _numbers(item)]
    enough = [item for item in chosen if math.isfinite(item.change.estimate)]
    if not enough:
        return Said("not identifiable", say.SCORES["none"], "none", numbers=numbers)
    order = {name: place for place, name in enumerate(names)}
    item = min(enough, key=lambda one: order.get(one.scale.name, len(order)))
    texts = {
        "n": f"{item.change.n_patients:,}",
        "instrument": item.scale.label,
        "change": number(item.change.estimate),
        "unit": item.scale.unit,
        "low": number(item.change.conf_low),
        "high": number(item.change.conf_high),
        "reached": "".join(_reached(item)),
    }
    return Said("not identifiable", say.SCORES["described"], "none", texts, numbers)


def _reached(item: ScoreChange) -> list[str]:
    """Every cited cut-point with its share and source, in words."""
    return [
        say.REACHED.format(
            share=percent(one.share),
            cut=say.CUTS[one.cut.kind].format(value=f"{one.cut.value:g}", unit=item.scale.unit),
            source=one.cut.source,
        )
        for one in item.reached
    ]


def _numbers(item: ScoreChange) -> list[Number]:
    name, n = item.scale.name, item.change.n_patients
    found = [
        number_of(item.change, unit=item.scale.unit, method="last less first score", term=f"{name}_change")
    ]
    for one in item.reached:
        cut = say.CUTS[one.cut.kind].format(value=f"{one.cut.value:g}", unit=item.scale.unit)
        found.append(
            Number(f"{name}_reached", one.share, conf_low=one.conf_low, conf_high=one.conf_high, level=0.95,
                   unit="share", n=n, method=f"{cut}: {one.cut.label} ({one.cut.source})")
        )  # fmt: skip
    if math.isfinite(item.beyond_error):
        method = "change beyond the smallest cited measurement error"
        found.append(Number(f"{name}_beyond_error", item.beyond_error, unit="share", n=n, method=method))
    return found


_SCORES = Need("scores", ("instrument", "score"))
ANALYSES = {
    "C20": Analysis(AVAILABILITY, _regions, regions_of, (Need("visits", ("region",)),)),
    "C21": Analysis(AVAILABILITY, lambda changes, _: described(changes, HEADACHE), scores_of, (_SCORES,)),
    "C22": Analysis(AVAILABILITY, lambda changes, _: described(changes, FIBROMYALGIA), scores_of, (_SCORES,)),
    "C24": Analysis(AVAILABILITY, lambda changes, _: described(changes, ()), scores_of, (_SCORES,)),
}
