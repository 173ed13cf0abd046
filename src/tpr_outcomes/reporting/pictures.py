"""The pictures of an evaluation: what is drawn, with its title, caption and alternative text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tpr_outcomes.cohort.privacy import Counts
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import Decision, Evidence
from tpr_outcomes.inference.regions import RegionRelief
from tpr_outcomes.reporting import alt_text, drawn, words_regions
from tpr_outcomes.reporting import words_figures as say
from tpr_outcomes.reporting.labels import fill
from tpr_outcomes.reporting.plots_regions import region_relief, regions_alt, regions_caption
from tpr_outcomes.reporting.spelling import Terms, terms

Drawn = (
    drawn.Courses
    | drawn.DosePicture
    | drawn.ProfilePicture
    | drawn.Spread
    | tuple[drawn.Rival, ...]
    | drawn.DesignPicture
    | drawn.Flow
    | RegionRelief
)


class Evaluated(Protocol):
    """What a picture needs of an evaluation."""

    @property
    def visits(self) -> Visits:
        """The record."""

    @property
    def evidence(self) -> Evidence:
        """The numbers."""

    @property
    def decision(self) -> Decision:
        """What they decide."""

    @property
    def shown(self) -> Counts:
        """Counts of people that may be shown."""


@dataclass(frozen=True)
class Picture:
    """One figure before it is drawn.

    Attributes
    ----------
    name : str
        Key and file name.
    drawn : object
        What it shows (:mod:`tpr_outcomes.reporting.drawn`).
    called : Terms
        What dose and outcome are called.
    title, caption, alt : str
    """

    name: str
    drawn: Drawn
    called: Terms
    title: str
    caption: str
    alt: str


def pictures(evaluation: Evaluated) -> tuple[Picture, ...]:
    """Every picture the record carries, in the order of the report."""
    e, visits, shown = evaluation.evidence, evaluation.visits, evaluation.shown
    decision = evaluation.decision
    called = terms(e.ratings.dose, e.scale)
    texts = {"direction": say.DIRECTION[e.scale.higher_is_worse], "drawn": ""}
    found: list[Picture] = []

    def add(name: str, what: Drawn, alt: str) -> None:
        title, caption = (fill(text, called, **texts) for text in say.FIGURES[name])
        found.append(Picture(name, what, called, title, caption, alt))

    dose = drawn.dose_picture(e, decision)
    if dose is not None:
        add("dose", dose, alt_text.dose_alt(dose, called))
    courses = drawn.courses(visits, e, shown)
    if courses is not None:
        without = courses.course.without_dose is not None
        texts["more"] = fill(say.WITHOUT_DOSE, called) if without else ""
        some = say.DRAWN["some" if shown.number("analysed") is None else "of"]
        texts["drawn"] = some.format(drawn=f"{len(courses.lines):,}", patients=courses.patients)
        add("courses", courses, alt_text.courses_alt(courses, called))
    profile = drawn.profile_picture(e, decision)
    if profile is not None:
        add("profile", profile, alt_text.profile_alt(profile, called))
    spread = drawn.spread(e, shown)
    if spread is not None:
        add("spread", spread, alt_text.spread_alt(spread, called))
    rivals = drawn.rivals(e)
    if rivals:
        add("rivals", rivals, alt_text.rivals_alt(rivals, called))
    design = drawn.design_picture(e, shown)
    if design is not None:
        add("design", design, alt_text.design_alt(design, called))
    regions = region_relief(e, visits)
    if regions is not None:
        title, caption = words_regions.FOREST["title"], regions_caption(regions, called)
        alt = regions_alt(regions, called, minimum=shown.minimum)
        found.append(Picture("regions", regions, called, title, caption, alt))
    flow = drawn.flow(visits, e, shown)
    add("flow", flow, alt_text.flow_alt(flow, called))
    return tuple(found)
