"""Command on what others have published: arms of trials, pooled by twitch dose."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from tpr_outcomes.commands.screen import AsJson, show_table


def evidence(
    file: Annotated[Path, typer.Argument(help="Published arms (evidence/README.md).")],
    dose: Annotated[
        Literal["assigned", "observed"], typer.Option("--dose", help="Assigned by chance, or as they came.")
    ] = "assigned",
    scale: Annotated[str, typer.Option("--scale", help="Instrument, by its name.")] = "nrs",
    hours: Annotated[
        tuple[float, float] | None,
        typer.Option("--hours", help="First and last hour after the last one."),
    ] = None,
    knot: Annotated[float, typer.Option("--knot", help="Twitches up to which nothing happens.")] = 0.0,
    json: AsJson = False,
) -> None:
    """Check a file of published arms, and pool them by twitch dose where there are enough."""
    from tpr_outcomes.cohort.arms import read_arms, select_arms
    from tpr_outcomes.inference.dose_response import fit_dose_response
    from tpr_outcomes.reporting import published, words_arms
    from tpr_outcomes.reporting.results import tidy_json

    held = read_arms(file)
    arms = select_arms(held, scale=scale, hours=hours)
    if not arms:
        print(words_arms.NONE_LIKE_IT.format(arms=len(held)) if held else words_arms.EMPTY)
        return
    found = fit_dose_response(arms, dose=dose, knot=knot)
    if json:
        print(jsonlib.dumps(tidy_json(asdict(found)), indent=2))
        return
    show_table(words_arms.TITLE, words_arms.HEADS, published.arm_rows(arms, dose))
    print(published.account(arms, dose))
    print("\n".join(published.sentences(found, scale, dose)))
