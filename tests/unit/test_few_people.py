"""No answer to a claim tells of 1 to 4 people, in any file, nor do two totals by subtraction: by brute force.

The check knows nothing of how numbers are withheld: it multiplies out every share that is told, subtracts
every two totals, and counts patients in the simulated tables themselves.
"""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd
import pytest

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cohort.privacy import Counts
from tpr_outcomes.cohort.tables import read_record
from tpr_outcomes.planning.workbook import simulate_tables
from tpr_outcomes.reporting import claims, words
from tpr_outcomes.reporting.bundle import contents
from tpr_outcomes.reporting.claim_plug import Said
from tpr_outcomes.reporting.few_people import withhold
from tpr_outcomes.reporting.verdict import Behind, Number

CLINICS = (("A-thr40", 22, 1), ("N4", 37, 2), ("A-thr40", 60, 4), ("A-thr40", 150, 1))
"""World, patients, seed: small ones have few of everything, the last is of usual size."""
SMALL = range(1, 5)
COUNTED = 1e-6
"""A share times its denominator that is this near a whole number counts something."""


def clinic(world: str, n: int, seed: int) -> tuple[dict[str, pd.DataFrame], Any]:
    tables = simulate_tables(world, n_patients=n, seed=seed)
    visits = tables["visits"]
    beside = {name: table for name, table in tables.items() if name != "visits"}
    return tables, evaluate(read_record(visits, tables=beside), replicates=99)


def leaks(rows: pd.DataFrame, known: dict[str, int | None], tables: dict[str, pd.DataFrame]) -> list[str]:
    """What the numbers behind the answers tell of 1 to 4 people."""
    found = []
    own = rows[~rows["term"].str.startswith("region_")]  # regions lie beside each other
    totals = {int(n) for n in own["n"].dropna() if n > 0} | {int(n) for n in known.values() if n}
    counts = own[own["unit"].eq("patients") & own["estimate"].notna()]
    totals |= {round(n) for n in counts["estimate"]}
    found += [f"a total of {n}" for n in totals if n in SMALL]
    found += [f"{a} less {b}" for a, b in combinations(sorted(totals, reverse=True), 2) if a - b in SMALL]
    shares = rows[rows["unit"].str.startswith("share") & rows["estimate"].notna() & rows["n"].gt(0)]
    people = shares[
        ~shares["term"].str.startswith(("natural", "excess", "sore", "kept", "brief", "resolved"))
    ]
    for row in people[people["unit"].ne("share of visits")].itertuples():
        k = row.estimate * row.n
        if abs(k - round(k)) < COUNTED:
            found += [
                f"{row.claim} {row.term}: {j} of {row.n}" for j in (round(k), row.n - round(k)) if j in SMALL
            ]
    found += [f"{claim} {term}: few patients" for claim, term in few(tables) if told(rows, claim, term)]
    return found


