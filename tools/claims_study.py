"""Coverage, size and power of the analyses behind the claims: writes docs/methods/claims-study.csv.

    PYTHONPATH=src python tools/claims_study.py shares --replicates 300 --seed 20261125
    PYTHONPATH=src python tools/claims_study.py slopes --replicates 100 --seed 20261125
    PYTHONPATH=src python tools/claims_study.py twins --replicates 20 --seed 20261125

Aims, worlds, estimands, methods and performance (ADEMP) stand in docs/methods: procedure-and-safety.md,
visit-frequency.md and response.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.diary import DIARY_HOURS, diary_entries
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.clustered import Estimate
from tpr_outcomes.inference.frequency import analyse_frequency
from tpr_outcomes.inference.medicine import advice_given, pain_medicine
from tpr_outcomes.inference.natural import natural_twin
from tpr_outcomes.inference.order import order_of_treatments
from tpr_outcomes.inference.procedure import insertion_felt, twitch_feeling, twitch_pain
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.inference.response import RESPONSE, endings_of
from tpr_outcomes.inference.safety import adverse_events
from tpr_outcomes.inference.soreness import dose_slopes
from tpr_outcomes.models.working import working_model
from tpr_outcomes.planning.beside import Beside, tables_beside
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.planning.workbook import simulate_record
from tpr_outcomes.reporting.claims_course import SIX

NOTHING = Beside(
    medicine_per_visit=0.0,
    advice_per_point=0.0,
    sore_per_twitch=0.0,
    treatment_before=0.06,
    treatment_after=0.06,
    infection=0.003,
)
SOMETHING = replace(Beside(), gap_growth=0.05)
TWINS = ("N4", "N1", "A-thr40", "A-lin")
LARGE = 6000
"""Patients of the clinic that gives the truth where there is no formula for it."""
SAVED = 25
"""Replicates after which the table is written, so that a study that is stopped leaves what it has."""


def truths(beside: Beside) -> dict[str, float]:
    """What the shares and slopes are in a clinic of this kind; those without a formula are left out."""
    named = (beside.feelings[0] + beside.feelings[1]) / (1.0 - beside.feelings[4])
    # seconds are written to hundredths, so that 0.995 and more is not under a second
    short = math.log(0.995 / beside.twitch_seconds) / beside.twitch_seconds_sd
    known = {
        "brief": float(stats.norm.cdf(short)),
        "named": named,
        "not_felt": float(stats.norm.cdf(-beside.felt / math.hypot(1.0, beside.felt_sd))),
        "bruise": beside.bruise,
        "infection": beside.infection,
    }
    if beside.medicine_per_visit == 0.0:
        known["medicine per visit"] = 0.0
    if beside.sore_per_twitch == 0.0:
        known |= dict.fromkeys(("twitches", "twitches_within", "twitches_between"), 0.0)
    if beside.advice_per_point == 0.0:
        known["advice per point"] = 0.0
    if beside.gap_growth == 0.0:
        known["gap_ratio"] = 1.0
    return known


def shares_in(beside: Beside, n_patients: int, seed: int) -> Iterator[tuple[str, Estimate]]:
    """Shares and the ratio of gaps of one simulated clinic, read as a clinic's own tables would be."""
    record = simulate_record("N4", n_patients=n_patients, seed=seed, beside=beside)
    assert record.sites is not None
    assert record.events is not None
    yield "brief", twitch_pain(record.sites).get("brief")
    yield "named", twitch_feeling(record.sites).get("named")
    yield "not_felt", insertion_felt(record.sites).get("not_felt")
    events = adverse_events(record.events, n_visits=record.visits.n_visits, always=("infection", "bruise"))
    for name in ("infection", "bruise"):
        share = events.get(name)
        assert share is not None
        yield name, share
    yield "gap_ratio", analyse_frequency(record.visits).gap_ratio


def slopes_in(beside: Beside, n_patients: int, seed: int) -> Iterator[tuple[str, Estimate]]:
    """Slopes, and the order of treatments, of one simulated clinic."""
    visits = simulate("N4", n_patients=n_patients, seed=seed)
    table = visits.table
    tables = tables_beside(table, beside, seed=seed, only=("diary", "events"))
    events, diary = tables["events"].assign(weeks=math.nan), tables["diary"]
    yield "medicine per visit", pain_medicine(events, table).slope
    yield "advice per point", advice_given(events, diary).slope
    entries = diary_entries(diary.drop(columns="area").astype({"soreness": float}), DIARY_HOURS)
    for row in dose_slopes(entries, table[["patient", "visit", "twitches"]], DIARY_HOURS):
        yield row.term, row
    yield "after", order_of_treatments(visits, events).after


def all_truths(beside: Beside, seed: int) -> dict[str, float]:
    """The truths, those without a formula from one large clinic."""
    large = {name: row.estimate for name, row in slopes_in(beside, LARGE, seed)}
    return large | truths(beside)


