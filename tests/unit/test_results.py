"""Evaluation in its machine-readable forms: verdict.json against its schema, and one row per estimate."""

from __future__ import annotations

import doctest
import json
import math
from dataclasses import replace
from importlib.resources import files
from typing import Any

import jsonschema
import pandas as pd
import pytest
from tests.unit import readability
from tests.unit.made_evidence import clinic, every_label, evidence, unfitted

from tpr_outcomes.cohort.rules import LeftOut, Problem
from tpr_outcomes.inference.evidence import LABELS, Evidence, decide
from tpr_outcomes.reporting import results, spelling
from tpr_outcomes.reporting.claims import answer_claims
from tpr_outcomes.reporting.results import COLUMNS, Evaluation, tidy_json
from tpr_outcomes.reporting.verdict import judge

ALL = [(label, i) for label, made in every_label().items() for i in range(len(made))]
KEYS = [
    "schema",
    "verdict",
    "sentence",
    "threshold",
    "p_values",
    "delta_bic",
    "checks",
    "design",
    "data",
    "rule",
    "claims",
    "seed",
    "replicates",
]


def evaluation(made: Evidence) -> Evaluation:
    decision = decide(made)
    visits = clinic()
    finding = judge(made, decision, visits=visits)
    return Evaluation({}, visits, made, decision, finding, answer_claims(made, decision, visits))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    text = files("tpr_outcomes").joinpath("reporting/schema/verdict.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(("label", "i"), ALL)
def test_verdict_json_keeps_its_schema(
    label: str, i: int, validator: jsonschema.Draft202012Validator
) -> None:
    content = json.loads(evaluation(every_label()[label][i]).to_json(), parse_constant=pytest.fail)
    validator.validate(content)
    assert content["verdict"] == label
    assert list(content) == KEYS
    gate_one = label in ("threshold_supported", "threshold_shape_confounding_alarm")
    assert (content["threshold"] is not None) == gate_one
    assert [claim["claim"] for claim in content["claims"]] == [f"C{k}" for k in range(1, 31)]


def test_the_schema_lists_every_label_and_describes_every_field(
    validator: jsonschema.Draft202012Validator,
) -> None:
    schema: Any = validator.schema
    assert schema["properties"]["verdict"]["enum"] == list(LABELS)
    assert list(schema["properties"]) == [*KEYS, "self_check"]  # the last only where it was asked for
    assert schema["required"] == KEYS

    def fields(node: Any) -> list[Any]:
        inner = [node, *node.get("properties", {}).values()]
        nested = [node["items"]] if "items" in node and "properties" in node["items"] else []
        for child in [*node.get("properties", {}).values(), *nested, *node.get("oneOf", [])]:
            inner += fields(child)[1:]
        return inner

    bare = {"identifiable", "stage", "answer", *LABELS}
    for name, node in schema["properties"].items():
        assert node.get("description"), name
    assert len(fields(schema)) > 60
    for node in fields(schema):
        for name, child in node.get("properties", {}).items():
            assert child.get("description") or name in bare, name


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "proven"},
        {"threshold": {"estimate": 40.0}},
        {"extra": 1},
        {"seed": -1},
        {"claims": []},
        {"delta_bic": "large"},
    ],
)
def test_the_schema_refuses_what_is_not_a_verdict(
    change: dict[str, Any], validator: jsonschema.Draft202012Validator
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(evaluation(evidence()).to_dict() | change)


def test_the_same_evidence_gives_the_same_bytes() -> None:
    assert evaluation(evidence()).to_json() == evaluation(evidence()).to_json()
    assert evaluation(evidence()).to_json().endswith("}\n")


def test_floats_have_ten_digits_and_what_is_no_number_is_null() -> None:
    tidy = tidy_json(
        {"a": 2 / 3, "b": math.nan, "c": [math.inf, -math.inf], "d": True, "e": 10**18, "f": -0.0}
    )
    assert tidy == {"a": 0.6666666667, "b": None, "c": [None, None], "d": True, "e": 10**18, "f": 0.0}
    assert json.dumps(tidy_json(-0.0)) == "0.0"


def test_counts_of_rows_add_up() -> None:
    made, visits = evidence(), clinic()
    rows = (LeftOut("line 3", "duplicate of line 2", "duplicate"),) * 2
    visits = replace(
        visits,
        left_out=rows,
        source=replace(visits.source, rows_read=visits.n_visits + 2),
        problems=(Problem("pain_blank", "warning", "line 4, column pain", "pain", "", "blank", "fill in"),),
    )
    data: Any = replace(evaluation(made), visits=visits, plan={"smallest_count": 1}).to_dict()["data"]
    counts = {"reading": 0, "analysis": 0}
    for entry in data["left_out"]:
        counts[entry["stage"]] += entry["count"]
    assert counts["reading"] == 2
    assert data["source"]["rows_read"] == data["visits"] + counts["reading"]
    assert data["visits"] == data["ratings"] + data["baselines"] + counts["analysis"]
    assert data["warnings"] == 1


@pytest.mark.parametrize(("label", "i"), ALL)
def test_the_frame_has_one_row_per_estimate(label: str, i: int) -> None:
    result = evaluation(every_label()[label][i])
    frame = result.to_frame()
    assert tuple(frame.columns) == COLUMNS
    assert frame["term"].is_unique
    assert frame["unit"].notna().all()
    assert frame["method"].notna().all()
    assert set(frame["rule"]) == {"threshold-verdict/1"}
    assert str(frame["n"].dtype) == "Int64"
    assert ("threshold" in set(frame["term"])) == (result.threshold is not None)


def test_frame_and_json_hold_the_same_numbers() -> None:
    result = replace(evaluation(evidence()), plan={"smallest_count": 1})
    frame = result.to_frame().set_index("term")
    content: Any = result.to_dict()
    assert frame.loc["threshold", "estimate"] == pytest.approx(content["threshold"]["estimate"], rel=1e-9)
    assert frame.loc["threshold", "conf_low"] == pytest.approx(content["threshold"]["conf_low"], rel=1e-9)
    assert frame.loc["delta_bic", "estimate"] == content["delta_bic"]
    for rival, p in content["p_values"]["threshold"].items():
        assert frame.loc[f"beats:{rival}", "p_value"] == p
    assert frame.loc["data:ratings", "estimate"] == content["data"]["ratings"]
    assert frame.loc["mdr_best", "estimate"] == pytest.approx(content["design"]["best_mdr"], rel=1e-9)


def test_shortcuts_name_the_verdict() -> None:
    result = evaluation(unfitted())
    assert result.verdict == "not_identifiable"
    assert result.sentence == result.finding.sentence
    assert result.threshold is None
    assert isinstance(result.to_frame(), pd.DataFrame)


@pytest.mark.parametrize("module", [spelling, results, readability])
def test_examples_in_docstrings_run(module: Any) -> None:
    outcome = doctest.testmod(module)
    assert outcome.failed == 0
    assert outcome.attempted > 0
