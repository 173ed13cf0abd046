"""The simulator: same seed same bytes, plain-Python agreement, invariants, refusals, files."""

from __future__ import annotations

import json
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.unit.slow_clinic import live

from tpr_outcomes.cohort.visits import read_visits
from tpr_outcomes.errors import OutputError, PlanError
from tpr_outcomes.planning.course import run_course
from tpr_outcomes.planning.draws import poisson_quantile
from tpr_outcomes.planning.simulate import WORLDS, Truth, get_world, simulate, simulate_frame, to_file

# --- agreement with one patient at a time ------------------------------------------------------------------

WITHOUT_EXTRAS = (
    "N0", "N1", "N2", "N3", "N4", "N5", "N5s", "N5neg", "N6", "N7", "N8", "N9", "N9neg", "N4mnar",
    "A-lin", "A-emax", "A-thr20", "A-thr40", "A-step", "A-het", "A-kink", "A-thr40+half", "N4+little",
    "N4+fixed", "thr40+N5neg", "convex+thr40", "irregular+thr40", "informative", "insertions+thr40",
    "ins-lin", "ins-thr", "cotreat+thr40",
)  # fmt: skip


@pytest.mark.parametrize("world", WITHOUT_EXTRAS)
def test_fast_and_slow_clinics_agree(world: str) -> None:
    truth, n, seed = get_world(world), 25, 11
    fast = run_course(truth, n, seed)
    for i in range(n):
        slow = live(truth, fast.draws, i, weeks=[float(w) for w in fast.weeks[:, i]], seed=seed)
        seen = np.flatnonzero(fast.attended[:, i])
        assert seen.tolist() == slow.slots
        # Floating-point sums in another order: 1e-9 NRS points.
        np.testing.assert_allclose(fast.latent[seen, i], slow.latent, rtol=0, atol=1e-9)
        assert fast.rated[seen, i].tolist() == slow.rated
        assert fast.twitches[seen, i].tolist() == slow.twitches
        assert fast.insertions[seen, i].tolist() == slow.insertions
        assert fast.ending[i] == slow.ending


def test_poisson_quantiles_are_exact() -> None:
    rng = np.random.default_rng(1)
    share, mean = rng.random(50_000), np.exp(rng.normal(1.0, 2.0, 50_000))
    share[:3], mean[3:6] = (0.0, 1e-12, 1.0 - 2.0**-53), 0.0
    expected = np.maximum(stats.poisson.ppf(share, mean), 0.0)  # scipy says -1 at a share of 0
    np.testing.assert_array_equal(poisson_quantile(share, mean), expected)


# --- seeds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_the_same_seed_gives_the_same_bytes(world: str) -> None:
    first, again = (simulate(world, n_patients=40, seed=3).table for _ in range(2))
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert not first.equals(simulate(world, n_patients=40, seed=4).table)


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_a_smaller_clinic_is_the_first_patients_of_a_larger_one(world: str) -> None:
    small, large = (simulate(world, n_patients=n, seed=3).table for n in (20, 50))
    head = large[large["patient"] < 20].reset_index(drop=True)
    pd.testing.assert_frame_equal(small, head, check_exact=True)


def test_worlds_share_their_people() -> None:
    """N2 adds only the bad first day to N1; the hinge only what comes after 40 twitches to N4."""
    n1, n2 = run_course(WORLDS["N1"], 300, 5), run_course(WORLDS["N2"], 300, 5)
    np.testing.assert_array_equal(n1.latent, n2.latent)
    np.testing.assert_array_equal(n1.rated[1:], n2.rated[1:])
    assert (n2.rated[0] >= n1.rated[0]).all()
    none, hinge = run_course(WORLDS["N4"], 300, 5), run_course(WORLDS["A-thr40"], 300, 5)
    before = np.cumsum(none.twitches, axis=0) - none.twitches <= 40
    same = np.logical_and.accumulate(before, axis=0)
    np.testing.assert_array_equal(none.rated[same], hinge.rated[same])
    assert (hinge.latent <= none.latent + 1e-12).all()


def test_more_pain_never_means_fewer_twitches_of_the_same_chance() -> None:
    share, mean = np.full(500, 0.7), np.linspace(0.0, 60.0, 500)
    assert (np.diff(poisson_quantile(share, mean)) >= 0).all()


# --- invariants --------------------------------------------------------------------------------------------