def twin_of(world: str, n_patients: int, seed: int) -> Iterator[tuple[str, Estimate, float]]:
    """Share with a lasting response after six visits without the dose, beside that of the same people in N4.

    The people, their good and bad days and what they would do are the same in both; when they stop is not.
    ``natural`` and ``excess`` are held against N4's ratings of the visits that were made with the dose, which
    is what they claim to estimate; ``natural, own visits`` against N4 as it went by itself.
    """
    visits = simulate(world, n_patients=n_patients, seed=seed)
    working = working_model(ratings(visits))
    twin = natural_twin(visits, working)
    natural, excess = twin.get(f"natural_by_{SIX}"), twin.get(f"excess_by_{SIX}")
    if not world.startswith("A"):
        yield "natural", natural, _share(visits)
        yield "excess", excess, 0.0
        return
    alone = simulate("N4", n_patients=n_patients, seed=seed)
    keys = ["patient", "visit"]
    table = visits.table.drop(columns="pain").merge(alone.table[[*keys, "pain"]], how="left", on=keys)
    same = _share(replace(visits, table=table))
    yield "natural", natural, same
    yield "excess", excess, _share(visits) - same
    yield "natural, own visits", natural, _share(alone)


def _share(visits: Visits) -> float:
    endings = endings_of(visits, 30.0, "twitches")
    return sum(e.cause == RESPONSE and e.visits <= SIX for e in endings) / len(endings)


def line(name: str, row: Estimate, truth: float) -> dict[str, object]:
    """What is kept of one estimate."""
    covered = math.nan if math.isnan(truth) else float(row.conf_low <= truth <= row.conf_high)
    null = 1.0 if name == "gap_ratio" else 0.5 if name == "after" else 0.0
    return {
        "term": name,
        "truth": truth,
        "estimate": row.estimate,
        "covered": covered,
        "above": float(row.conf_low > null),
        "below": float(row.conf_high < null),
    }


def cells(part: str, seed: int, replicate: int) -> Iterator[dict[str, object]]:
    """Every line of one replicate of the shares or the slopes."""
    find = {"shares": shares_in, "slopes": slopes_in}[part]
    for setting, beside in (("nothing", NOTHING), ("something", SOMETHING)):
        known = _known(part, setting, seed)
        for n_patients in (60, 150):
            own = int(generator(seed, "claims study", setting, n_patients, replicate).integers(2**62))
            for name, row in find(beside, n_patients, own):
                cell = {"setting": setting, "patients": n_patients}
                yield cell | line(name, row, known.get(name, math.nan))


@lru_cache
def _known(part: str, setting: str, seed: int) -> dict[str, float]:
    beside = {"nothing": NOTHING, "something": SOMETHING}[setting]
    if part == "shares":
        return truths(beside)
    return all_truths(beside, int(generator(seed, "claims study", setting, "truth").integers(2**62)))


def twins(seed: int, replicate: int) -> Iterator[dict[str, object]]:
    """Every line of one replicate of the natural course."""
    for world in TWINS:
        own = int(generator(seed, "twin study", world, replicate).integers(2**62))
        try:
            for name, row, truth in twin_of(world, 150, own):
                yield {"setting": world, "patients": 150} | line(name, row, truth)
        except FitError:
            continue


def table(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per setting, number of patients and term, with Monte Carlo standard errors."""
    rows = []
    for (setting, patients, term), own in lines.groupby(["setting", "patients", "term"], sort=False):
        n = len(own)
        row = {"setting": setting, "patients": patients, "term": term, "clinics": n}
        row |= {"truth": own["truth"].mean(), "mean_estimate": own["estimate"].mean()}
        row["bias_mcse"] = (own["estimate"] - own["truth"]).std(ddof=1) / math.sqrt(n)
        for name in ("covered", "above", "below"):
            share = own[name].mean()
            row[name], row[f"{name}_mcse"] = share, math.sqrt(max(share * (1 - share), 0.0) / n)
        rows.append(row)
    return pd.DataFrame(rows).round(4)


def main() -> None:
    """Run one part of the study and write its rows; those of the other parts stay in the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("shares", "slopes", "twins"))
    parser.add_argument("--replicates", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--out", type=Path, default=Path("docs/methods/claims-study.csv"))
    asked = parser.parse_args()
    before = pd.read_csv(asked.out) if asked.out.exists() else None
    kept = [] if before is None else [before[before["part"] != asked.part]]
    lines: list[dict[str, object]] = []
    for i in range(asked.replicates):
        lines += twins(asked.seed, i) if asked.part == "twins" else cells(asked.part, asked.seed, i)
        if (i + 1) % SAVED == 0 or i + 1 == asked.replicates:
            made = table(pd.DataFrame(lines))
            made.insert(0, "part", asked.part)
            made.insert(1, "seed", asked.seed)
            made.insert(2, "numpy", np.__version__)
            both = pd.concat([*kept, made], ignore_index=True).sort_values("part", kind="stable")
            both.to_csv(asked.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
