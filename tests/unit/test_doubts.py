"""What stands beside the verdict, in words: one sentence per answer, the numbers those of the rows."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

import tpr_outcomes as tpr
from tpr_outcomes.cohort.scales import NRS
from tpr_outcomes.inference.comparison import ComparisonDose
from tpr_outcomes.inference.dropout import TippingPoint
from tpr_outcomes.inference.falsify import Check
from tpr_outcomes.inference.sensitivity import Sensitivity, Undone, UnrecordedReason
from tpr_outcomes.inference.tipping import NaturalCourse
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.reporting.doubts import (
    adjusted_rows,
    doubt_rows,
    sensitivity_frame,
    weights_frame,
    weights_note,
)
from tpr_outcomes.reporting.report import linked_page
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import terms

CALLED = terms("twitches", NRS)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return tpr.evaluate(simulate("insertions+thr40", n_patients=150, seed=2), seed=1, replicates=199)


@pytest.fixture(scope="module")
def found(evaluation: Evaluation) -> Sensitivity:
    assert evaluation.sensitivity is not None
    return evaluation.sensitivity


def answer(found: Sensitivity, name: str, **changes: object) -> str:
    rows = dict(doubt_rows(dataclasses.replace(found, **changes), CALLED))  # type: ignore[arg-type]
    return rows[name][1] if name in rows else ""


def test_no_number_of_the_section_is_without_its_row(evaluation: Evaluation) -> None:
    page = linked_page(evaluation, {})
    ours = [miss for miss in page.unlinked if any("sensitivity" in scope for scope in miss.scopes)]
    assert ours == []
    for name in ("table-doubts", "table-adjusted", "table-weights"):
        assert f'id="{name}"' in page.html


def test_the_frame_holds_the_numbers_of_the_fits(found: Sensitivity) -> None:
    frame = sensitivity_frame(found, CALLED).set_index("term")
    for name in ("next_rating", "all_ratings", "weighted"):
        fit = getattr(found, name)
        row = frame.loc[f"adjusted:{name}"]
        for key in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
            assert row[key] == getattr(fit, key)
        assert row["n"] == fit.n_patients
    assert frame.loc["doubt:control", "reason"] == "no negative-control outcome is recorded"
    assert frame.index.is_unique


def test_weights_by_visit(found: Sensitivity) -> None:
    assert not isinstance(found.weighted, Undone)
    w = found.weighted.weights
    frame = weights_frame(found)
    first = w.visits[(w.visits["visit_index"] == 0) & (w.visits["component"] == "weight")].iloc[0]
    assert frame.loc[0, "visit"] == 1
    assert frame.loc[0, "effective"] == first["effective_n"]
    third = w.balance[w.balance["visit_index"] == 2]
    assert frame.loc[2, "before"] == third["correlation_before"].abs().max()
    assert weights_frame(dataclasses.replace(found, weighted=Undone("x"))).empty
    assert weights_note(dataclasses.replace(found, weighted=Undone("x"))) == ""
    assert f"({w.n_truncated} ratings" in weights_note(found)


def test_adjusted_rows_say_what_could_not_be_done(found: Sensitivity) -> None:
    rows = dict(adjusted_rows(dataclasses.replace(found, next_rating=Undone("too few")), CALLED))
    assert rows["next_rating"][1:] == ("–", "–", "Not done: too few.")
    assert "past_threshold" not in dict(
        adjusted_rows(dataclasses.replace(found, past_threshold=None), CALLED)
    )


def test_an_unrecorded_reason(found: Sensitivity) -> None:
    reason = UnrecordedReason(-0.05, 0.01, 40.0, 500, 0.24, 0.18, 0.012)
    said = answer(found, "unrecorded", unrecorded=reason)
    assert "24%" in said
    assert "18%" in said
    assert "one point more of recorded pain" in said
    assert "one point more" not in answer(found, "unrecorded", unrecorded=reason, next_rating=Undone("no"))
    unclear = dataclasses.replace(reason, value_interval=0.0)
    assert "the weakest reason would do" in answer(found, "unrecorded", unrecorded=unclear)
    assert "0.012 at most; the change found is −0.050" in answer(found, "benchmark", unrecorded=reason)
    assert "found is 0.050" in answer(found, "benchmark", unrecorded=reason, worse=-1.0)
    assert answer(found, "benchmark", unrecorded=dataclasses.replace(reason, benchmark=None)) == ""
    assert answer(found, "unrecorded", unrecorded=Undone("why")) == "Not done: why."


def test_natural_recovery(found: Sensitivity) -> None:
    course = NaturalCourse(0.8, 6.0, 0.14, 2.8, 2.0, 1.8, 1.0)
    assert "2.8 times as fast" in answer(found, "natural", natural=course)
    never = dataclasses.replace(course, times_as_fast=np.inf)
    assert answer(found, "natural", natural=never).startswith("No speed would do")


def tipping(conclusion: str, limit: float, delta: float | None) -> TippingPoint:
    table = pd.DataFrame([{"estimate": -2.5, "std_error": 0.3, "conf_low": -3.1, "conf_high": -1.9} | {
        "p_value": 0.001
    }])  # fmt: skip
    return TippingPoint(delta, conclusion, None, 0.0, limit, table)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("conclusion", "delta", "words"),
    [
        ("lower", 1.5, "1.5 points worse"),
        ("lower", None, "No shift within the scale undoes the mean improvement of 2.5 points"),
        ("not shown", None, "not clear of none to begin with"),
        ("higher", 2.0, "not clear of none to begin with"),
    ],
)
def test_patients_who_stopped_fared_worse(
    found: Sensitivity, conclusion: str, delta: float | None, words: str
) -> None:
    said = answer(found, "mean_change", mean_change=tipping(conclusion, 10.0, delta))
    assert words in said
    assert f"visit {found.last_visit + 1}" in said


@pytest.mark.parametrize(
    ("conclusion", "delta", "words"),
    [
        ("lower", -1.5, "1.5 points better"),
        ("lower", None, "No shift within the scale"),
        ("not shown", None, "shows no relief per twitch to begin with"),
    ],
)
def test_patients_who_stopped_fared_better(
    found: Sensitivity, conclusion: str, delta: float | None, words: str
) -> None:
    assert words in answer(found, "dose_slope", dose_slope=tipping(conclusion, -10.0, delta))


@pytest.mark.parametrize("passed", [True, False])
def test_checks(found: Sensitivity, passed: bool) -> None:
    timing = Check("timing", 0.012, passed, 2.0, 100)
    assert ("does not show" in answer(found, "timing", timing=timing)) is not passed
    control = dataclasses.replace(timing, name="control")
    assert ("shows no link" in answer(found, "control", control=control)) is passed
    undone = Check("timing", None, None, None, 0, "no dose")
    assert answer(found, "timing", timing=undone) == "Not done: no dose."


def test_quiet_insertions_point_the_way_of_the_scale(found: Sensitivity) -> None:
    quiet = ComparisonDose(-0.02, 0.007, 0.01, 0.01, -0.027, 0.008, -0.042, -0.012, 0.0004, 150)
    assert "−0.042 to −0.012" in answer(found, "comparison", comparison=quiet)
    turned = answer(found, "comparison", comparison=quiet, worse=-1.0)
    assert "Difference 0.027 (95% interval 0.012 to 0.042), p <0.001" in turned


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("cannot tell", "cannot tell one threshold for all"),
        ("one common threshold", "speaks for one threshold for all"),
        ("thresholds differ between patients", "Thresholds differ"),
    ],
)
def test_thresholds_that_differ(found: Sensitivity, kind: str, words: str) -> None:
    fit = found.spread
    assert fit is not None
    assert not isinstance(fit, Undone)
    sd, typical = fit.threshold_sd, fit.threshold
    typical = dataclasses.replace(typical, estimate=40.0, conf_low=35.0, conf_high=45.0)
    spread = {"cannot tell": (0.0, 0.0, 20.0, 1.0), "one common threshold": (0.0, 0.0, 5.0, 1.0)}.get(
        kind, (12.0, 8.0, 16.0, 0.001)
    )
    sd = dataclasses.replace(sd, estimate=spread[0], conf_low=spread[1], conf_high=spread[2])
    made = dataclasses.replace(
        fit, status="converged", threshold=typical, threshold_sd=sd, p_value=spread[3],
        log_likelihood=-100.0, log_likelihood_slopes=-100.0,
    )  # fmt: skip
    assert made.distinguishable() == kind
    assert words in answer(found, "spread", spread=made)
    open_end = dataclasses.replace(made, threshold_sd=dataclasses.replace(sd, conf_high=np.inf))
    assert "any spread fits" in answer(found, "spread", spread=open_end)
    assert answer(found, "spread", spread=None) == ""


def test_no_causal_verb_without_its_assumptions(evaluation: Evaluation) -> None:
    """The section on adjusted changes says what they rest on before it shows them."""
    page = linked_page(evaluation, {}).html
    lead = page.index("Each number is an effect only if")
    assert lead < page.index('id="table-adjusted"')
    section = page[page.index('id="table-doubts"') : page.index('id="table-adjusted"')]
    assert not re.search(r"\bcauses?\b|\beffects?\b", section.replace("Each number is an effect only if", ""))
