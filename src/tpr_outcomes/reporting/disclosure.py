"""Every count of people a report shows, decided once, so that no two pages together tell what one withholds.

The counts of a record hang together: rows are visits and what was not read, visits are ratings and what was
left out, patients past one total are among those past a smaller one. :mod:`tpr_outcomes.cohort.privacy` is
told so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np

from tpr_outcomes.cohort.privacy import MINIMUM, Counts, Sum, nested, protect
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import Evidence
from tpr_outcomes.models.adjusted import band_members
from tpr_outcomes.reporting import words_numbers
from tpr_outcomes.reporting.quantities import patients_past

KEPT = ("analysed", "ratings", "patients", "past")
"""Counts that a report needs most; they are withheld last."""


def shown_counts(visits: Visits, evidence: Evidence, minimum: int = MINIMUM) -> Counts:
    """Every count of people in a report, and which of them may be shown.

    Parameters
    ----------
    visits : Visits
    evidence : Evidence
    minimum : int
        Smallest count shown; 1 shows all.

    Returns
    -------
    Counts
        ``patients, analysed, rows, visits, ratings``; ``not_kept:RULE`` (rows), ``left_out:RULE`` (visits);
        ``patients_left_out:REASON``;
        ``later:VISIT`` (ratings after the first) and ``rated:VISIT`` (all); ``past:KNOT`` and ``past`` (rated
        past the threshold estimated); ``band:I`` (ratings) and ``band_patients:I``; ``check:NAME``.
    """
    values: dict[str, int] = {}
    unseen: set[str] = set()
    sums = _flow(visits, evidence, values)
    same: dict[str, str] = {}
    sums += _by_visit(evidence, values, unseen, same)
    sums += _past(evidence, values, unseen)
    sums += _bands(evidence, values, unseen)
    for check, outer in ((evidence.mundlak, "analysed"), (evidence.lead, "ratings")):
        if check is not None:
            name = f"check:{check.name}"
            values[name] = check.n
            if check.n <= values[outer]:
                sums.append(nested(outer, name, values, unseen))
    found = protect(values, sums, unseen=unseen, same=same, kept=KEPT, minimum=minimum)
    return replace(found, hidden=words_numbers.WITHHELD)


def _flow(visits: Visits, evidence: Evidence, values: dict[str, int]) -> list[Sum]:
    """Rows read, visits, ratings, and what was left out on the way."""
    r = evidence.ratings
    not_kept = {f"not_kept:{rule}": n for rule, n in Counter(row.rule for row in visits.left_out).items()}
    left_out = {f"left_out:{rule}": n for rule, n in r.left_out_counts.items() if n}
    values |= {"patients": visits.n_patients, "analysed": r.n_patients, "visits": visits.n_visits}
    values |= {
        "ratings": int(r.pain.size),
        "rows": visits.source.rows_read or visits.n_visits + len(visits.left_out),
    }
    people = {f"patients_left_out:{rule}": n for rule, n in patients_left_out(visits, evidence).items()}
    values |= not_kept | left_out | people
    values |= {"not_kept": sum(not_kept.values()), "left_out": sum(left_out.values())}
    values["patients_left_out"] = sum(people.values())
    sums = [
        Sum("rows", ("visits", "not_kept")),
        Sum("visits", ("analysed", "ratings", "left_out")),
        Sum("not_kept", tuple(not_kept)),
        Sum("left_out", tuple(left_out)),
        Sum("patients", ("analysed", "patients_left_out")),
        Sum("patients_left_out", tuple(people)),
    ]
    return [item for item in sums if values[item.total] == sum(values[part] for part in item.parts)]


def _by_visit(
    evidence: Evidence, values: dict[str, int], unseen: set[str], same: dict[str, str]
) -> list[Sum]:
    """Ratings at each visit: they add up, and those rated at one are mostly seen at the one before."""
    r = evidence.ratings
    opening = np.flatnonzero(np.diff(r.patient, prepend=-1))
    first = (r.visit - r.t)[opening].astype(np.int64)
    numbers = np.unique(np.concatenate([first, r.visit.astype(np.int64)])).tolist()
    sums, rated, starts = [], [], []
    for visit in numbers:
        later, start = set(r.patient[r.visit == visit].tolist()), r.patient[opening][first == visit].tolist()
        name, early = f"later:{visit}", f"first:{visit}"
        values[name] = len(later)
        if not start:  # all of them were seen before
            same[f"rated:{visit}"] = name
        else:
            starts.append(early)
            values[early] = len(start)
            values[f"rated:{visit}"] = len(later) + len(start)
            unseen.add(early)
            sums.append(Sum(f"rated:{visit}", (name, early)))
        rated.append((name if not start else f"rated:{visit}", later | set(start)))
    sums.append(Sum("ratings", tuple(f"later:{visit}" for visit in numbers)))
    sums.append(Sum("analysed", tuple(starts)))
    sums += [nested("analysed", name, values, unseen) for name, _ in rated]
    for (outer, before), (inner, after) in pairwise(rated):
        if after <= before:
            sums.append(nested(outer, inner, values, unseen))
    return sums


def _past(evidence: Evidence, values: dict[str, int], unseen: set[str]) -> list[Sum]:
    """Patients rated past each total: those past a larger one are among those past a smaller one."""
    places: list[tuple[float, str, int]] = []
    if evidence.design is not None:
        d = evidence.design
        places += [
            (float(knot), past_name(knot), int(n)) for knot, n in zip(d.knots, d.patients_past, strict=True)
        ]
    if evidence.test is not None:
        at = float(evidence.test.profile.estimate)
        places.append((at, "past", patients_past(evidence, at)))
    places.sort()
    values |= {name: n for _, name, n in places}
    chain = ["analysed", *(name for _, name, _ in places)]
    return [nested(outer, inner, values, unseen) for outer, inner in pairwise(chain)]


def patients_left_out(visits: Visits, evidence: Evidence) -> dict[str, int]:
    """Patients who are not analysed, each counted under the first reason that holds."""
    table = visits.table
    analysed = set(table["patient"].to_numpy()[evidence.ratings.row])
    counts: Counter[str] = Counter()
    for patient, rows in table.groupby("patient", sort=True):
        if patient in analysed:
            continue
        pain = rows["pain"].notna().to_numpy()
        later = bool(pain[1:].any())
        counts[
            "no_rating"
            if not pain.any()
            else "no_first_rating"
            if not pain[0]
            else "no_usable_rating"
            if later
            else "single_rating"
        ] += 1
    return dict(sorted(counts.items()))


def most_past(evidence: Evidence, shown: Counts) -> float | None:
    """Largest number of patients rated past a total that was searched; None where it is withheld."""
    design = evidence.design
    if design is None or not design.patients_past.size:
        return 0.0
    most = shown.number(past_name(design.knots[int(np.argmax(design.patients_past))]))
    return None if most is None else float(most)


def withheld_visits(shown: Counts, group: str) -> tuple[int, ...]:
    """Visits whose number of ratings may not be shown, nor, therefore, any mean: its digits give it away.

    Parameters
    ----------
    shown : Counts
    group : {"rated", "later"}
        All ratings, or those after the first.
    """
    found = (name.removeprefix(f"{group}:") for name in shown.withheld if name.startswith(f"{group}:"))
    return tuple(sorted(int(visit) for visit in found if visit.isdecimal()))


def past_name(knot: float) -> str:
    """Name of the number of patients rated past a total."""
    return f"past:{float(knot):.10g}"


def _bands(evidence: Evidence, values: dict[str, int], unseen: set[str]) -> list[Sum]:
    """Ratings and patients in each dose band."""
    if evidence.working is None:
        return []
    r = evidence.ratings
    band = band_members(r)
    names = [f"band:{i}" for i in range(int(band.max()) + 1)]
    sums = [Sum("ratings", tuple(names))]
    for i, name in enumerate(names):
        values[name] = int((band == i).sum())
        values[f"band_patients:{i}"] = int(np.unique(r.patient[band == i]).size)
        sums.append(nested("analysed", f"band_patients:{i}", values, unseen))
    return sums