TRUTHS = st.builds(
    lambda world, **changes: replace(get_world(world), **changes),
    st.sampled_from(sorted(WORLDS)),
    visits=st.integers(1, 8),
    noise_sd=st.floats(0.0, 5.0),
    dose_mean=st.floats(0.0, 40.0),
    stop_prob=st.floats(0.0, 1.0),
    stop_background=st.floats(0.0, 1.0),
    missed_prob=st.floats(0.0, 1.0),
    wobble_phi=st.floats(0.0, 1.0),
    digit_pain=st.floats(0.0, 1.0),
    scale=st.sampled_from(["nrs", "vas", "hit6", "psfs"]),
)


@given(truth=TRUTHS, n=st.integers(1, 12), seed=st.integers(0, 2**40))
def test_every_record_is_possible(truth: Truth, n: int, seed: int) -> None:
    visits = simulate(truth, n_patients=n, seed=seed)
    table = visits.table
    pain = table["pain"].dropna()
    assert pain.between(visits.scale.minimum, visits.scale.maximum).all()
    assert (pain == pain.round()).all()
    twitches = table["twitches"].dropna()
    assert (twitches >= 0).all()
    assert (twitches == twitches.round()).all()
    assert visits.n_patients == n
    by_patient = table.groupby("patient")
    assert (by_patient["visit"].min() == 1).all()
    assert (by_patient["visit"].max() == by_patient.size()).all()
    assert table["visit"].max() <= truth.visits
    if "weeks" in table:
        assert (by_patient["weeks"].first() == 0).all()
        assert (by_patient["weeks"].diff().dropna() > 0).all()


@given(truth=TRUTHS, seed=st.integers(0, 1000))
def test_nothing_is_needled_when_nobody_is_there(truth: Truth, seed: int) -> None:
    course = run_course(truth, 10, seed)
    assert course.attended[0].all()
    assert (course.twitches[~course.attended] == 0).all()
    assert (course.insertions[~course.attended] == 0).all()
    assert np.isfinite(course.latent).all()
    if truth.missed_prob == 0.0:  # nobody comes back after leaving
        assert (np.diff(course.attended.astype(int), axis=0) <= 0).all()


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"noise_sd": -1.0}, "noise_sd"),
        ({"start_sd": float("nan")}, "start_sd"),
        ({"recovery_weeks": 0.0}, "recovery_weeks"),
        ({"recovery_weeks": float("inf")}, "recovery_weeks"),
        ({"stop_prob": 1.5}, "stop_prob"),
        ({"recovery_dose_corr": -1.2}, "recovery_dose_corr"),
        ({"visits": 0}, "visits"),
        ({"visits": 12.0}, "visits"),
        ({"dose_mean": "8"}, "dose_mean"),
        ({"noise_sd": True}, "noise_sd"),
        ({"driver": "mood"}, "driver"),
        ({"response": 3}, "response"),
        ({"floor_low": 0.8}, "floor_low"),
        ({"therapists_low": 5}, "therapists_low"),
        ({"scale": "pain"}, "pain"),
        ({"acting": "insertions"}, "insertions_mean"),
        ({"assignment": "randomised"}, "insertions_mean"),
        ({"insertions_mean": 12.0, "dose_sd": 0.1}, "insertions_sd"),
        ({"round_therapist": 1}, "round_therapist"),
    ],
)
def test_a_bad_parameter_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(PlanError, match=named):
        Truth(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_patients", [0, -3, 2.5, "150", True, None])
def test_patients_are_a_whole_positive_number(n_patients: object) -> None:
    with pytest.raises(PlanError, match="n_patients"):
        simulate("N4", n_patients=n_patients, seed=1)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="n_patients"):
        simulate_frame("N4", n_patients=n_patients, seed=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 1.0, "1"])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(PlanError, match="seed"):
        simulate("N4", n_patients=5, seed=seed)  # type: ignore[arg-type]


def test_every_parameter_is_explained() -> None:
    assert Truth.__doc__ is not None
    assert [item.name for item in fields(Truth) if item.name not in Truth.__doc__] == []


# --- the record as a clinic keeps it -----------------------------------------------------------------------


