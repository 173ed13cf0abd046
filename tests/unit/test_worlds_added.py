"""The worlds added to the design's: visits, therapists, insertions, counting, confounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.test_worlds import N, calm, course, cumulative

from tpr_outcomes.errors import PlanError
from tpr_outcomes.planning.course import run_course
from tpr_outcomes.planning.simulate import WORLDS, Truth, get_world, simulate
from tpr_outcomes.planning.truth import REGION_DEPTH
from tpr_outcomes.planning.worlds import MODIFIERS, compose

# --- the added worlds --------------------------------------------------------------------------------------


def test_irregular_visits() -> None:
    found = course("irregular")
    gaps = np.diff(found.weeks, axis=0)
    assert np.median(gaps) == pytest.approx(1.0, abs=0.02)
    assert np.log(gaps).std() == pytest.approx(0.5, abs=0.02)  # whole days round the shortest
    staying = run_course(replace(get_world("irregular"), stopping="none"), N, 7)
    assert 1.0 - staying.attended[1:].mean() == pytest.approx(0.15, abs=0.005)
    table = simulate("irregular", n_patients=50, seed=1).table
    assert "weeks" in table
    assert "weeks" not in simulate("N4", n_patients=50, seed=1).table


def test_informative_visits_are_missed_when_pain_is_low() -> None:
    truth = replace(get_world("informative"), stopping="none")
    found = run_course(truth, N, 7)
    after_first = ~found.attended[1]
    low, high = found.rated[0] <= 4, found.rated[0] >= 8
    assert after_first[low].mean() > 3 * after_first[high].mean()


def test_natural_course_and_wobble_run_in_weeks() -> None:
    weekly, fortnightly = calm("N1"), calm("N1", gap_weeks=2.0)
    np.testing.assert_allclose(fortnightly.latent[:6], weekly.latent[:12:2])
    slow = run_course(replace(get_world("N0"), gap_weeks=2.0), N, 7)
    wobble = slow.latent - calm("N0").latent
    assert np.corrcoef(wobble[3], wobble[4])[0, 1] == pytest.approx(0.25, abs=0.03)
    assert wobble.std() == pytest.approx(0.7, abs=0.01)


def test_therapists_differ() -> None:
    numbers = {run_course(get_world("therapists"), 5, seed).patients.therapists for seed in range(60)}
    assert numbers == set(range(5, 13))
    corr = []
    for seed in range(40):
        people = run_course(get_world("therapists-conf"), 400, seed).patients
        groups = [people.therapist == j for j in range(people.therapists)]
        result = np.array([people.per_visit[g][0] for g in groups if g.any()])
        style = np.array([people.log_dose[g].mean() for g in groups if g.any()])
        corr.append(np.corrcoef(style, result)[0, 1])
    assert np.mean(corr) < -0.5  # more needling, more relief that is not the needling's
    table = simulate("therapists", n_patients=80, seed=1).table
    assert table.groupby("patient")["therapist"].nunique().max() == 1


def test_insertions_go_with_twitches() -> None:
    found = course("insertions")
    seen = found.attended
    twitches, insertions = (
        cumulative(found)[seen],
        (np.cumsum(found.insertions, axis=0) - found.insertions)[seen],
    )
    assert 0.85 < np.corrcoef(twitches, insertions)[0, 1] < 0.98
    assert found.twitches[0].mean() == pytest.approx(course("N4").twitches[0].mean(), rel=0.03)
    assert "insertions" in simulate("insertions", n_patients=20, seed=1).table


@pytest.mark.parametrize(("world", "knot", "slope"), [("ins-lin", 0.0, -0.017), ("ins-thr", 60.0, -0.033)])
def test_insertions_work_and_twitches_do_not(world: str, knot: float, slope: float) -> None:
    found = course(world)
    dose = np.cumsum(found.insertions, axis=0) - found.insertions
    change = (found.latent - course("insertions").latent)[found.attended]
    np.testing.assert_allclose(
        change, slope * np.maximum(dose - knot, 0.0)[found.attended], rtol=0, atol=1e-9
    )
    assert not get_world(world).twitches_work
    # As strong as the twitch worlds they imitate, and known to last from the first visit on.
    assert -2.5 < np.quantile(change, 0.05) < -0.9


def test_a_second_treatment_follows_high_pain() -> None:
    found, null = course("cotreat"), course("N4")
    began = found.cotreated[1:] & ~found.cotreated[:-1]
    high = np.minimum(found.rated[1:-1], found.rated[:-2]) >= 5
    assert high[began[1:]].all()
    on = found.cotreated & found.attended
    assert 0.1 < on.any(axis=0).mean() < 0.6
    change = found.latent - null.latent
    assert (change[on] < 0).all()
    assert (change[found.attended & ~on] == 0).all()
    assert set(simulate("cotreat", n_patients=40, seed=1).table["cotreatment"]) == {0.0, 1.0}


def test_counting_less_in_deep_muscles() -> None:
    true, table = (
        course("undercount-depth", 4000, 3),
        simulate("undercount-depth", n_patients=4000, seed=3).table,
    )
    counted = table.groupby("region")["twitches"].mean()
    region = table["region"].to_numpy()
    whole = true.twitches.T[true.attended.T]
    share = {name: counted[name] / whole[region == name].mean() for name in REGION_DEPTH}
    for name, depth in REGION_DEPTH.items():
        assert share[name] == pytest.approx(1 / (1 + np.exp(2.5 * depth) * 0.05 / 0.95), abs=0.01)
    mean = get_world("undercount-depth").mean_count_share
    assert mean == pytest.approx(np.mean(list(share.values())), abs=0.01)


def test_counting_less_when_pain_is_high() -> None:
    true, table = (
        course("undercount-pain", 4000, 3),
        simulate("undercount-pain", n_patients=4000, seed=3).table,
    )
    whole = true.twitches.T[true.attended.T]
    for pain in (2, 5, 8):
        here = (table["pain"] == pain).to_numpy()
        share = table["twitches"].to_numpy()[here].sum() / whole[here].sum()
        assert share == pytest.approx(1 / (1 + np.exp(0.3 * (pain - 5)) / 3), abs=0.02)


def test_seven_in_ten_are_counted() -> None:
    true, table = course("N4+count70", 4000, 3), simulate("N4+count70", n_patients=4000, seed=3).table
    whole = true.twitches.T[true.attended.T]
    assert (table["twitches"] <= whole).all()
    assert table["twitches"].sum() / whole.sum() == pytest.approx(0.7, abs=0.005)


def test_favourite_digits() -> None:
    table, plain = (simulate(world, n_patients=3000, seed=2).table for world in ("digits", "N4"))
    assert (table["pain"] == 5).mean() > 1.15 * (plain["pain"] == 5).mean()
    tens = table.groupby("therapist")["twitches"].agg(lambda counts: bool((counts % 10 == 0).all()))
    assert tens.sum() == 1
    fives = (table["twitches"] % 5 == 0).mean()
    assert fives > 0.4 > (plain["twitches"] % 5 == 0).mean()


@pytest.mark.parametrize("world", ["convex", "convex-worst"])
def test_the_convex_confounder_looks_like_a_threshold(world: str) -> None:
    """With feedback cut (nobody stops, pain draws no needling): a bend past twitches that do nothing."""

    def bend(name: str) -> float:
        found = run_course(replace(get_world(name), stopping="none", driver="none"), N, 7)
        dose, pain = cumulative(found)[6], found.latent[6]
        columns = np.column_stack([np.ones(N), dose, np.maximum(dose - 40.0, 0.0)])
        return float(np.linalg.lstsq(columns, pain, rcond=None)[0][2])

    # The same people on the same days: the difference is far more precise than either bend.
    assert abs(bend("N4")) < 0.003
    assert bend(world) < bend("N4") - 0.003
    assert not get_world(world).twitches_work


def test_flares_are_severe_and_fade() -> None:
    found, plain = course("flare"), course("N4")
    flare = found.latent - plain.latent
    assert (flare >= 0).all()
    entry = flare[0]
    assert (entry > 0).mean() == pytest.approx(0.6, abs=0.02)
    assert entry.max() > 8.0  # heavy tail
    drop, usual = (np.mean(c.rated[0] - c.rated[1]) for c in (found, plain))
    assert drop > usual


def test_a_scale_of_0_to_100_is_the_same_pain_on_a_finer_ruler() -> None:
    fine, coarse = course("scale100"), course("N4")
    assert (np.abs(fine.rated[0] - coarse.rated[0]) <= 0.5 + 1e-9).all()
    visits = simulate("scale100", n_patients=200, seed=1)
    assert visits.scale.name == "vas"
    assert visits.table["pain"].max() > 10


def test_a_target_drawn_by_lot() -> None:
    found = course("randomised")
    arm = found.patients.arm == 1
    assert arm.mean() == pytest.approx(0.5, abs=0.015)
    np.testing.assert_allclose(found.insertions[0][arm].mean(), found.insertions[0][~arm].mean(), rtol=0.03)
    assert abs(found.latent[0][arm].mean() - found.latent[0][~arm].mean()) < 0.08
    assert found.twitches[0][arm].mean() == pytest.approx(7.2, abs=0.05)
    assert found.twitches[0][~arm].mean() == pytest.approx(0.3, abs=0.02)
    table = simulate("randomised+thr40", n_patients=60, seed=1).table
    assert set(table["target"]) == {0.0, 8.0}
    assert table.groupby("patient")["target"].nunique().max() == 1


def test_blanks_are_left_at_random() -> None:
    table = simulate("blanks", n_patients=2000, seed=1).table
    assert table["pain"].isna().mean() == pytest.approx(0.1, abs=0.012)
    assert table["twitches"].isna().mean() == pytest.approx(0.05, abs=0.01)


# --- names -------------------------------------------------------------------------------------------------


def same(first: Truth, second: Truth) -> bool:
    return replace(first, world="", description="") == replace(second, world="", description="")


def test_names_compose() -> None:
    assert same(get_world("thr40+N7"), get_world("N7+thr40"))
    assert same(get_world("A-thr40"), get_world("n4+THR40"))
    assert same(get_world("N9neg"), get_world("N9+N5neg"))
    assert get_world("irregular+mild+thr40").stop_prob == 0.3
    assert same(compose("N3"), WORLDS["N3"])


def test_every_world_says_in_words_what_is_true() -> None:
    for name, truth in WORLDS.items():
        assert truth.world == name
        assert truth.description.startswith("Twitches work") == truth.twitches_work
        assert len({other.description for other in WORLDS.values()}) == len(WORLDS)
    assert all(name in WORLDS for name in ("N0", "N9neg", "A-kink", "thr40+N5s", "therapists+thr40"))
    assert set(MODIFIERS) <= {part.removeprefix("A-") for name in WORLDS for part in name.split("+")}


@pytest.mark.parametrize(
    ("name", "hint"),
    [("A-thr45", "thr4"), ("N44", "N4"), ("irregulr+thr40", "irregular"), ("", "Bases"), ("N4+", "Bases")],
)
def test_an_unknown_world_is_met_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(PlanError, match=hint):
        get_world(name)


def test_a_base_comes_first() -> None:
    with pytest.raises(PlanError, match="Put it first"):
        get_world("thr40+N3")


def test_the_methods_page_names_every_part_of_a_name(root: Path) -> None:
    page = (root / "docs" / "methods" / "simulated-worlds.md").read_text(encoding="utf-8")
    parts = {part.removeprefix("A-") for name in WORLDS for part in name.split("+")}
    assert [part for part in sorted(parts) if f"`{part}`" not in page] == []
