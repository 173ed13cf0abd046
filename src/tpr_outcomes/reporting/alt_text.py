"""What each figure shows, in words, from the very numbers it draws: the finding, not the decoration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tpr_outcomes.reporting import words_figures as say
from tpr_outcomes.reporting import words_numbers
from tpr_outcomes.reporting.drawn import (
    Courses,
    DesignPicture,
    DosePicture,
    Flow,
    ProfilePicture,
    Rival,
    Spread,
)
from tpr_outcomes.reporting.labels import fill, flow_boxes, p_text, profile_label, signed
from tpr_outcomes.reporting.spelling import Terms, amount, between, capital, listed, number, percent


def courses_alt(drawn: Courses, called: Terms) -> str:
    """First and last average, and what is left without the dose."""
    seen, without = drawn.course.observed, drawn.course.without_dose
    text = fill(
        say.ALT["courses"],
        called,
        first=number(float(seen.estimate[0])),
        at=f"{seen.at[0]:.0f}",
        n_first=_people(drawn.rated[0]),
        last=number(float(seen.estimate[-1])),
        end=f"{seen.at[-1]:.0f}",
        n_last=_people(drawn.rated[-1]),
    )
    if without is None:
        return text
    ends = {"end": f"{seen.at[-1]:.0f}", "without": number(float(without.estimate[-1]))}
    ends |= {"low": number(float(without.conf_low[-1])), "high": number(float(without.conf_high[-1]))}
    return f"{text} {fill(say.ALT['courses_without'], called, **ends)}"


def _people(count: str) -> str:
    """A number of people, or that it is withheld."""
    return say.ALT["withheld"] if count == words_numbers.WITHHELD else count


def dose_alt(drawn: DosePicture, called: Terms) -> str:
    """The highest band against the lowest, and the curve drawn strong."""
    d = drawn.bands.difference
    text = fill(
        say.ALT["dose"],
        called,
        lowest=_range(float(drawn.bands.low[0]), float(drawn.bands.high[0])),
        highest=_range(float(drawn.bands.low[-1]), float(drawn.bands.high[-1])),
        difference=signed(float(d.estimate[-1])),
        low=signed(float(d.conf_low[-1])),
        high=signed(float(d.conf_high[-1])),
    )
    if drawn.threshold is not None:
        shape = say.ALT[f"dose_{drawn.stressed}"]
        return f"{text} {fill(shape, called, threshold=number(drawn.threshold))}"
    if drawn.stressed:
        curve = fill(say.CURVES[drawn.stressed], called).replace("\n", " ")
        return f"{text} {say.ALT['dose_best'].format(curve=curve)}"
    return f"{text} {say.ALT['dose_none']}"


def _range(low: float, high: float) -> str:
    first, last = number(low), number(high)
    return first if first == last else between(first, last)


def profile_alt(drawn: ProfilePicture, called: Terms) -> str:
    """Place and interval where they are reported, else that they are not."""
    if not drawn.shown:
        return fill(say.ALT["profile_none"], called)
    words = profile_label(drawn, called).replace("\n", ", ")
    return fill(say.ALT["profile"], called, words=words.replace(":,", ":"))


def spread_alt(drawn: Spread, called: Terms) -> str:
    """How totals rise with visits, and how much they differ within one."""
    middle = int(np.argmax(drawn.n.cumsum() >= drawn.n.sum() / 2))
    return fill(
        say.ALT["spread"],
        called,
        first=number(float(drawn.quantiles[2, 0])),
        at=f"{drawn.at[0]:.0f}",
        last=number(float(drawn.quantiles[2, -1])),
        end=f"{drawn.at[-1]:.0f}",
        middle=f"{drawn.at[middle]:.0f}",
        low=number(float(drawn.quantiles[1, middle])),
        high=number(float(drawn.quantiles[3, middle])),
        share=percent(drawn.share),
    )


def rivals_alt(drawn: Sequence[Rival], called: Terms) -> str:
    """Which rivals the threshold does not beat."""
    tested = [r for r in drawn if r.p_value is not None]
    kept = [r for r in tested if r.p_value is not None and r.p_value >= r.level]
    hardest = max(tested, key=lambda r: r.p_value or 0.0)
    texts = {
        "n": str(len(tested)),
        "level": f"{100 * drawn[0].level:g}%",
        "k": str(len(tested) - len(kept)),
        "largest": p_text(hardest.p_value),
        "hardest": _rival(hardest, called),
        "bic": signed(min((r.bic for r in drawn if r.bic is not None), default=float("nan"))),
        "kept": listed([f"“{_rival(r, called)}”" for r in kept]),
    }
    return fill(say.ALT["rivals_some" if kept else "rivals_all"], called, **texts)


def _rival(rival: Rival, called: Terms) -> str:
    return fill(say.RIVALS.get(rival.name, rival.name), called)


def design_alt(drawn: DesignPicture, called: Terms) -> str:
    """The best knot and whether it is good enough."""
    best = int(np.argmin(drawn.mdr))
    if not np.isfinite(drawn.mdr[best]):
        return fill(say.ALT["design_none"], called)
    return fill(
        say.ALT["design"],
        called,
        best=amount(float(drawn.mdr[best]), called.unit),
        knot=number(float(drawn.knots[best])),
        past=capital(say.ALT["withheld"] if np.isnan(drawn.past[best]) else f"{drawn.past[best]:,.0f}"),
        limit=amount(drawn.limit, called.unit),
        within=f"{int((drawn.mdr <= drawn.limit).sum())}",
        knots=f"{drawn.knots.size}",
    )


def flow_alt(drawn: Flow, called: Terms) -> str:
    """The boxes, read out."""
    boxes, asides = flow_boxes(drawn, called)
    parts = [f"{title} {detail}" for title, detail in boxes]
    for i, (title, lines) in enumerate(asides):
        parts.insert(2 * i + 1, f"{title}{': ' + '; '.join(lines) if lines else ''}")
    return ". ".join(part.replace("\n", " ").replace("  ", " ") for part in parts) + "."
