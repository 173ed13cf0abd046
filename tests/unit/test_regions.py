from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.unit import brute_force

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.visits import Visits, first_rows
from tpr_outcomes.errors import FitError
from tpr_outcomes.inference.regions import RegionRelief, relief_by_region
from tpr_outcomes.models.working import Working, random_columns, working_model
from tpr_outcomes.planning.simulate import get_world, simulate
from tpr_outcomes.reporting.plots_regions import plot_regions, regions_alt
from tpr_outcomes.reporting.spelling import terms


@pytest.fixture(scope="module")
def clinic() -> tuple[Visits, Working]:
    visits = simulate(get_world("A-lin"), n_patients=120, seed=6)
    names = np.array(["Neck", "back ", "leg", "", "elbow"], dtype=object)
    place = visits.table["patient"].to_numpy() % 40
    code = np.select([place < 15, place < 28, place < 38], [0, 1, 2], default=3 + place % 2)
    visits = visits.with_table(visits.table.assign(region=names[code]))
    return visits, working_model(ratings(visits))


def test_slopes_are_those_of_dense_generalised_least_squares(clinic: tuple[Visits, Working]) -> None:
    visits, working = clinic
    found = relief_by_region(working, visits)
    r, c = working.ratings, working.fit.covariance
    opens = first_rows(visits.table["patient"].to_numpy())[r.row]
    label = visits.table["region"].str.strip().str.lower().to_numpy()[opens]
    member = np.column_stack([label == name for name in found.names]).astype(float)
    columns = np.column_stack([
        member * r.dose_before[:, None], member[:, 1:], member[:, 1:] * np.log1p(working.time)[:, None],
        working.nuisance,
    ])  # fmt: skip
    dense = brute_force.evaluate(
        r.pain, columns, r.patient, Z=random_columns(working.time, working.random), D=c.random_covariance,
        sigma=c.sigma, weeks=working.time, phi=c.phi, nugget=c.nugget,
    )  # fmt: skip
    np.testing.assert_allclose(found.pooled.estimate, dense.beta[: len(found.names)] * found.dose, rtol=1e-6)


def test_words_for_the_same_region_are_one_and_few_patients_have_no_slope_of_their_own(
    clinic: tuple[Visits, Working],
) -> None:
    found = relief_by_region(clinic[1], clinic[0])
    assert found.names == ("back", "leg", "neck")  # blank and elbow together are fewer than ten patients
    assert sum(found.patients) < clinic[1].ratings.n_patients
    last = np.zeros(clinic[1].ratings.n_patients)
    np.maximum.at(last, clinic[1].ratings.patient, clinic[1].ratings.dose_before)
    assert found.dose == np.median(last)
    frame = found.to_frame()
    assert frame["region"].tolist() == ["back", "leg", "neck"]
    assert (frame["conf_low"] < frame["shrunken"]).all()


def test_small_regions_together_are_one_group_where_there_are_enough(clinic: tuple[Visits, Working]) -> None:
    visits, working = clinic
    code = visits.table["patient"].to_numpy() % 8
    names = np.array([f"r{i}" for i in range(3)] * 2 + ["x1", ""], dtype=object)
    many = visits.with_table(visits.table.assign(region=names[code]))
    found = relief_by_region(working, many)
    assert found.names[:3] == ("r0", "r1", "r2")
    assert found.names[-1] in ("other", "x1")


def test_two_regions_are_not_enough(clinic: tuple[Visits, Working]) -> None:
    visits, working = clinic
    two = np.where(visits.table["patient"] % 2 == 0, "neck", "back")
    with pytest.raises(FitError, match="2 regions have 10 patients or more; 3 are needed"):
        relief_by_region(working, visits.with_table(visits.table.assign(region=two)))


def test_the_forest_plot_draws_the_numbers(clinic: tuple[Visits, Working]) -> None:
    visits, working = clinic
    found: RegionRelief = replace(relief_by_region(working, visits), apart=0)
    ax = plot_regions(found, Figure().subplots(), terms("twitches", visits.scale))
    order = np.argsort(found.pooled.shrunken)
    lines = {line.get_gid(): line for line in ax.lines}
    np.testing.assert_allclose(lines["shrunken"].get_xdata(), found.pooled.shrunken[order])
    np.testing.assert_allclose(lines["own"].get_xdata(), found.pooled.estimate[order])
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels[-1] == "All regions"
    assert f"{found.patients[order[0]]} patients" in labels[0]
    alt = regions_alt(found, terms("twitches", visits.scale))
    assert alt.startswith("Forest plot of 3 regions.")
    assert all(name.capitalize() in alt for name in found.names)


def test_a_region_can_stand_out_and_is_pulled_in(clinic: tuple[Visits, Working]) -> None:
    visits, working = clinic
    found = relief_by_region(working, visits)
    pooled = replace(found, pooled=found.pooled).pooled
    assert np.all(np.abs(pooled.shrunken - pooled.mean) <= np.abs(pooled.estimate - pooled.mean) + 1e-12)


def test_patients_are_not_counted_where_a_small_rest_would_follow(
    clinic: tuple[Visits, Working],
) -> None:
    found = relief_by_region(clinic[1], clinic[0])
    few = replace(found, apart=3)
    assert few.shown(5) == (None, None, None)
    assert "patients" not in regions_alt(few, terms("twitches", clinic[0].scale))
    assert replace(found, apart=0).shown(5) == found.patients
    assert replace(found, apart=7, patients=(10, 30, 40)).shown(20) == (None, None, None)
    assert replace(found, apart=0, patients=(10, 30, 40)).shown(20) == (None, 30, 40)
