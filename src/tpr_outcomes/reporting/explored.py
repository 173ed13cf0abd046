"""What the explorer shows of a group and of one patient: pictures, sentences and tables as blocks."""

from __future__ import annotations

import dataclasses

from tpr_outcomes.cohort import derive
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.inference.evidence import Evidence
from tpr_outcomes.models.outlook import Outlook
from tpr_outcomes.reporting import alt_text, blocks, drawn
from tpr_outcomes.reporting import words_explorer as say
from tpr_outcomes.reporting.blocks import Block
from tpr_outcomes.reporting.disclosure import shown_counts
from tpr_outcomes.reporting.labels import fill
from tpr_outcomes.reporting.pictures import Picture
from tpr_outcomes.reporting.plots_lesson import as_svg, picture_svg
from tpr_outcomes.reporting.plots_patient import outlook_alt, outlook_figure, outlook_sentences, rating
from tpr_outcomes.reporting.spelling import between, number, terms


def group_picture(part: Visits, evidence: Evidence) -> Block | None:
    """Courses of some patients of a record and their average; None where too few are rated.

    Parameters
    ----------
    part : Visits
        The patients chosen.
    evidence : Evidence
        Of the whole record: says what the dose is.
    """
    ratings = derive.ratings(part, dose=evidence.ratings.dose)
    if not ratings.n_patients:
        return None
    own = dataclasses.replace(evidence, ratings=ratings, working=None)
    courses = drawn.courses(part, own, shown_counts(part, own))
    if courses is None:
        return None
    called = terms(evidence.ratings.dose, evidence.scale)
    alt = alt_text.courses_alt(courses, called)
    made = Picture("courses", courses, called, say.GROUP["title"], say.GROUP["caption"], alt)
    narrow = picture_svg(made, narrow=True)
    return blocks.picture(
        picture_svg(made), alt, title=made.title, caption=made.caption, wide=True, narrow=narrow
    )


def patient_line(visits: Visits, code: int) -> str:
    """How a patient is called in the list: a number, never the identifier."""
    rows = visits.table[visits.table["patient"] == code]
    first = rows["pain"].iloc[0]
    words = {"number": str(code + 1), "visits": str(len(rows))}
    template = say.PATIENT["option_one" if len(rows) == 1 else "option"]
    return template.format(first=number(first) if first == first else say.PATIENT["unrated"], **words)


def patient_block(found: Outlook, evidence: Evidence) -> Block:
    """One patient's picture, what usually follows in words, and the same numbers as a table."""
    scale = evidence.scale
    called = terms(evidence.ratings.dose, scale)
    drawing = as_svg(lambda: outlook_figure(found, scale))
    pain = dict(zip(found.visit.tolist(), found.pain.tolist(), strict=True))
    a = found.ahead
    rows = []
    for i, at in enumerate(a.at.astype(int).tolist()):
        rated = pain.get(at, float("nan"))
        span = between(rating(float(a.conf_low[i])), rating(float(a.conf_high[i])))
        ends = rating(float(a.estimate[i])), span, rating(float(found.usual[i]))
        rows.append((str(at), number(rated) if rated == rated else "–", *ends))
    title = say.PATIENT["title"].format(number=found.patient + 1)
    shown = blocks.picture(
        drawing,
        outlook_alt(found, called),
        title=title,
        caption=fill(say.PATIENT["caption"], called),
        wide=True,
        narrow=as_svg(lambda: outlook_figure(found, scale, narrow=True)),
    )
    told = blocks.text(*outlook_sentences(found, called))
    heads = [fill(head, called) for head in say.OUTLOOK_HEADS]
    table = blocks.table(heads, rows, numeric=range(5)) if rows else blocks.text()
    return blocks.stack(blocks.beside(shown, told), table)
