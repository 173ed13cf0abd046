"""Published arms in words and rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpr_outcomes.cohort.arms import Arm, Kind
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.inference.dose_response import DoseResponse
from tpr_outcomes.reporting import words_arms as say
from tpr_outcomes.reporting.spelling import listed, number


def arm_rows(arms: Sequence[Arm], kind: Kind) -> list[list[str]]:
    """One row per arm made in this way, by :data:`~tpr_outcomes.reporting.words_arms.HEADS`."""
    rows = []
    for a in arms:
        if a.kind != kind:
            continue
        dose = a.assigned if kind == "assigned" else a.observed
        shown = "exhaustion" if math.isinf(dose) else "" if math.isnan(dose) else f"{dose:g}"
        place = f"{a.doi}, {a.place}"
        rows.append([a.study, a.arm, f"{a.n}", shown, f"{a.mean:g}", f"{a.sd:.3g}", place])
    return rows


def account(arms: Sequence[Arm], kind: Kind) -> str:
    """What the file holds."""
    studies = {a.study for a in arms}
    lines = [
        say.COUNT.format(arms=len(arms), studies=len(studies), unverified=sum(not a.verified for a in arms))
    ]
    spent = sum(math.isinf(a.assigned) for a in arms)
    if spent and kind == "assigned":
        lines.append(say.EXHAUSTION.format(arms=spent))
    return " ".join(lines)


def sentences(found: DoseResponse, scale: str, kind: Kind) -> list[str]:
    """What the pooled curve says, and what it rests on."""
    past = say.PAST.format(knot=number(found.knot)) if found.knot else ""
    texts = {
        "slope": f"{found.estimate:.3g}",
        "low": f"{found.conf_low:.3g}",
        "high": f"{found.conf_high:.3g}",
        "tau": f"{found.tau:.3g}",
    }
    lines = [
        say.SLOPE.format(
            studies=found.n_studies, patients=f"{found.n_patients:,}", unit=SCALES[scale].unit, kind=kind,
            past=past, **texts,
        ),
        say.KIND[kind],
    ]  # fmt: skip
    if found.n_studies < say.FEW_STUDIES:
        lines.append(say.FEW)
    if found.left_out:
        lines.append(say.LEFT_OUT.format(kind=kind, studies=listed(found.left_out)))
    return lines
