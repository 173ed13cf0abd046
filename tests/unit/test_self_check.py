"""Clinics shaped like the user's: like the record in its means, its feedback and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import FitError, PlanError
from tpr_outcomes.inference.evidence import LABELS, Evidence, gather_evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.planning.fitted_clinic import fit_clinic, granularity
from tpr_outcomes.planning.fitted_course import FittedClinic, Hinge, run_fitted, written
from tpr_outcomes.planning.fitted_parts import fit_dose, fit_leaving, slot_levels
from tpr_outcomes.planning.rates import Rate
from tpr_outcomes.planning.self_check import Setting, self_check
from tpr_outcomes.planning.simulate import simulate

Fitted = tuple[Visits, Evidence, FittedClinic]


def fitted(world: str, n: int = 150, seed: int = 4) -> Fitted:
    visits = simulate(world, n_patients=n, seed=seed)
    evidence = gather_evidence(visits, replicates=99, seed=1)
    return visits, evidence, fit_clinic(visits, evidence)


@pytest.fixture(scope="module")
def n4() -> Fitted:
    return fitted("N4")


def many(clinic: FittedClinic, n: int = 4000, hinge: Hinge | None = None) -> Visits:
    return written(clinic, run_fitted(clinic, n_patients=n, rng=generator(5, "test"), hinge=hinge))


def by_visit(visits: Visits) -> pd.DataFrame:
    table = visits.table.assign(slot=visits.table["visit"] - 1)
    grouped = table.groupby("slot")
    return pd.DataFrame({
        "n": grouped.size(),
        "attending": grouped.size() / visits.n_patients,
        "pain": grouped["pain"].mean(),
        "spread": grouped["pain"].std(),
        "dose": grouped["twitches"].mean(),
        "dose_spread": grouped["twitches"].std(),
    })  # fmt: skip


# --- the simulated clinics look like the record ------------------------------------------------------------


@pytest.mark.parametrize("world", ["N4", "irregular+thr40", "therapists", "insertions", "scale100", "blanks"])
def test_marginals_per_visit_are_those_of_the_record(world: str) -> None:
    """Levels are tuned on 3,000 patients; 4,000 more are compared, so what is left is chance.

    Tolerance: 4 standard errors of a mean over the simulated patients there, of the tuning and of the
    comparison together, plus what 6 rounds of tuning may leave (0.02 points of 10, 3% of a dose, 1 point
    of attendance). Visits with 20 or more patients: rarer ones share a level.
    """
    visits, _, clinic = fitted(world)
    record, made = by_visit(visits), by_visit(many(clinic))
    rows = record.index[record["n"] >= 20]
    r, m = record.loc[rows], made.loc[rows]
    noise = 4.0 * np.sqrt(1.0 / m["n"] + 1.0 / (0.75 * m["n"]))
    span = clinic.scale.span
    # The first rating is resampled, not tuned: it has chance of its own, covered by the same noise.
    assert ((m["pain"] - r["pain"]).abs() <= noise * m["spread"] + 0.002 * span).all()
    assert ((m["dose"] - r["dose"]).abs() <= noise * m["dose_spread"] + 0.03 * r["dose"]).all()
    error = np.sqrt(r["attending"] * (1 - r["attending"]))
    steps = np.sqrt(np.arange(1, len(rows) + 1))  # errors of the levels add up from visit to visit
    noise = 4.0 * np.sqrt(1 / 4000 + 1 / 3000) * steps
    assert ((m["attending"] - r["attending"]).abs() <= noise * error + 0.01).all()


def test_spread_of_pain_and_dose_is_that_of_the_record(n4: Fitted) -> None:
    visits, _, clinic = n4
    record, made = by_visit(visits), by_visit(many(clinic))
    rows = record.index[record["n"] >= 50]
    # A standard deviation of 50 or more ratings is known to about 10%; of gamma-Poisson counts to 25%.
    np.testing.assert_allclose(made.loc[rows, "spread"], record.loc[rows, "spread"], rtol=0.2)
    np.testing.assert_allclose(made.loc[rows, "dose_spread"], record.loc[rows, "dose_spread"], rtol=0.4)


def pain_links(visits: Visits) -> tuple[float, float]:
    """Spearman correlation of pain with the dose of the visit; pain of leavers less that of stayers."""
    table = visits.table
    middle = table[(table["visit"] >= 2) & (table["visit"] <= 4)]
    link = float(stats.spearmanr(middle["pain"], middle["twitches"]).statistic)
    last = (table["patient"] != table["patient"].shift(-1)).loc[middle.index]
    return link, float(middle["pain"][last].mean() - middle["pain"][~last].mean())


def test_pain_drives_needling_and_leaving_as_in_the_record(n4: Fitted) -> None:
    visits, _, clinic = n4
    (link, leavers), (made_link, made_leavers) = pain_links(visits), pain_links(many(clinic))
    assert link > 0.15
    assert abs(made_link - link) < 0.12  # 350 rows of the record: standard error 0.05
    assert leavers < -1.0
    assert abs(made_leavers - leavers) < 0.5


def test_a_randomised_dose_has_no_link_with_pain() -> None:
    """With the dose drawn by lot the fitted slope on pain is chance, and so is the link it makes."""
    visits, _, clinic = fitted("randomised", n=400)
    link, _ = pain_links(visits)
    made, _ = pain_links(many(clinic))
    assert abs(link) < 0.1
    assert abs(made) < 0.1
    assert abs(clinic.dose.slopes[0]) < 0.06


def test_doses_set_by_protocol_vary_as_little_as_they_do() -> None:
    _, _, clinic = fitted("randomised", n=400)
    # Within an arm the counts are binomial, narrower than Poisson; patients differ by arm instead.
    assert clinic.dose.narrow < 1.0
    assert clinic.dose.frailty < 3.0
    assert clinic.dose.size == np.inf


def test_record_keeps_step_and_scale(n4: Fitted) -> None:
    _, _, clinic = n4
    pain = many(clinic, 500).table["pain"]
    assert clinic.step == 1.0
    assert pain.between(0.0, 10.0).all()
    assert (pain == pain.round()).all()


@pytest.mark.parametrize(
    ("ratings", "step"),
    [
        ([0.0, 3.0, 7.0], 1.0),
        ([0.0, 10.0, np.nan], 10.0),
        ([0.5, 3.0], 0.5),
        ([0.1, 3.3], 0.1),
        ([0.123, 4.0], 0.0),
    ],
)
def test_granularity(ratings: list[float], step: float) -> None:
    assert granularity(np.array(ratings)) == step


def test_weeks_come_from_the_records_own_gaps() -> None:
    visits, _, clinic = fitted("irregular")
    made = many(clinic, 1000).table
    gaps = visits.table.groupby("patient")["weeks"].diff().dropna()
    made_gaps = made.groupby("patient")["weeks"].diff().dropna()
    assert set(made_gaps.round(6)) <= set(gaps.round(6))
    assert abs(made_gaps.mean() / gaps.mean() - 1.0) < 0.1


def test_missed_visit_numbers_stay_missed() -> None:
    """A record that keeps the numbers of missed appointments is simulated with as many missed."""
    visits = simulate("N3", n_patients=150, seed=4)
    rng = np.random.default_rng(0)
    table = visits.table
    keep = (table["visit"] == 1) | (table["visit"] == 12) | (rng.random(len(table)) < 0.8)
    visits = visits.with_table(table[keep])
    clinic = fit_clinic(visits, gather_evidence(visits, replicates=99, seed=1))
    # 10 of 11 later visits can be missed: 0.2 * 10 / 11.
    assert clinic.missed == pytest.approx(0.18, abs=0.02)
    made = many(clinic, 1000).table
    assert len(made) / 1000 == pytest.approx(len(visits.table) / 150, rel=0.03)


def test_scale_where_lower_is_worse_and_rated_after() -> None:
    visits = simulate("N4", n_patients=150, seed=4)
    flipped = replace(visits.scale, higher_is_worse=False)
    other = replace(visits, table=visits.table.assign(pain=10.0 - visits.table["pain"]), scale=flipped)
    one = fit_clinic(visits, gather_evidence(visits, replicates=99, seed=1))
    two = fit_clinic(other, gather_evidence(other, replicates=99, seed=1))
    np.testing.assert_allclose(many(two, 300).table["pain"], 10.0 - many(one, 300).table["pain"])
    after = replace(visits, rated="after")
    clinic = fit_clinic(after, gather_evidence(after, replicates=99, seed=1))
    made = many(clinic, 300)
    assert made.rated == "after"
    assert made.table["pain"].notna().all()


def test_rival_doses_go_with_the_main_one() -> None:
    visits, _, clinic = fitted("insertions")
    made = many(clinic, 2000).table
    columns = ["insertions", "twitches"]
    real = visits.table[columns].corr("spearman").iloc[0, 1]
    assert made[columns].corr("spearman").iloc[0, 1] == pytest.approx(real, abs=0.1)


# --- an effect put in --------------------------------------------------------------------------------------


def test_a_hinge_changes_who_is_better_but_not_the_course(n4: Fitted) -> None:
    _, _, clinic = n4
    plain, bent = many(clinic), many(clinic, hinge=Hinge(30.0, 0.05))
    a, b = by_visit(plain), by_visit(bent)
    early = a.index[a["n"] > 400]
    # Taken as it is, the effect would lower the mean at visit 9 by 2 points; who stays changes a little.
    assert ((a["pain"] - b["pain"]).abs().loc[early] < 0.5).all()
    table = bent.table.assign(total=bent.table.groupby("patient")["twitches"].cumsum())
    table["before"] = table["total"] - table["twitches"]
    late = table[table["visit"].between(6, 8)]
    zero = plain.table.assign(total=plain.table.groupby("patient")["twitches"].cumsum())
    zero["before"] = zero["total"] - zero["twitches"]
    zero = zero[zero["visit"].between(6, 8)]
    gap = late[late["before"] > 60]["pain"].mean() - late[late["before"] < 30]["pain"].mean()
    gap_without = zero[zero["before"] > 60]["pain"].mean() - zero[zero["before"] < 30]["pain"].mean()
    assert gap < gap_without - 1.0


def test_hinge_out_of_reach_changes_nothing(n4: Fitted) -> None:
    _, _, clinic = n4
    plain, bent = many(clinic, 200), many(clinic, 200, hinge=Hinge(1e6, 0.05))
    pd.testing.assert_frame_equal(plain.table, bent.table)


# --- the parts ---------------------------------------------------------------------------------------------


def test_slots_without_rows_share_a_level() -> None:
    slot = np.repeat([1, 2, 4], 6)
    assert slot_levels(slot, 6).tolist() == [0, 0, 1, 1, 2, 2]
    assert slot_levels(np.repeat([1, 2], [6, 2]), 3).tolist() == [0, 0, 0]


def gamma_poisson(rng: np.random.Generator, k: float, m: float) -> tuple[np.ndarray, ...]:
    n, slots = 1500, 8
    patient, slot = np.repeat(np.arange(n), slots), np.tile(np.arange(slots), n)
    pain = rng.uniform(0, 10, n * slots)
    mean = np.exp(1.5 + 0.1 * pain) * rng.gamma(k, 1 / k, n)[patient] * rng.gamma(m, 1 / m, n * slots)
    return rng.poisson(mean).astype(float), slot, pain, patient


def test_moments_find_both_levels_of_spread() -> None:
    count, slot, pain, patient = gamma_poisson(np.random.default_rng(2), 6.0, 3.0)
    none = np.zeros(count.size, dtype=np.int64)
    fit = fit_dose(count, slot=slot, pain=pain, patient=patient, group=none, groups=1, slots=8)
    assert fit.frailty == pytest.approx(6.0, rel=0.15)
    assert fit.size == pytest.approx(3.0, rel=0.15)
    assert fit.narrow == 1.0
    assert fit.slopes[0] == pytest.approx(0.1, abs=0.01)
    assert fit.slopes[1] == pytest.approx(0.0, abs=0.003)


def test_leaving_follows_its_own_logistic() -> None:
    rng = np.random.default_rng(3)
    n = 4000
    first, pain = rng.uniform(4, 9, n), rng.uniform(0, 9, n)
    slot = rng.integers(1, 5, n)
    chance = 1 / (1 + np.exp(-(1.0 - 0.6 * pain)))
    fit = fit_leaving(rng.random(n) < chance, slot=slot, pain=pain, first=first, slots=6, best=0.0)
    at = np.array([1.0, 4.0, 7.0])
    expected = 1 / (1 + np.exp(-(1.0 - 0.6 * at)))
    np.testing.assert_allclose(fit.chance(2, at, np.full(3, 6.0)), expected, atol=0.05)


def test_nobody_leaves_where_nobody_left() -> None:
    slot, pain = np.repeat([0, 1], 20), np.full(40, 5.0)
    fit = fit_leaving(np.zeros(40, dtype=bool), slot=slot, pain=pain, first=pain, slots=3, best=0.0)
    assert (fit.chance(1, pain, pain) == 0.0).all()


@pytest.mark.parametrize(("count", "trials"), [(0, 40), (1, 40), (40, 40), (17, 200)])
def test_exact_limits_are_those_of_scipy(count: int, trials: int) -> None:
    rate = Rate(count, trials)
    exact = stats.binomtest(count, trials).proportion_ci(0.95, method="exact")
    assert (rate.conf_low, rate.conf_high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert rate.mcse == pytest.approx(np.sqrt(rate.share * (1 - rate.share) / trials))


# --- the check ---------------------------------------------------------------------------------------------


@pytest.mark.simulation
def test_false_support_in_a_clinic_without_effect_is_rare(n4: Fitted) -> None:
    """Documented: at most 2.5% of such clinics. 40 clinics may then hold up to 5 (P(X > 5) < 0.1%)."""
    visits, evidence, _ = n4
    result = self_check(visits, evidence, clinics=40, seed=20, power_clinics=0, bootstrap=199)
    rate = result.false_support
    assert rate is not None
    assert rate.trials == 40
    assert rate.count <= stats.binom.ppf(0.999, 40, 0.025)
    assert result.power == ()


@pytest.mark.simulation
def test_power_rises_with_relief_and_frames_add_up(n4: Fitted) -> None:
    visits, evidence, _ = n4
    result = self_check(
        visits, evidence, clinics=4, seed=21, power_clinics=8, bootstrap=99, thresholds=(30.0, 1e4)
    )
    assert [s.threshold for s in result.settings] == [None, 30.0, 30.0]  # 10,000 is past every dose
    small, large = result.power
    assert (small.relief, large.relief) == (1.0, 2.0)
    assert small.slope == pytest.approx(1.0 / (result.dose_95 - 30.0))
    assert small.rate().count <= large.rate().count
    assert large.rate().count >= 4
    frame = result.to_frame()
    assert set(frame["label"]) == set(LABELS)
    assert frame.groupby(["relief"])["count"].sum().to_dict() == {0.0: 4, 1.0: 8, 2.0: 8}
    assert result.likeness is not None
    like = result.likeness.to_frame()
    assert set(like["quantity"]) == {"attending", "mean_rating", "mean_dose"}
    assert like["record"].notna().all()


@pytest.mark.simulation
def test_same_numbers_for_any_number_of_workers(n4: Fitted) -> None:
    visits, evidence, _ = n4
    done: list[tuple[int, int]] = []
    one = self_check(
        visits, evidence, clinics=3, seed=3, power_clinics=0, bootstrap=99,
        progress=lambda n, of: done.append((n, of)),
    )  # fmt: skip
    two = self_check(visits, evidence, clinics=3, seed=3, power_clinics=0, bootstrap=99, workers=2)
    assert one.settings == two.settings
    assert one.likeness is not None
    assert two.likeness is not None
    pd.testing.assert_frame_equal(one.likeness.to_frame(), two.likeness.to_frame(), check_exact=True)
    assert done == [(n, 3) for n in range(1, 4)]


def test_fewer_clinics_are_the_first_of_more(n4: Fitted) -> None:
    visits, evidence, _ = n4
    few = self_check(visits, evidence, clinics=2, seed=3, power_clinics=0, bootstrap=99)
    more = self_check(visits, evidence, clinics=3, seed=3, power_clinics=0, bootstrap=99)
    assert few.null is not None
    assert more.null is not None
    assert all(more.null.counts[label] >= few.null.counts[label] for label in LABELS)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_tiny_records_get_a_reason_or_an_answer(n: int) -> None:
    visits = simulate("N4", n_patients=n, seed=2)
    evidence = gather_evidence(visits, replicates=99, seed=1)
    result = self_check(visits, evidence, clinics=2, seed=1, power_clinics=1, bootstrap=99)
    assert bool(result.settings) != bool(result.reason)
    if result.reason:
        assert result.false_support is None
        assert result.to_frame().empty


def test_a_record_without_doses_gets_a_reason() -> None:
    visits = simulate("N4", n_patients=60, seed=2)
    visits = visits.with_table(visits.table.assign(twitches=0.0))
    evidence = gather_evidence(visits, replicates=99, seed=1)
    result = self_check(visits, evidence, clinics=2, seed=1)
    assert "dose" in result.reason
    with pytest.raises(FitError):
        fit_clinic(visits, evidence)


BAD = {
    "clinics": 0, "seed": -1, "workers": 0, "bootstrap": 10, "power_clinics": -1, "reliefs": (0.0,),
    "thresholds": (-1.0,),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_impossible_numbers_are_named(name: str, n4: Fitted) -> None:
    visits, evidence, _ = n4
    settings = {"seed": 1} | {name: BAD[name]}
    with pytest.raises(PlanError, match=name):
        self_check(visits, evidence, **settings)  # type: ignore[arg-type]


def test_a_setting_counts_its_clinics() -> None:
    setting = Setting(30.0, 1.0, 0.02, {"threshold_supported": 3, "inconclusive": 7})
    assert setting.clinics == 10
    assert setting.rate().share == 0.3
    assert setting.rate("inconclusive").count == 7
