"""The plan, with every fault named at once, and the flow from record to evaluation."""

from __future__ import annotations

import doctest
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.made_evidence import clinic
from threadpoolctl import threadpool_limits

from tpr_outcomes import analysis
from tpr_outcomes.analysis import AnalysisPlan, check_record, close_scale, evaluate, open_record, settle
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import DatasetError, PlanError, SourceError
from tpr_outcomes.inference.evidence import LABELS


def faults(**settings: object) -> str:
    with pytest.raises(PlanError) as refused:
        AnalysisPlan.checked(settings)
    return str(refused.value)


class TestPlan:
    def test_has_defaults(self) -> None:
        plan = AnalysisPlan()
        assert (plan.dose, plan.scale, plan.rated, plan.replicates, plan.seed) == (
            "twitches",
            "nrs",
            "before",
            1999,
            1,
        )

    def test_cannot_be_changed(self) -> None:
        with pytest.raises(Exception, match="frozen"):
            AnalysisPlan().seed = 2  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("key", "good", "bad"),
        [
            ("replicates", [99, 1_000_000], [98, 1_000_001, 99.0, "99", True]),
            ("seed", [0, 2**63 - 1], [-1, 2**63, 1.5, "1", False]),
            ("dose", ["twitches", "sessions", "sites", "insertions"], ["needles", 3, ""]),
            ("scale", ["nrs", "hit6"], ["nsr", "", 10]),
            ("rated", ["before", "after"], ["during", True]),
            ("title", ["", "Our clinic"], [7]),
            ("columns", [{}, {"pain": "NRS now"}], [["pain"], {"pain": 3}, "pain"]),
        ],
    )
    def test_takes_what_is_in_range_and_names_what_is_not(
        self, key: str, good: list[object], bad: list[object]
    ) -> None:
        for value in good:
            assert getattr(AnalysisPlan.checked({key: value}), key) == value
        for value in bad:
            message = faults(**{key: value})
            assert f"- {key} is " in message
            assert "; wanted is " in message
            assert message.count("\n") == 1

    def test_names_every_fault_at_once(self) -> None:
        message = faults(replicates=5, sead=1, scale="nsr", dose="twitch", rated="x" * 100)
        assert message.splitlines() == [
            "The plan cannot be used as it stands.",
            (
                "- dose is 'twitch'; wanted is one of twitches, insertions, sites, sessions. "
                "Did you mean 'twitches'?"
            ),
            f"- scale is 'nsr'; wanted is one of {', '.join(analysis.SCALES)}. Did you mean 'nrs'?",
            f"- rated is '{'x' * 36}…; wanted is before or after (the needling of the same visit).",
            "- replicates is 5; wanted is a whole number from 99 to 1,000,000.",
            "- 'sead' is not a setting. Did you mean 'seed'?",
        ]

    def test_lists_the_settings_where_none_is_near(self) -> None:
        assert "Known settings: title, dose, scale" in faults(zzz="blue")

    def test_is_read_from_toml(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.toml"
        path.write_text('title = "Ours"\nseed = 7\n[columns]\npain = "NRS now"\n', encoding="utf-8")
        plan = AnalysisPlan.from_toml(path)
        assert (plan.title, plan.seed, plan.columns) == ("Ours", 7, {"pain": "NRS now"})
        assert AnalysisPlan.load(path, seed=8, dose=None).seed == 8
        assert AnalysisPlan.load(plan) == plan

    @pytest.mark.parametrize("content", [b"seed =", b"\xff\xfe\x00", b"seed: 1"])
    def test_that_is_not_toml_says_so(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "plan.toml"
        path.write_bytes(content)
        with pytest.raises(PlanError, match="not valid TOML"):
            AnalysisPlan.from_toml(path)

    def test_that_is_not_there_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="cannot be opened"):
            AnalysisPlan.from_toml(tmp_path / "none.toml")

    @pytest.mark.parametrize(("key", "value"), [("scale", "vas"), ("rated", "after")])
    def test_that_contradicts_the_reading_is_refused(self, key: str, value: str) -> None:
        with pytest.raises(PlanError, match=f"The plan has {key} = '{value}', but the record was read with"):
            settle(clinic(), {key: value})
        assert settle(clinic(), {"scale": "nrs", "rated": "before"}).scale == "nrs"
        assert settle(replace(clinic(), rated="after"), None).rated == "before"  # not given: no contradiction


class TestEvaluate:
    def test_is_the_same_twice_and_on_any_number_of_threads(self) -> None:
        first = evaluate(clinic(), replicates=99)
        with threadpool_limits(limits=2):
            second = evaluate(clinic(), replicates=99)
        assert first.to_json() == second.to_json()
        assert first.verdict in LABELS

    def test_records_the_plan_as_run(self) -> None:
        seen: list[tuple[str, float]] = []
        result = evaluate(
            clinic(), {"title": "Ours", "seed": 5}, seed=6, replicates=99, progress=lambda *s: seen.append(s)
        )
        assert result.plan == {
            "title": "Ours",
            "dose": "twitches",
            "scale": "nrs",
            "rated": "before",
            "replicates": 99,
            "sensitivity": True,
            "seed": 6,
            "smallest_count": 5,
            "columns": {},
        }
        assert result.to_dict()["seed"] == 6
        shares = [share for _, share in seen]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0

    def test_another_seed_gives_other_p_values_and_the_same_estimate(self) -> None:
        one, two = (evaluate(clinic(), seed=s, replicates=499).to_dict() for s in (1, 2))
        assert one["design"] == two["design"]
        assert one["delta_bic"] == two["delta_bic"]

    def test_takes_the_path_of_a_plan(self, tmp_path: Path) -> None:
        path = tmp_path / "plan.toml"
        path.write_text("replicates = 99\n", encoding="utf-8")
        assert evaluate(clinic(), path).to_dict()["replicates"] == 99

    def test_of_a_dose_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(PlanError, match="no dose column 'sessions'"):
            evaluate(clinic(), {"dose": "sessions"})

    @pytest.mark.parametrize(
        "visits",
        [
            Visits.from_arrays(patient=[], visit=[], pain=[], twitches=[]),
            Visits.from_arrays(patient=[0, 0], visit=[1, 2], pain=[5, 4], twitches=[3, 3]),
            Visits.from_arrays(
                patient=[0, 0, 1, 1], visit=[1, 2, 1, 2], pain=[5, 4, 5, 3], twitches=[0, 0, 0, 0]
            ),
            Visits.from_arrays(
                patient=[0, 0, 1, 1], visit=[1, 2, 1, 2], pain=[5, np.nan, np.nan, 3], twitches=[1, 2, 3, 4]
            ),
        ],
        ids=["no rows", "one patient", "no dose", "no ratings"],
    )
    def test_of_hardly_anything_is_not_identifiable(self, visits: Visits) -> None:
        result = evaluate(visits, replicates=99)
        assert result.verdict == "not_identifiable"
        assert result.to_dict()["design"]["reasons"] == ["not_fitted"]  # type: ignore[call-overload,index]
        assert len(result.claims) == 30
        assert result.to_frame()["term"].is_unique


class TestScaleWithoutEnd:
    visits = replace(clinic(), scale=Scale("score", "a score", 0.0, math.inf, "points"))

    def test_gets_the_mean_first_rating_as_its_width(self) -> None:
        table = clinic().table
        mean = table.loc[table["visit"] == 1, "pain"].mean()
        assert close_scale(self.visits).scale.maximum == pytest.approx(mean)
        assert close_scale(clinic()) is not None
        assert close_scale(clinic()).scale is clinic().scale

    def test_is_told_apart_in_words(self) -> None:
        result = evaluate(self.visits, replicates=99)
        assert any("The scale has no upper end" in warning for warning in result.finding.warnings)
        assert result.visits.scale.maximum == math.inf
        assert math.isfinite(result.evidence.scale.span)

    def test_survives_a_record_without_first_ratings(self) -> None:
        table = self.visits.table
        blank = table.assign(pain=table["pain"].where(table["visit"] > 1))
        assert close_scale(replace(self.visits, table=blank)).scale.maximum == 1.0


class TestSources:
    def test_an_example_is_read_by_name(self) -> None:
        visits, plan = open_record("example:threshold", AnalysisPlan())
        assert visits.n_patients == 180
        assert plan.dose == "twitches"
        assert check_record("example:nothing", AnalysisPlan()).ok

    def test_a_file_is_read_with_the_columns_of_the_plan_or_of_the_map(self, tmp_path: Path) -> None:
        path = tmp_path / "ours.csv"
        path.write_text("Who,visit,NRS,twitches\n1,1,5,3\n1,2,4,2\n", encoding="utf-8")
        mapping = {"patient": "Who", "pain": "NRS"}
        assert open_record(str(path), AnalysisPlan(columns=mapping))[0].n_visits == 2
        assert open_record(str(path), AnalysisPlan(), columns=Columns(mapping))[0].n_visits == 2
        assert not check_record(str(path), AnalysisPlan()).ok
        assert check_record(str(path), AnalysisPlan(columns=mapping)).ok

    def test_an_example_that_is_not_there_is_named(self) -> None:
        with pytest.raises(DatasetError, match="no example called 'miracle'"):
            open_record("example:miracle", AnalysisPlan())

    @pytest.mark.parametrize("source", ["example:threshold", "vickers"])
    def test_a_named_source_has_columns_of_its_own(self, source: str) -> None:
        with pytest.raises(PlanError, match="leave the column map and the sheet out"):
            open_record(source, AnalysisPlan(), columns=Columns({}))
        with pytest.raises(PlanError, match="leave the column map and the sheet out"):
            check_record(source, AnalysisPlan(), sheet="Visits")

    def test_the_trial_is_not_a_file_to_check(self) -> None:
        with pytest.raises(PlanError, match="nothing to check"):
            check_record("vickers", AnalysisPlan())

    def test_the_trial_has_sessions_as_its_dose(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(analysis, "load_vickers_visits", clinic)
        assert open_record("vickers", AnalysisPlan())[1].dose == "sessions"
        assert open_record("vickers", AnalysisPlan(dose="twitches"))[1].dose == "twitches"


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(analysis).failed == 0
