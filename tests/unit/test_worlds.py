"""Each named world has the property it is named for, and the design's summaries come out.

Simulated with 20,000 or 60,000 patients, so Monte Carlo errors are a few thousandths; every tolerance
below says what it is made of.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tpr_outcomes.errors import PlanError
from tpr_outcomes.planning.course import Course, run_course
from tpr_outcomes.planning.simulate import WORLDS, Truth, get_world, simulate
from tpr_outcomes.planning.truth import REGION_DEPTH
from tpr_outcomes.planning.worlds import MODIFIERS, compose

N = 20_000
Array = NDArray[np.float64]


@cache
def course(world: str, n: int = N, seed: int = 7) -> Course:
    return run_course(get_world(world), n, seed)


def calm(world: str, **changes: object) -> Course:
    """Run the world without wobble, and without stopping: the untreated course itself."""
    truth = replace(get_world(world), wobble_sd=0.0, stopping="none", **changes)  # type: ignore[arg-type]
    return run_course(truth, N, 7)


def cumulative(found: Course) -> Array:
    """Twitches before each visit."""
    return np.asarray(np.cumsum(found.twitches, axis=0) - found.twitches)


def driver_of(found: Course) -> Array:
    """Pain the therapist reacted to, worked back from the expected dose of the design."""
    return np.asarray((np.log(found.dose_mean / 8.0) - found.patients.log_dose) / 0.15 + 5.0)


# --- the design's summaries --------------------------------------------------------------------------------


def per_clinic(found: Course, statistic: str) -> Array:
    """One number for each of 400 clinics of 150."""
    attended = found.attended.T.reshape(400, 150, -1)
    dose = cumulative(found).T.reshape(400, 150, -1)
    visits = attended.sum(axis=2)
    if statistic == "visits":
        return np.asarray(visits.mean(axis=1))
    if statistic == "c95":
        return np.array([np.quantile(d[a], 0.95) for d, a in zip(dose, attended, strict=True)])
    final = np.take_along_axis(dose, visits[..., None] - 1, axis=2)[..., 0]
    return np.asarray(np.quantile(final, {"median": 0.5, "p90": 0.9}[statistic], axis=1))


@pytest.mark.parametrize(
    ("statistic", "design", "slack"),
    [("visits", 5.2, 0.05), ("median", 27.0, 1.0), ("p90", 80.0, 2.0)],
)
def test_n4_has_the_summaries_of_the_design(statistic: str, design: float, slack: float) -> None:
    """Slack: the design's rounding and its own, unstated Monte Carlo error; ours is 3 MCSE on top."""
    values = per_clinic(course("N4", 60_000), statistic)
    error = values.std(ddof=1) / np.sqrt(values.size)
    assert abs(values.mean() - design) < slack + 3.0 * error


@pytest.mark.parametrize(
    ("world", "design"), [("A-thr20", 1.55), ("A-thr30", 1.3), ("A-thr40", 1.1), ("A-thr60", 0.55)]
)
def test_the_effect_at_the_95th_percentile_is_the_designs(world: str, design: float) -> None:
    """0.1 points of slack is two twitches in the percentile: the design's rounding and its own error."""
    effect = 0.05 * (per_clinic(course(world, 60_000), "c95") - get_world(world).threshold)
    error = effect.std(ddof=1) / np.sqrt(effect.size)
    assert abs(effect.mean() - design) < 0.1 + 3.0 * error


# --- the ladder of worlds in which twitches do nothing -----------------------------------------------------


def test_n0_stays_as_it_is() -> None:
    latent = course("N0").latent
    assert np.ptp(latent.mean(axis=1)) < 0.04  # 4 MCSE of a mean of wobble
    wobble = latent - calm("N0").latent
    assert wobble.std() == pytest.approx(0.7, abs=0.01)
    assert np.corrcoef(wobble[3], wobble[4])[0, 1] == pytest.approx(0.5, abs=0.02)


