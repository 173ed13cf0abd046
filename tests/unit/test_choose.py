"""A part of a record: whole patients, by what their first visit says."""

from __future__ import annotations

import numpy as np
import pytest

from tpr_outcomes.cohort.choose import Choice, chosen, offered, part_of
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.errors import PlanError


@pytest.fixture
def visits() -> Visits:
    """Patients 0 (2 visits, neck, 30), 1 (3, back, 50), 2 (1, neck, age unknown), 3 (2, no region, 70)."""
    return Visits.from_arrays(
        patient=[0, 0, 1, 1, 1, 2, 3, 3], visit=[1, 2, 1, 2, 3, 1, 1, 2], pain=[7.0] * 8, twitches=[3.0] * 8,
        region=np.array(["neck", "back", "back", "back", "back", "neck", None, None], dtype=object),
        age=[30, 30, 50, 50, 50, np.nan, 70, 70],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), [0, 1, 2, 3]),
        (Choice(region="neck"), [0, 2]),  # 0 was treated at the back later
        (Choice(age=(30, 50)), [0, 1]),
        (Choice(age=(0, 70)), [0, 1, 3]),
        (Choice(visits=(2, 2)), [0, 3]),
        (Choice(region="neck", visits=(2, 9)), [0]),
        (Choice(age=(31, 49)), []),
    ],
)
def test_patients_are_chosen_by_their_first_visit(
    visits: Visits, choice: Choice, expected: list[int]
) -> None:
    assert chosen(visits, choice).tolist() == expected


def test_what_can_be_chosen_is_what_is_recorded(visits: Visits) -> None:
    found = offered(visits)
    assert found.region == ("neck", "back")
    assert found.therapist == ()
    assert found.age == (30.0, 70.0)
    assert found.visits == (1, 3)
    bare = Visits.from_arrays(patient=[0], visit=[1], pain=[1.0], twitches=[0.0])
    assert offered(bare).age is None
    assert chosen(bare, Choice(age=(30, 40))).tolist() == [0], "nothing recorded, nothing to choose by"


def test_a_part_holds_whole_patients_and_what_belongs_to_the_record(visits: Visits) -> None:
    part = part_of(visits, np.array([1, 3]))
    assert part.table["patient"].tolist() == [0, 0, 0, 1, 1]
    assert part.table["age"].tolist() == [50, 50, 50, 70, 70]
    assert part.scale is visits.scale


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(region="knee"), "No patient has this region"),
        (Choice(therapist="T1"), "No patient has this therapist"),
        (Choice(age=(60, 40)), "age goes from 60 to 40"),
        (Choice(visits=(3, 2)), "number of visits goes from 3 to 2"),
    ],
)
def test_what_cannot_be_meant_is_refused(visits: Visits, choice: Choice, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        chosen(visits, choice)
