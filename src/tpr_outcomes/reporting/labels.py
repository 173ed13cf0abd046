"""How words and numbers of the report are put together: vocabulary, p-values, boxes."""

from __future__ import annotations

import math

from tpr_outcomes.cohort.scales import Scale
from tpr_outcomes.inference.threshold import ThresholdProfile
from tpr_outcomes.reporting import words_figures as say
from tpr_outcomes.reporting import words_numbers as numbers
from tpr_outcomes.reporting.drawn import Flow, ProfilePicture
from tpr_outcomes.reporting.spelling import Terms, capital, number, percent
from tpr_outcomes.reporting.told import told


def fill(template: str, called: Terms, **texts: str) -> str:
    """Fill a template with the record's own vocabulary and further texts; line breaks are kept."""
    known = {
        "one": called.one,
        "many": called.many,
        "many_capital": capital(called.many),
        "recorded": called.recorded,
        "recorded_capital": capital(called.recorded),
        "outcome": called.outcome,
        "outcome_capital": capital(called.outcome),
        "better": called.better,
        "better_capital": capital(called.better),
        "unit": called.unit,
        "scale": called.scale,
    }
    return template.format_map(known | texts)


def p_text(p_value: float | None) -> str:
    """Write a p-value: three decimals below 0.1, else two; never 0.

    Examples
    --------
    >>> p_text(0.0005), p_text(0.0312), p_text(0.4), p_text(None)
    ('<0.001', '0.031', '0.40', 'not done')
    """
    if p_value is None or math.isnan(p_value):
        return numbers.NUMBERS["not_done"]
    if p_value < 0.001:
        return "<0.001"
    return f"{p_value:.3f}" if p_value < 0.0995 else f"{p_value:.2f}"


def signed(value: float) -> str:
    """Write a number to one decimal with a true minus sign.

    Examples
    --------
    >>> signed(-1.72), signed(0.04), signed(math.inf)
    ('−1.7', '0.0', '–')
    """
    if not math.isfinite(value):
        return "–"
    text = f"{value:.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def outcome_label(scale: Scale) -> str:
    """Axis label of the ratings: the instrument, with its unit where the name does not say it."""
    return capital(told(scale.label))


def threshold_text(profile: ThresholdProfile) -> str:
    """Estimate with its interval in brackets, an open end said in words.

    Examples
    --------
    >>> from types import SimpleNamespace as P
    >>> threshold_text(P(estimate=40, conf_low=28.2, conf_high=51, open_low=False, open_high=True))
    '40 (from 28)'
    """
    key = {
        (False, False): "closed",
        (True, False): "open_low",
        (False, True): "open_high",
        (True, True): "open",
    }[profile.open_low, profile.open_high]
    ends = numbers.ENDS[key].format(low=number(profile.conf_low), high=number(profile.conf_high))
    return f"{number(profile.estimate)} ({ends})"


def profile_label(picture: ProfilePicture, called: Terms) -> str:
    """Estimate and interval beside the profile, in three lines (four when a check failed)."""
    profile = picture.profile
    estimate, _, ends = threshold_text(profile).partition(" (")
    ends = ends.removesuffix(")")
    texts = {"estimate": estimate, "many": called.many, "percent": percent(profile.level), "ends": ends}
    lines = [numbers.PROFILE.format_map(texts)]
    if picture.label != "threshold_supported":
        lines.append(say.LABELS["check_failed"])
    return "\n".join(lines)


def flow_boxes(flow: Flow, called: Terms) -> tuple[list[tuple[str, str]], list[tuple[str, list[str]]]]:
    """Title and detail of the four boxes, and of the three asides between them."""
    texts = {name: flow.shown.text(name) for name in ("rows", "visits", "patients", "ratings")}
    texts["first"] = flow.shown.text("analysed")
    boxes = [
        (fill(title, called, **texts), fill(detail, called, **texts))
        for title, detail in (say.FLOW[key] for key in ("read", "visits", "people", "analysed"))
    ]
    asides = []
    for key, counts in (
        ("not_kept", flow.not_kept),
        ("patients_left_out", flow.patients_left_out),
        ("left_out", flow.left_out),
    ):
        lines = [
            str(say.FLOW["line"]).format(
                n=flow.shown.text(f"{key}:{rule}"), reason=say.FLOW_REASONS.get(rule, rule)
            )
            for rule in counts
        ]
        asides.append((str(say.FLOW[key]).format(n=flow.shown.text(key)), lines))
    return boxes, asides