def few(tables: dict[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Events and words of 1 to 4 patients, counted in the tables."""
    events, sites = tables["events"], tables["sites"]
    happened = events[(events["kind"] == "adverse_event") & (events["what"] != "none")]
    by_event = happened.groupby("what")["patient"].nunique()
    by_word = sites.groupby("twitch_feeling")["patient"].nunique()
    rare = [("C29", what) for what, n in by_event.items() if n in SMALL]
    rare += [("C29", f"{what}_patients") for what, n in by_event.items() if n in SMALL]
    return rare + [("C5", str(word)) for word, n in by_word.items() if n in SMALL]


def told(rows: pd.DataFrame, claim: str, term: str) -> bool:
    here = rows[(rows["claim"] == claim) & (rows["term"] == term)]
    return bool(here[["estimate", "conf_low", "conf_high", "std_error", "p_value"]].notna().any(axis=None))


def from_verdict(content: dict[str, Any]) -> pd.DataFrame:
    rows = [{"claim": claim["claim"], **row} for claim in content["claims"] for row in claim["numbers"]]
    frame = pd.DataFrame(rows)
    numeric = ["estimate", "std_error", "conf_low", "conf_high", "p_value", "n"]
    return frame.assign(**{name: pd.to_numeric(frame[name], errors="coerce") for name in numeric})


def from_results(content: dict[str, Any]) -> pd.DataFrame:
    rows = [row for row in content["results"] if row["id"].startswith("claims:C")]
    frame = pd.DataFrame(rows)
    numeric = ["estimate", "std_error", "conf_low", "conf_high", "p_value", "n"]
    frame = frame.assign(**{name: pd.to_numeric(frame[name], errors="coerce") for name in numeric})
    return frame.assign(claim=frame["id"].str.split(":").str[1], unit=frame["unit"].fillna(""))


@pytest.fixture(scope="module", params=CLINICS, ids=str)
def made(request: pytest.FixtureRequest) -> tuple[dict[str, pd.DataFrame], Any]:
    return clinic(*request.param)


def known(result: Any) -> dict[str, int | None]:
    return {name: result.to_dict()["data"][name] for name in ("patients", "patients_analysed")}


def test_no_file_tells_of_few_people(made: tuple[dict[str, pd.DataFrame], Any]) -> None:
    tables, result = made
    files = contents(result)
    verdict = json.loads(files["verdict.json"])
    rows = from_verdict(verdict)
    assert leaks(rows, known(result), tables) == []
    csv = pd.read_csv(io.BytesIO(files["tables/claim_numbers.csv"]), keep_default_na=True)
    csv = csv.assign(unit=csv["unit"].fillna(""))
    assert len(csv) == len(rows)
    assert leaks(csv, known(result), tables) == []
    assert leaks(from_results(json.loads(files["results.json"])), known(result), tables) == []
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", files["report.html"].decode()))
    assert re.findall(r"(?<![\d.,–-])[1-4] (?:patients?|people)\b[^.]{0,40}", page) == []
    sentences = " ".join(claim["sentence"] for claim in verdict["claims"])
    said = {
        int(n.replace(",", ""))
        for n in re.findall(r"(?<!ewer than )\b([\d,]*\d) patients\b(?! or more)", sentences)
    }
    totals = said | {n for n in known(result).values() if n}
    assert [(a, b) for a, b in combinations(sorted(totals, reverse=True), 2) if a - b in SMALL] == []
    held = {table["table"]: table["rows"] for table in verdict["data"]["tables"]}
    assert [n for n in held.values() if n in SMALL] == []
    assert [n for n in totals if held["patients"] and abs(n - held["patients"]) in SMALL] == []
    assert "nan" not in re.findall(r"[a-z]+", sentences.lower())


def test_the_check_finds_what_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "withhold", lambda said, _: list(said))
    tables, result = clinic(*CLINICS[2])
    found = leaks(from_verdict(result.to_dict()), known(result), tables)
    assert any(" less " in text for text in found), found
    assert any(text.startswith("C29") for text in found), found
    assert any(" of 59" in text for text in found), found


def test_the_check_finds_one_planted_leak(made: tuple[dict[str, pd.DataFrame], Any]) -> None:
    tables, result = made
    rows = from_verdict(result.to_dict())
    n = int(rows["n"].max())
    for planted in (
        {"n": 3}, {"n": n - 2}, {"n": n, "estimate": 2 / n, "unit": "share"},
        {"n": n, "estimate": 1 - 4 / n, "unit": "share of patients"},
        {"n": n, "estimate": 4.0, "unit": "patients"},
    ):  # fmt: skip
        row = {"claim": "C30", "term": "planted", "unit": "points", "estimate": 0.5, **planted}
        worse = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
        assert leaks(worse, known(result), tables), planted


# --- the step by itself ---------------------------------------------------------------------------

SHOWN = Counts({"analysed": 177, "patients": 200, "visits": 900}, frozenset())


def share(term: str, k: int, n: int = 177, **behind: Any) -> Number:
    return Number(term, k / n, unit="share", n=n, behind=Behind((k, n - k), n, **behind))


def step(*numbers: Number, shown: Counts = SHOWN, **texts: str) -> Said:
    template = "{share} of {n} patients (95% interval {low} to {high})"
    return withhold([Said("inconclusive", template, texts=texts, numbers=numbers)], shown)[0]


def values(said: Said) -> list[float | None]:
    return [None if math.isnan(row.estimate) else row.estimate for row in said.numbers]


@pytest.mark.parametrize(
    ("k", "shown"), [(0, True), (1, False), (4, False), (5, True), (172, True), (173, False)]
)
def test_a_share_is_told_from_five_people_on_on_both_sides(k: int, shown: bool) -> None:
    assert (values(step(share("a", k)))[0] is not None) is shown


def test_a_share_nobody_can_account_for_is_not_told() -> None:
    unknown = Number("a", 0.3, unit="share", n=177)
    assert values(step(unknown, replace(unknown, estimate=0.0))) == [None, 0.0]


def test_a_total_near_another_is_withheld_and_the_rest_rounded() -> None:
    mean = Number("a", -2.12345, 0.2, -2.512, -1.7312, 0.001, unit="points", n=179)
    (row,) = step(mean, share="x", n="179").numbers
    assert (row.n, row.estimate, row.conf_low, row.conf_high) == (None, -2.1, -2.5, -1.7)
    assert math.isnan(row.std_error)
    assert math.isnan(row.p_value)
    assert step(mean, n="179").texts["n"] == words.WITHHELD["count"]
    assert step(replace(mean, n=182)).numbers[0].n == 182
    assert step(replace(mean, n=200)).numbers[0].n == 200


def test_shares_that_differ_by_few_patients_are_not_both_told() -> None:
    assert values(step(share("by_3", 40), share("by_6", 43))) == [40 / 177, None]
    assert values(step(share("by_3", 40), share("by_6", 45))) == [40 / 177, 45 / 177]
    beside = share("a", 40, group="words"), share("b", 43, group="words")
    assert None not in values(step(*beside))


def test_the_rest_of_a_whole_is_withheld_with_a_part() -> None:
    parts = [share(str(k), k, group="words") for k in (100, 3, 50, 24)]
    assert values(step(*parts)) == [100 / 177, None, 50 / 177, None]


def test_a_sentence_says_what_is_withheld() -> None:
    said = step(
        replace(share("a", 3), conf_low=0.01, conf_high=0.05), share="2%", low="1%", high="5%", n="177"
    )
    assert said.texts["share"] == "A withheld share"
    assert said.template.endswith("(interval withheld)")


def test_a_minimum_of_one_shows_everything() -> None:
    rows = share("a", 3), share("b", 2)
    assert values(step(*rows, shown=replace(SHOWN, minimum=1))) == [3 / 177, 2 / 177]