def time_constant(found: Course) -> Array:
    """Exponential: successive drops shrink by exp(-1 / constant)."""
    drop = np.diff(found.latent[:3], axis=0)
    return np.asarray(-1.0 / np.log(drop[1] / drop[0]))


def test_n1_recovers_by_itself() -> None:
    found = calm("N1")
    constant = time_constant(found)
    assert np.median(constant) == pytest.approx(5.8, abs=0.1)
    assert np.log(constant).std() == pytest.approx(0.5, abs=0.01)
    start = found.latent[0]
    shrink = np.exp(-11.0 / constant)
    floor = (found.latent[11] - start * shrink) / (1.0 - shrink)
    assert (floor / start).min() == pytest.approx(0.2, abs=0.001)
    assert (floor / start).max() == pytest.approx(0.7, abs=0.001)
    assert start.min() == 3.0
    assert start.max() == pytest.approx(10.0, abs=0.5)


def test_n2_people_come_on_a_bad_day() -> None:
    n1, n2 = course("N1"), course("N2")
    inside = (n1.rated[0] > 0) & (n2.rated[0] < 10)
    excess = (n2.rated[0] - n1.rated[0])[inside & (n1.latent[0] < 6)]
    # E|N(0, 1.2)| = 0.957; the few who reach the top of the scale are left out, which lowers it a little.
    assert excess.mean() == pytest.approx(0.957, abs=0.03)


@pytest.mark.parametrize("world", ["N0", "N2", "N3", "N5neg", "N4+little", "N4+fixed"])
def test_doses_are_negative_binomial(world: str) -> None:
    truth, found = get_world(world), course(world)
    mean, seen = found.dose_mean[found.attended], found.twitches[found.attended]
    spread = np.square(seen - mean)
    wanted = mean + mean**2 / truth.dose_size
    assert seen.mean() == pytest.approx(mean.mean(), rel=0.02)
    assert spread.mean() == pytest.approx(wanted.mean(), rel=0.08)  # fourth moments of the heaviest world
    assert np.std(found.patients.log_dose) == pytest.approx(truth.dose_sd, rel=0.02)


@pytest.mark.parametrize(
    ("world", "recorded", "latent"),
    [("N3", 1, 0), ("N4", 1, 0), ("N5", 0.5, 0.5), ("N5s", 0, 1), ("N5neg", 3, -2), ("N9neg", 3, -2)],
)
def test_what_the_therapist_reacts_to(world: str, recorded: float, latent: float) -> None:
    found = course(world)
    wanted = recorded * found.rated + latent * found.latent
    np.testing.assert_allclose(driver_of(found), wanted, rtol=0, atol=1e-9)


def test_n5neg_needles_more_those_truly_better_than_their_score() -> None:
    """At a given score, dose against recorded minus latent: positive; negative in N5s, nothing in N4."""
    slopes = {}
    for world in ("N5neg", "N4", "N5s"):
        found = course(world)
        here = found.attended & (found.rated == 5)
        hidden = (found.rated - found.latent)[here]
        slopes[world] = np.polyfit(hidden, found.twitches[here], 1)[0]
    assert slopes["N5neg"] > 1.0
    assert slopes["N5s"] < -0.5
    assert abs(slopes["N4"]) < 0.2


@pytest.mark.parametrize(("world", "leave"), [("N4", 0.8), ("N4mnar", 0.8), ("N4+mild", 0.3)])
def test_who_stops(world: str, leave: float) -> None:
    found = course(world)
    judged = found.latent if world == "N4mnar" else found.rated
    better = judged[1:11] <= 0.5 * judged[0]
    here = found.attended[1:11]
    gone = here & ~found.attended[2:]
    assert gone[here & better].mean() == pytest.approx(leave + (1 - leave) * 0.05, abs=0.01)
    assert gone[here & ~better].mean() == pytest.approx(0.05, abs=0.005)
    assert found.attended[1].all()  # nobody leaves after one visit: every patient has an outcome


@pytest.mark.parametrize("world", ["N0", "N1", "N2", "N3"])
def test_before_n4_nobody_stops(world: str) -> None:
    assert course(world).attended.all()


