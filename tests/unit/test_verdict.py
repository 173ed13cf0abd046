"""The words of a verdict: what they say, what they never say, and where each rule for words begins."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.made_evidence import base, blind, clinic, every_label, evidence, unfitted
from tests.unit.readability import grade

from tpr_outcomes.cohort.derive import ratings
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.inference.evidence import LABELS, Evidence, decide
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.cautions import FEW_PATIENTS
from tpr_outcomes.reporting.phrases import hardest_rival
from tpr_outcomes.reporting.quantities import MOST_TIMES, one_dose, patients_needed, tipping_bias
from tpr_outcomes.reporting.verdict import GRADES, Finding, judge

ALL = [(label, i) for label, made in every_label().items() for i in range(len(made))]
ASSOCIATIONS = ("threshold_shape_confounding_alarm", "cumulative_association", "dose_association")
CAUSAL = re.compile(
    r"\b(caus\w+|effects?|effective|leads? to|led to|works?|reduc\w+|lowers|because of|due to|results? in|"
    r"relieves?|heals?|cures?|helps?|produc\w+|improves?)\b",
    re.IGNORECASE,
)
ALLOWED = ("not evidence that",)


def said(made: Evidence) -> Finding:
    return judge(made, decide(made), visits=clinic())


def texts(finding: Finding) -> list[str]:
    return [
        finding.headline,
        finding.sentence,
        finding.paragraph,
        finding.would_change,
        finding.next_step,
        finding.estimand,
        *finding.warnings,
        *finding.assumptions,
    ]


@pytest.mark.parametrize(("label", "i"), ALL)
class TestEveryVerdict:
    def test_is_complete(self, label: str, i: int) -> None:
        finding = said(every_label()[label][i])
        assert finding.answer == label
        assert finding.grade in GRADES
        assert finding.rule.name == "threshold-verdict"
        assert all(texts(finding))
        assert finding.assumptions
        for text in texts(finding):
            assert "{" not in text
            assert "  " not in text
            assert ".." not in text
            assert not re.search(r"\b(nan|inf|None|no number|any number)\b", text), text

    def test_says_no_bare_p_value(self, label: str, i: int) -> None:
        for text in texts(said(every_label()[label][i])):
            assert not re.search(r"\bp\s*[=<>]|p-value|signific", text, re.IGNORECASE), text

    def test_says_nothing_causal_without_saying_that_it_is_not_shown(self, label: str, i: int) -> None:
        for text in texts(said(every_label()[label][i])):
            for found in CAUSAL.finditer(text):
                before = text[: found.end()]
                assert any(phrase in before for phrase in ALLOWED), (found.group(), text)

    def test_reads_easily(self, label: str, i: int) -> None:
        finding = said(every_label()[label][i])
        first = " ".join([finding.sentence, finding.paragraph, finding.would_change, finding.next_step])
        assert grade(first) <= 9.0
        assert grade(finding.sentence) <= 13.0  # one sentence, with its numbers in it
        if finding.warnings:
            assert grade(" ".join(finding.warnings)) <= 9.0

    def test_counts_what_was_recorded(self, label: str, i: int) -> None:
        sentence = said(every_label()[label][i]).sentence
        if label != "not_identifiable":
            assert "recorded twitches" in sentence


@pytest.mark.parametrize("label", ASSOCIATIONS)
def test_an_association_ends_with_what_it_is_not(label: str) -> None:
    for made in every_label()[label]:
        assert said(made).sentence.endswith("not evidence that twitches cause relief.")


def test_a_threshold_is_threshold_shaped() -> None:
    assert "threshold-shaped" in said(evidence()).sentence


def test_only_the_words_about_an_experiment_say_that_twitches_could_bring_relief() -> None:
    assert said(evidence()).next_step.endswith(
        "Only a study that lets chance decide how many twitches are sought, with equal needling, can show "
        "that they bring the relief."
    )


def test_the_catalogue_has_an_entry_for_every_label() -> None:
    assert tuple(words.VERDICTS) == LABELS or set(words.VERDICTS) == set(LABELS)


@pytest.mark.parametrize(
    ("profile", "interval", "warning"),
    [
        ({}, "95% interval 20 to 41)", None),
        (
            {"open_high": True},
            "95% interval from 20 up past the most twitches seen)",
            "past the most twitches",
        ),
        (
            {"open_low": True},
            "95% interval from the fewest twitches seen up to 41)",
            "below the fewest twitches",
        ),
        ({"open_low": True, "open_high": True}, "95% interval as wide as the record)", "on either side"),
    ],
)
def test_an_interval_that_runs_off_the_record_says_so(
    profile: dict[str, bool], interval: str, warning: str | None
) -> None:
    closed = {"open_low": False, "open_high": False}
    made = said(evidence(profile={"conf_low": 20.0, "conf_high": 41.0, **closed, **profile}))
    assert interval in made.sentence
    assert any("no upper end" in w or "no lower end" in w or "puts no end" in w for w in made.warnings) == (
        warning is not None
    )
    if warning:
        assert any(warning in w for w in made.warnings)


def test_under_counting_is_spelled_out() -> None:
    made = said(evidence(profile={"estimate": 35.0}))
    assert any("the true number is 70, 50 or 39" in w for w in made.warnings)


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (evidence(), "the link held once we took into account how twitchy"),
        (evidence(mundlak=0.2), "the link did not hold once we took into account how twitchy"),
        (evidence(mundlak=None), "Here it could not be taken into account: too few visits"),
        (evidence(lead=0.01), "Pain one visit earlier predicts the number of twitches"),
        (evidence(lead=None), "could not be checked: too few visits"),
        (evidence(), "smooth curve that bends upward"),
        (evidence(), "have ratings past the threshold"),
        (evidence(), "holds no needle insertions"),
        (evidence(delta_bic=-1.0), "fades over two or three visits"),
        (evidence(p=0.3, bound=0.5), "could mask a benefit"),
        (evidence(design={"identifiable": False, "reasons": ("linear_mdr",)}), "could not promise an answer"),
    ],
)
def test_known_failure_modes_are_printed(made: Evidence, what: str) -> None:
    assert sum(what in warning for warning in said(made).warnings) == 1


def test_a_hidden_pull_large_enough_to_explain_it_is_given_where_there_is_one() -> None:
    slope = {"slope": -0.05, "slope_error": 0.01, "estimate": 20.0, "bend": 20.0}
    made = evidence(profile=slope, design={"dose_95": 70.0})
    bias = (0.05 - 1.959964 * 0.01) * 50.0
    assert tipping_bias(made) == pytest.approx(bias)
    assert "A hidden pull of 1.5 points at 70 twitches" in said(made).would_change
    for weak in ({"slope_error": 0.1}, {"bend": 70.0}, {"slope_error": np.inf}):
        other = evidence(profile=slope | weak, design={"dose_95": 70.0})
        assert tipping_bias(other) is None
        assert "hidden pull" not in said(other).would_change


@pytest.mark.parametrize(("patients", "warned"), [(FEW_PATIENTS - 1, True), (FEW_PATIENTS, False)])
def test_a_dose_link_in_few_patients_carries_a_warning(patients: int, warned: bool) -> None:
    made = evidence(delta_bic=-1.0)
    made = replace(made, ratings=replace(made.ratings, n_patients=patients))
    assert any("more often than it should" in w for w in said(made).warnings) == warned


@pytest.mark.parametrize(
    ("therapists", "warned"),
    [
        (1, False),  # nothing to tell apart
        (2, False),  # in the background (a level and a slope each)
        (12, False),
        (13, True),  # fewer than ten patients to a therapist
        (60, True),
    ],
)
def test_therapists_that_could_not_be_taken_into_account_carry_a_warning(
    therapists: int, warned: bool
) -> None:
    visits = clinic()
    who = [f"T{i % therapists}" for i in visits.table["patient"]]
    visits = replace(visits, table=visits.table.assign(therapist=who))
    made = replace(evidence(), ratings=ratings(visits))
    found = judge(made, decide(made), visits=visits)
    assert any(f"between the {therapists} therapists" in w for w in found.warnings) == warned


def test_a_step_is_said_to_be_one() -> None:
    step = said(evidence(profile={"shape": "step"}))
    assert "One step at the threshold fits clearly better" in step.paragraph
    assert any(w.startswith("A step cannot be told from a steep slope") for w in step.warnings)
    assert "One step" not in said(evidence(profile={"shape": "hinge"})).paragraph


def test_a_shortfall_becomes_a_number_of_patients_within_reason() -> None:
    mdr = np.full(base().design.mdr.size, 1.0)  # type: ignore[union-attr]
    at = {"linear_mdr": 1.0}
    assert patients_needed(blind("threshold_mdr", mdr=mdr * 1.2 * 2**0.5, **at)) == 240  # 1.25 × 1.697 / 1.5
    assert patients_needed(blind("threshold_mdr", mdr=mdr * 1.2, **at)) is None  # just enough as it is
    edge = 1.2 * MOST_TIMES**0.5
    assert patients_needed(blind("threshold_mdr", mdr=mdr * (edge - 1e-6), **at)) == 1200
    assert patients_needed(blind("threshold_mdr", mdr=mdr * (edge + 1e-6), **at)) is None
    assert patients_needed(blind("threshold_mdr", mdr=mdr * np.inf, **at)) is None
    assert patients_needed(unfitted()) is None


def test_a_record_with_one_total_per_patient_is_told_so() -> None:
    r = base().ratings
    constant = replace(r, dose_before=r.patient.astype(np.float64))
    assert one_dose(replace(base(), ratings=constant))
    assert not one_dose(base())
    made = replace(blind("linear_mdr", linear_mdr=2.5), ratings=constant)
    assert "one total that does not change" in said(made).paragraph
    assert said(made).would_change.startswith("The twitches of each visit")


@pytest.mark.parametrize(
    ("reason", "what"),
    [
        ("threshold_mdr", "relief past a threshold would have to reach"),
        ("linear_mdr", "even a steady gain would have to reach"),
        ("patients_past", "fewer than 15 patients were rated past"),
        ("no_dose", "the number of twitches does not differ"),
    ],
)
def test_a_record_that_cannot_tell_says_which_condition_failed(reason: str, what: str) -> None:
    assert what in said(blind(reason)).sentence
    assert said(blind(reason)).would_change


def test_further_conditions_that_failed_are_in_the_paragraph() -> None:
    made = said(blind("threshold_mdr", "patients_past"))
    assert "relief past a threshold" in made.sentence
    assert "Also, fewer than 15 patients" in made.paragraph


def test_an_amount_just_over_its_limit_is_written_with_enough_digits() -> None:
    mdr = np.full(base().design.mdr.size, 1.5003 / 1.25)  # type: ignore[union-attr]
    assert (
        "reach 1.5003 points to be seen, more than the 1.5 points"
        in said(blind("threshold_mdr", mdr=mdr)).sentence
    )


def test_the_hardest_rival_among_equals_is_the_one_bic_likes_best() -> None:
    test = base().test
    assert test is not None
    liked = replace(test, criteria=replace(test.criteria, best_rival="emax"))
    assert hardest_rival(replace(base(), test=liked)) == "saturating"
    scores = replace(test.scores, p_values={**test.scores.p_values, "last": 0.039})
    assert hardest_rival(replace(base(), test=replace(liked, scores=scores))) == "last"
    unlikely = replace(liked.criteria, delta_bic=-1.0)
    doubted = replace(liked, scores=scores, criteria=unlikely)
    assert hardest_rival(replace(base(), test=doubted)) == "saturating"


def test_words_follow_dose_and_scale() -> None:
    made = evidence()
    made = replace(made, ratings=replace(made.ratings, dose="sessions"), scale=SCALES["hit6"])
    finding = judge(made, decide(made))
    everything = " ".join(texts(finding))
    assert "recorded sessions" in finding.sentence
    assert "improvement" in finding.sentence
    assert not re.search(r"twitch|relief|\bpain rat|holds no needle insertions", everything)
    lower = replace(made, scale=SCALES["vas"])
    assert " mm" in judge(lower, decide(lower)).paragraph


def test_numbers_are_kept_beside_the_words() -> None:
    finding = said(evidence())
    assert finding.numbers["threshold"] == base().test.profile.estimate  # type: ignore[union-attr]
    assert finding.numbers["p_threshold"] == 0.01
    assert finding.provenance["seed"] == 1


def test_a_finding_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        said(evidence()).answer = "supported"  # type: ignore[misc]