@pytest.mark.parametrize("world", ["A-thr40", "irregular+thr40", "insertions+thr40", "digits", "scale100"])
def test_a_written_clinic_reads_back_as_simulated(world: str, tmp_path: Path) -> None:
    truth = replace(get_world(world), pain_blank=0.02)
    written = to_file(truth, tmp_path / "clinic.csv", n_patients=60, seed=9)
    read = read_visits(written.data, scale=truth.scale)
    made = simulate(truth, n_patients=60, seed=9)
    assert (written.rows, written.patients) == (made.n_visits, 60)
    shared = [name for name in made.table if name not in ("therapist", "region", "weeks")]
    pd.testing.assert_frame_equal(read.table[shared], made.table[shared], check_dtype=False)
    if "weeks" in made.table:  # written to three decimals
        np.testing.assert_allclose(read.table["weeks"], made.table["weeks"], rtol=0, atol=5e-4)
    assert read.left_out == ()
    assert {problem.rule for problem in read.problems} <= {"pain_blank"}


def test_a_written_clinic_says_what_is_true(tmp_path: Path) -> None:
    written = to_file("A-thr40+count70", tmp_path / "clinic.csv", n_patients=30, seed=2)
    said = json.loads(written.truth.read_text(encoding="utf-8"))
    assert written.truth.name == "clinic.truth.json"
    assert said["world"] == "A-thr40+count70"
    assert said["threshold_recorded_twitches"] == pytest.approx(28.0)
    assert (said["patients"], said["seed"], said["has_threshold"]) == (30, 2, True)
    assert set(said["parameters"]) == {item.name for item in fields(Truth)}
    fixed = to_file("N4+fixed", tmp_path / "fixed.csv", n_patients=3, seed=2)
    assert json.loads(fixed.truth.read_text(encoding="utf-8"))["parameters"]["dose_size"] == "inf"


def test_the_frame_describes_its_patients() -> None:
    frame = simulate_frame("N4", n_patients=120, seed=1)
    assert frame["patient"].iloc[0] == "P001"
    assert frame["patient"].nunique() == 120
    assert {"age", "sex", "region", "therapist", "stop_reason"} <= set(frame)
    assert frame["age"].between(18, 85).all()
    constant = frame.groupby("patient")[["age", "sex", "region", "therapist"]].nunique()
    assert (constant == 1).all().all()
    last = ~frame["patient"].duplicated(keep="last")
    assert (frame.loc[last, "stop_reason"] != "").all()
    assert (frame.loc[~last, "stop_reason"] == "").all()
    assert 0 < frame["pain"].isna().mean() < 0.03
    better = frame.loc[frame["stop_reason"] == "better"]
    first = frame[frame["visit"] == 1].set_index("patient")["pain"]
    pairs = better.set_index("patient")["pain"].to_frame("last").join(first.to_frame("first")).dropna()
    assert (pairs["last"] <= pairs["first"] / 2).all()


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder that exists"):
        to_file("N4", tmp_path / "none" / "clinic.csv", n_patients=5, seed=1)


@pytest.mark.parametrize(("name", "world"), [("threshold", "A-thr40"), ("nothing", "N4")])
def test_the_example_clinics_are_what_their_command_makes(
    name: str, world: str, root: Path, tmp_path: Path
) -> None:
    shipped = root / "data" / f"example_{name}.csv"
    made = to_file(world, tmp_path / shipped.name, n_patients=180, seed=3)
    assert shipped.read_bytes() == made.data.read_bytes()
    assert shipped.with_suffix(".truth.json").read_bytes() == made.truth.read_bytes()
    command = f"tpr simulate {world} --patients 180 --seed 3 --out data/{shipped.name}"
    assert command in (root / "data" / "README.md").read_text(encoding="utf-8")


def test_a_clinic_takes_milliseconds() -> None:
    """3 ms on an idle core; the best of many, with slack for a busy machine."""
    times = []
    for seed in range(40):
        start = time.perf_counter()
        simulate("N4", n_patients=150, seed=seed)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.006


def test_a_simulated_clinic_is_never_written_over_a_record(tmp_path: Path) -> None:
    path = tmp_path / "clinic.csv"
    path.write_text("years of work")
    with pytest.raises(OutputError, match="no simulated clinic of ours"):
        to_file("A-thr40", path, n_patients=3, seed=1)
    assert path.read_text() == "years of work"
    path.unlink()
    to_file("A-thr40", path, n_patients=3, seed=1)
    first = path.read_bytes()
    to_file("A-thr40", path, n_patients=3, seed=2)
    assert path.read_bytes() != first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clinic.csv", "clinic.truth.json"]
