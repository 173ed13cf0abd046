"""What each figure of the notebooks shows, in words, from the very numbers it draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tpr_outcomes.planning.lesson import WAYS, Lesson, Way
from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.spelling import chances, number, percent
from tpr_outcomes.reporting.verdict import judge


def attrition_alt(seen: tuple[str, str], last_visit: int, comparison: str) -> str:
    """How many came first and last, as far as they are told, and how those who stopped were doing.

    Parameters
    ----------
    seen : tuple of str
        Patients at the first and at the last visit, small counts already withheld.
    last_visit : int
    comparison : str
    """
    first, end = seen
    return say.ATTRITION["alt"].format(first=first, end=end, at=last_visit, sentence=comparison)


def lesson_alt(made: Lesson, way: Way) -> str:
    """What the simple analysis says, and what this toolkit says."""
    finding = judge(made.evidence, made.decision)
    ours = f"{finding.headline}. {finding.sentence}"
    return say.LESSON["alt"].format(naive=simple_sentence(made, way), ours=ours)


def simple_sentence(made: Lesson, way: Way) -> str:
    """The simple analysis in one sentence or two."""
    naive = made.naive[way]
    found = {"threshold": number(naive.threshold), "chances": chances(naive.p_value)}
    if way == "ends":
        return say.ENDS[naive.found].format(change=number(-naive.slope), **found)
    return say.NAIVE[naive.found].format(**found)


def ladder_alt(table: pd.DataFrame) -> str:
    """Every share of :func:`tpr_outcomes.planning.lesson.ladder`, row by row."""
    clinics = int(table["clinics"].iloc[0])
    rows = [
        say.LESSON["alt_row"].format(step=say.STEPS[row["step"]], **ladder_shares(row))
        for row in table.to_dict("records")
    ]
    return say.LESSON["alt_ladder"].format(clinics=clinics, rows=" ".join(rows))


def ladder_shares(row: Mapping[Any, Any]) -> dict[str, str]:
    """Shares of one row of the ladder, by analysis."""
    return {name: percent(row[name] / row["clinics"]) for name in (*WAYS, "ours")}


def study_power_alt(table: pd.DataFrame) -> str:
    """Shares of studies that find the threshold, by who decides and number of patients.

    Parameters
    ----------
    table : DataFrame
        ``label, patients, share`` (percent).
    """
    rows = []
    for label, part in table.groupby("label", sort=False):
        shares = zip(part["patients"], part["share"], strict=True)
        text = ", ".join(say.PLAN["alt_share"].format(n=n, share=f"{share:.0f}") for n, share in shares)
        rows.append(say.PLAN["alt_row"].format(label=label, shares=text))
    return say.PLAN["alt"].format(rows=" ".join(rows))