def test_n6_every_visit_helps_whatever_is_needled() -> None:
    found = course("N6")
    change = found.latent - course("N4").latent
    factor = change[1] / -0.15
    np.testing.assert_allclose(
        change[found.attended], (-0.15 * factor * np.arange(12)[:, None])[found.attended]
    )
    assert np.log(factor).std() == pytest.approx(0.4, abs=0.01)
    assert not get_world("N6").twitches_work


def test_n7_twitchy_patients_recover_faster() -> None:
    found = calm("N7")
    both = np.corrcoef(found.patients.log_dose, np.log(time_constant(found)))
    assert both[0, 1] == pytest.approx(-0.6, abs=0.02)
    assert abs(np.corrcoef(course("N4").patients.log_dose, np.log(time_constant(calm("N4"))))[0, 1]) < 0.03


def test_n8_lasts_one_visit() -> None:
    found = course("N8")
    change = (found.latent - course("N4").latent)[1:]
    np.testing.assert_allclose(
        change[found.attended[1:]], -0.08 * found.twitches[:-1][found.attended[1:]], rtol=0, atol=1e-9
    )


def test_n9_everybody_recovers_suddenly_at_their_own_time() -> None:
    found = calm("N9", visits=30)
    start, end = found.latent[0], found.latent[29]
    gone = (start - found.latent) / (start - end)
    half = (gone > 0.5).argmax(axis=0)
    assert half.min() >= 1
    assert half.max() <= 10
    assert np.median(half) == pytest.approx(5.5, abs=0.5)
    sudden = ((gone > 0.1) & (gone < 0.9)).sum(axis=0)
    assert sudden.mean() < 4.0  # weeks between a tenth and nine tenths of the way


# --- what the twitches do ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("world", "at"),
    [
        ("A-lin", {10: -0.25, 60: -1.5}),
        ("A-emax", {25: -1.25, 75: -1.875}),
        ("A-thr20", {20: 0.0, 60: -2.0}),
        ("A-thr30", {30: 0.0, 60: -1.5}),
        ("A-thr40", {40: 0.0, 60: -1.0}),
        ("A-thr60", {60: 0.0, 70: -0.5}),
        ("A-step", {40: 0.0, 41: -1.5}),
        ("A-kink", {40: -0.8, 60: -1.8}),
        ("A-lin+half", {60: -0.75}),
        ("A-thr40+half", {60: -0.5}),
        ("thr40+N5neg", {60: -1.0}),
        ("convex+thr40", {60: -1.0}),
    ],
)
def test_the_effect_of_a_dose(world: str, at: dict[int, float]) -> None:
    found, null = (
        course(world),
        course(world.replace("+thr40", "").replace("thr40+", "").replace("+half", "")),
    )
    if world.startswith("A-"):
        null = course("N4")
    dose, change = cumulative(found), found.latent - null.latent
    for value, effect in at.items():
        here = found.attended & (dose == value)
        assert here.any()
        np.testing.assert_allclose(change[here], effect, rtol=0, atol=1e-9)


def test_a_het_gives_everybody_a_threshold_of_their_own() -> None:
    own = course("A-het").patients.threshold
    assert np.median(own) == pytest.approx(40.0, abs=0.5)
    assert np.log(own).std() == pytest.approx(0.35, abs=0.01)


@pytest.mark.parametrize(
    ("world", "threshold"),
    [
        *[
            (world, None)
            for world in ("N4", "N6", "N8", "N9", "A-lin", "A-emax", "A-kink", "ins-thr", "convex")
        ],
        *[(f"A-thr{value}", float(value)) for value in (20, 30, 40, 60)],
        ("A-step", 40.0),
        ("A-het", 40.0),
        ("A-thr30+count70", 21.0),
        ("irregular+thr40", 40.0),
    ],
)
def test_the_threshold_in_recorded_twitches(world: str, threshold: float | None) -> None:
    truth = get_world(world)
    assert truth.has_threshold == (threshold is not None)
    assert truth.true_threshold == (None if threshold is None else pytest.approx(threshold))


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
