"""The power grid: designs, questions, interpolation, the same numbers however run, and its figure."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference.evidence import gather_evidence
from tpr_outcomes.planning.power import (
    QUESTIONS,
    Cell,
    PowerCell,
    PowerGrid,
    Question,
    answers,
    design,
    power_grid,
)
from tpr_outcomes.planning.simulate import simulate
from tpr_outcomes.reporting.plots_planning import curves, power_curves, power_figure

SMALL = {"patients": (30, 60), "clinics": 2, "seed": 9, "bootstrap": 99}


@pytest.fixture(scope="module")
def small() -> PowerGrid:
    return power_grid(**SMALL)  # type: ignore[arg-type]


def made(shares: dict[int, int], clinics: int = 100, **changes: object) -> PowerGrid:
    """A grid with given numbers of clinics supported, by patients."""
    plain = Cell("observed", 0, 12, 30.0, -0.05)
    cells = tuple(
        PowerCell(
            replace(plain, patients=n, **changes),  # type: ignore[arg-type]
            clinics,
            dict.fromkeys(QUESTIONS, count),
        )
        for n, count in shares.items()
    )
    return PowerGrid(cells, "N4", 8, 99, 1)


# --- designs -----------------------------------------------------------------------------------------------


def test_a_cell_is_the_base_world_with_its_own_effect() -> None:
    truth = design("N4", Cell("observed", 60, 8, 25.0, -0.04), target=8)
    assert (truth.response, truth.threshold, truth.slope, truth.visits) == ("hinge", 25.0, -0.04, 8)
    assert truth.assignment == "observed"
    null = design("N7", Cell("observed", 60, 8, None, 0.0), target=8)
    assert (null.response, null.recovery_dose_corr) == ("none", -0.6)


def test_a_randomised_cell_draws_its_target_by_lot_with_the_same_insertions() -> None:
    truth = design("N4", Cell("randomised", 400, 12, 25.0, -0.04), target=6)
    assert (truth.assignment, truth.target) == ("randomised", 6)
    table = simulate(truth, n_patients=400, seed=1).table
    arms = table.groupby("target")
    assert set(arms.groups) == {0.0, 6.0}
    mean = arms["twitches"].mean()
    assert mean[0.0] < 0.5
    assert mean[6.0] > 5.0
    first = table[table["visit"] == 1].groupby("target")["insertions"]
    low, high = first.mean()
    assert abs(low - high) < 4 * np.sqrt((first.var() / first.size()).sum())


@pytest.mark.parametrize("world", ["A-lin", "N6", "N8", "A-thr40"])
def test_worlds_with_an_effect_of_their_own_are_refused(world: str) -> None:
    with pytest.raises(PlanError, match="already depends"):
        design(world, Cell("observed", 60, 8, 25.0, -0.04), target=8)


# --- running -----------------------------------------------------------------------------------------------


def test_grid_has_every_cell_in_order(small: PowerGrid) -> None:
    cells = [item.cell for item in small.cells]
    assert [(c.assignment, c.patients, c.threshold) for c in cells] == [
        (assignment, n, at)
        for assignment in ("observed", "randomised")
        for n in (30, 60)
        for at in (None, 30.0)
    ]
    assert all(item.clinics == 2 and set(item.counts) == set(QUESTIONS) for item in small.cells)
    frame = small.to_frame()
    assert len(frame) == 8 * len(QUESTIONS)
    assert frame["threshold"].isna().sum() == 4 * len(QUESTIONS)
    assert (frame["estimate"] == frame["count"] / frame["clinics"]).all()
    assert ((frame["conf_low"] <= frame["estimate"]) & (frame["estimate"] <= frame["conf_high"])).all()


@pytest.mark.simulation
def test_same_numbers_for_two_workers(small: PowerGrid) -> None:
    again = power_grid(**SMALL, workers=2)  # type: ignore[arg-type]
    assert again == small


def test_clinics_do_not_depend_on_the_rest_of_the_grid(small: PowerGrid) -> None:
    alone = power_grid(**{**SMALL, "patients": (60,)}, assignments=("observed",))  # type: ignore[arg-type]
    assert alone.cells == tuple(
        item for item in small.cells if (item.cell.patients, item.cell.assignment) == (60, "observed")
    )


def test_progress_counts_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    power_grid(
        patients=(20,), assignments=("observed",), clinics=1, seed=1, bootstrap=99,
        progress=lambda done, of: seen.append((done, of)),
    )  # fmt: skip
    assert seen == [(1, 2), (2, 2)]


def test_a_plain_threshold_answers_every_question() -> None:
    evidence = gather_evidence(simulate("A-thr30", n_patients=300, seed=3), replicates=199, seed=1)
    assert answers(evidence) == dict.fromkeys(QUESTIONS, True)


def test_what_could_not_be_fitted_answers_nothing() -> None:
    evidence = gather_evidence(simulate("N4", n_patients=2, seed=3), replicates=99, seed=1)
    assert answers(evidence) == dict.fromkeys(QUESTIONS, False)


BAD = {
    "patients": (0,), "visits": (1,), "clinics": 0, "seed": -1, "bootstrap": 1, "workers": 0,
    "thresholds": (-1.0,), "slopes": (0.05,), "assignments": ("lottery",), "target": 0, "world": "N99",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_impossible_settings_are_named(name: str) -> None:
    with pytest.raises(PlanError, match=name.removesuffix("s")):
        power_grid(**{**SMALL, name: BAD[name]})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["patients", "thresholds", "slopes", "assignments"])
def test_empty_and_repeated_values_are_refused(name: str) -> None:
    given = {"patients": 30, "thresholds": 30.0, "slopes": -0.05, "assignments": "observed"}[name]
    for values in ((), (given, given)):
        with pytest.raises(PlanError, match=name):
            power_grid(**{**SMALL, name: values})  # type: ignore[arg-type]


# --- how many patients -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "patients", "beyond"),
    [
        ({100: 60, 400: 100}, 200, ""),  # half way up is half way in the logarithm
        ({100: 80, 400: 100}, 100, ""),
        ({100: 81, 400: 100}, 100, "fewer"),
        ({100: 10, 400: 79}, 400, "more"),
        ({100: 10, 400: 80}, 400, ""),
        ({100: 85, 200: 70, 400: 90}, 283, ""),  # from there on it stays
    ],
)
def test_patients_needed(shares: dict[int, int], patients: int, beyond: str) -> None:
    row = made(shares).patients_needed().iloc[0]
    assert (row["patients"], row["beyond"]) == (patients, beyond)


def test_patients_needed_leaves_out_clinics_without_an_effect(small: PowerGrid) -> None:
    needed = small.patients_needed()
    assert needed["threshold"].tolist() == [30.0, 30.0]
    with pytest.raises(PlanError, match="share"):
        small.patients_needed(1.0)
    assert made({10: 5}, threshold=None).patients_needed().empty


# --- the figure --------------------------------------------------------------------------------------------


def test_curves_are_drawn_as_they_are() -> None:
    from matplotlib.figure import Figure

    grid = made({60: 20, 150: 70, 400: 99})
    other = made({60: 10, 150: 40, 400: 90}, assignment="randomised")
    grid = replace(grid, cells=grid.cells + other.cells)
    ax = power_curves(grid, Figure().subplots())
    lines = {str(line.get_gid()): line for line in ax.get_lines()}
    drawn = lines["observed-12-30--0.05"]
    np.testing.assert_array_equal(drawn.get_xdata(), [60, 150, 400])
    np.testing.assert_allclose(drawn.get_ydata(), [20, 70, 99])
    assert drawn.get_linestyle() != lines["randomised-12-30--0.05"].get_linestyle()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["60", "150", "400"]
    words = [text.get_text() for text in ax.texts]
    assert any("drawn by lot" in text for text in words)


def test_clinics_without_an_effect_are_not_curves(small: PowerGrid) -> None:
    assert len(curves(small)) == 2
    assert len(curves(made({60: 1}, threshold=None))) == 0


def test_figure_is_the_same_twice(small: PowerGrid) -> None:
    first = power_figure(small)
    assert first == power_figure(small)
    assert first.lstrip().startswith("<?xml")
    assert pd.Series(first).str.contains("<dc:date>").sum() == 0


def test_questions_are_those_counted() -> None:
    assert tuple(QUESTIONS) == get_args(Question)
