"""The report: one self-contained HTML file that asks the network for nothing.

Words come from the findings and from :mod:`tpr_outcomes.reporting.words_report`; numbers from the tables;
pictures from the figures, inlined as data. The page has no script. Its policy forbids everything but its own
style sheet (by hash) and inlined pictures, and every text is escaped, so nothing a record holds can act.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from tpr_outcomes import __version__
from tpr_outcomes.cohort.privacy import is_small
from tpr_outcomes.inference.evidence import LABELS
from tpr_outcomes.reporting import words as verdicts
from tpr_outcomes.reporting import words_doubts, words_standards
from tpr_outcomes.reporting import words_report as say
from tpr_outcomes.reporting.claim_details import claim_details
from tpr_outcomes.reporting.doubts import weights_note
from tpr_outcomes.reporting.labels import fill, threshold_text
from tpr_outcomes.reporting.linking import Linked, link
from tpr_outcomes.reporting.number_rows import collect
from tpr_outcomes.reporting.numbers import Results
from tpr_outcomes.reporting.page_tables import VERDICT_SCOPE, PageTable, page_tables
from tpr_outcomes.reporting.plots import FigureFile
from tpr_outcomes.reporting.results import Evaluation
from tpr_outcomes.reporting.spelling import Terms, between, listed, number, terms
from tpr_outcomes.reporting.standards import ademp_rows, checklists, trial_rows
from tpr_outcomes.reporting.told import told
from tpr_outcomes.reporting.verdict import ANSWERS

TEMPLATES = ("report.html.j2", "macros.html.j2", "formulas.html.j2")
STYLE = "report.css"
HERO = ("dose", "courses", "flow")
"""The picture of the first screen: the first of these that could be drawn."""
PAGE_ORDER = ("flow", "courses", "spread", "dose", "rivals", "profile", "design", "regions")
"""Figures in the order they stand on the page, after the first one."""
LIBRARIES = ("numpy", "scipy", "pandas", "matplotlib")


@dataclass(frozen=True)
class PagePicture:
    """A figure as the page shows it.

    Attributes
    ----------
    name, number, title, caption, alt : str
    wide, narrow : str
        Data addresses of the drawings.
    scope : str
        Where the numbers of caption and alternative text come from.
    """

    name: str
    number: str
    title: str
    caption: str
    alt: str
    wide: str
    narrow: str
    scope: str


def render_html(
    evaluation: Evaluation, figures: Mapping[str, FigureFile], results: Results | None = None
) -> str:
    """Write the report.

    Parameters
    ----------
    evaluation : Evaluation
    figures : mapping of str to FigureFile
        From :func:`tpr_outcomes.reporting.plots.all_figures`; what is missing is left out of the page.
    results : Results, optional
        The numbers of the evaluation, where they are at hand.

    Returns
    -------
    str
        A whole HTML document, each number with the id of its row; the same for the same evaluation and
        figures.
    """
    return linked_page(evaluation, figures, results).html


def linked_page(
    evaluation: Evaluation, figures: Mapping[str, FigureFile], results: Results | None = None
) -> Linked:
    """Write the report as :func:`render_html`, and name every number on it that is no result of ours."""
    results = results or collect(evaluation)
    return rendered(TEMPLATES, page_context(evaluation, figures, results), results)


def rendered(templates: Sequence[str], context: Mapping[str, Any], results: Results) -> Linked:
    """Fill the first of some templates, dress the page, and link its numbers to their rows."""
    css = template_source(STYLE)
    environment = Environment(
        loader=DictLoader({name: template_source(name) for name in templates}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = environment.get_template(templates[0])
    return link(template.render(**context, css=Markup(css), policy=policy(css)), results)


def policy(css: str) -> str:
    """Content-Security-Policy of the page: nothing but this style sheet and inlined pictures."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def page_context(
    evaluation: Evaluation, figures: Mapping[str, FigureFile], results: Results
) -> dict[str, Any]:
    """Everything the template asks for, as plain text and tables."""
    called = terms(evaluation.evidence.ratings.dose, evaluation.evidence.scale)
    hero = next((name for name in HERO if name in figures), "")
    pictures = _pictures(figures, hero, _ends(results))

    tables = page_tables(evaluation, called, results.frames)

    def words(template: str, **texts: str) -> str:
        return fill(template, called, **texts)

    return {
        "say": say,
        "words": words,
        "title": str(evaluation.plan.get("title") or ""),
        "label": evaluation.decision.label if evaluation.decision.label in LABELS else "",
        "finding": evaluation.finding,
        "facts": _facts(evaluation, called),
        "not_for": _not_for(evaluation, called),
        "pictures": pictures,
        "hero": hero,
        "standard_words": words_standards,
        "checklists": checklists(
            evaluation, frozenset(f"#figure-{name}" for name in pictures) | _tables_shown(tables)
        ),
        "trial_rows": trial_rows(evaluation, called),
        "ademp_rows": ademp_rows(evaluation, called),
        "tables": tables,
        "verdict_scope": VERDICT_SCOPE,
        "data_lines": _data_lines(evaluation, called),
        "record_warnings": _record_warnings(evaluation),
        "gate": evaluation.decision.gate,
        "headlines": {label: words.headline for label, words in verdicts.VERDICTS.items()},
        "threshold": evaluation.threshold,
        "claim_count": _claim_count(evaluation),
        "claim_details": claim_details(evaluation.claims),
        "self_check": evaluation.self_check_sentences,
        "doubts": words_doubts,
        "weights_note": "" if evaluation.sensitivity is None else weights_note(evaluation.sensitivity),
        "provenance": _provenance(evaluation),
        "obstacle": told(evaluation.evidence.obstacle),
        "replicates": f"{evaluation.evidence.replicates:,}",
        "version": __version__,
    }


def _tables_shown(tables: Mapping[str, PageTable]) -> frozenset[str]:
    return frozenset(f"#table-{name}" for name in tables)


def template_source(name: str) -> str:
    """Return a template or style sheet of ours."""
    return files("tpr_outcomes.reporting").joinpath("templates", name).read_text(encoding="utf-8")


PICTURE_SCOPES = {
    "dose": "bands|test:threshold|setting",
    "courses": "figures:courses|{ends}|setting",
    "profile": "test:threshold|setting",
    "spread": "{ends}|by_visit|figures:spread|design:share_within_visit|setting",
    "rivals": "verdict|rivals|setting",
    "design": "design:searched|figures:design|setting",
    "regions": "claims:C20|setting",
    "flow": "flow|setting:small_count",
}
"""Where captions and alternative texts take their numbers from; ends: the first and the last visit shown."""


def _ends(results: Results) -> str:
    shown = [key.rpartition(":")[0] for key in (r.id for r in results.rows) if key.endswith(":total")]
    visits = [key for key in shown if key.startswith("by_visit:")]
    return "|".join(dict.fromkeys([*visits[:1], *visits[-1:]]))


def _pictures(figures: Mapping[str, FigureFile], hero: str, ends: str) -> dict[str, PagePicture]:
    """Number the figures as they come on the page."""
    order = [name for name in (hero, *(name for name in PAGE_ORDER if name != hero)) if name in figures]
    found = {}
    for i, name in enumerate(order, start=1):
        f, scope = figures[name], PICTURE_SCOPES[name].format(ends=ends)
        drawings = data_address(f.svg), data_address(f.narrow or f.svg)
        found[name] = PagePicture(name, str(i), f.title, f.caption, f.alt, *drawings, scope)
    return found


def data_address(svg: str) -> str:
    """Return a drawing as an address that needs no request."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


_FACTS = {"patients": "analysed", "ratings": "ratings"}


def _facts(evaluation: Evaluation, called: Terms) -> list[tuple[str, str]]:
    """The few numbers beside the verdict."""
    r = evaluation.evidence.ratings
    facts = [(say.FACTS[key], evaluation.shown.text(name)) for key, name in _FACTS.items()]
    if r.pain.size:
        seen = between(number(float(r.dose_before.min())), number(float(r.dose_before.max())))
        facts.append((fill(say.FACTS["totals"], called), seen))
    threshold, text = evaluation.threshold, say.FACTS["not_reported"]
    if threshold is not None and evaluation.evidence.test is not None:
        text = threshold_text(evaluation.evidence.test.profile)
    return [*facts, (fill(say.FACTS["threshold"], called), text)]


def _not_for(evaluation: Evaluation, called: Terms) -> list[str]:
    """Who the verdict does not apply to, from the record."""
    e, visits = evaluation.evidence, evaluation.visits
    left, shown = visits.n_patients - e.ratings.n_patients, evaluation.shown
    told = shown.number("patients_left_out") is not None or is_small(left, shown.minimum)
    some = "left_some" if not told else "left" if shown.number("patients") is not None else "left_few"
    texts = {"left": shown.text("patients_left_out"), "patients": shown.text("patients")}
    said = some if left else "all_in"
    lines = [say.NOT_FOR[said].format(**texts)]
    if e.design is not None and e.design.dose_95 > 0:
        most, top = number(float(e.ratings.dose_before.max())), number(e.design.dose_95)
        lines.append(fill(say.NOT_FOR["past"], called, most=most, top=top))
    if "region" in visits.table.columns:
        regions = int(visits.table["region"].replace("", np.nan).nunique())
        if regions > 1:
            lines.append(say.NOT_FOR["regions"].format(regions=regions))
    return [*lines, say.NOT_FOR["clinic"], say.NOT_FOR["single"]]


def _data_lines(evaluation: Evaluation, called: Terms) -> list[str]:
    visits, working = evaluation.visits, evaluation.evidence.working
    rated = say.DATA["rated_before" if visits.rated == "before" else "rated_after"]
    lines = [fill(say.DATA["scale"], called, rated=rated), fill(say.DATA["dose"], called)]
    if working is not None:
        lines.append(say.DATA[working.basis])
    return lines


def _record_warnings(evaluation: Evaluation) -> list[str]:
    """One line per rule that warned, with whether in few or in many places; ``tpr check`` has the count."""
    minimum, problems = evaluation.shown.minimum, evaluation.visits.problems
    groups = Counter(problem.rule for problem in problems)
    first = {problem.rule: problem for problem in reversed(problems)}
    lines = []
    for rule, n in groups.items():
        text = say.DATA["few" if is_small(n, minimum) else "many"] if first[rule].row else "{message}"
        lines.append(text.format(n=minimum, message=told(first[rule].message)))
    return lines


def _claim_count(evaluation: Evaluation) -> str:
    counts = Counter(claim.answer for claim in evaluation.claims)
    return say.CLAIM_COUNT.format(
        counts=listed(
            [f"{counts[answer]} {verdicts.ANSWERS[answer]}" for answer in ANSWERS if counts[answer]]
        )
    )


def _provenance(evaluation: Evaluation) -> list[tuple[str, str]]:
    e, source, rule = evaluation.evidence, evaluation.visits.source, evaluation.finding.rule
    versions = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
    again = say.PROVENANCE["command"].format(seed=e.seed, replicates=e.replicates)
    return [
        (say.PROVENANCE["source"], source.kind),
        (say.PROVENANCE["rows"], evaluation.shown.text("rows")),
        (say.PROVENANCE["sha256"], source.sha256 or say.PROVENANCE["no_hash"]),
        (say.PROVENANCE["seed"], str(e.seed)),
        (say.PROVENANCE["replicates"], f"{e.replicates:,}"),
        (say.PROVENANCE["rule"], say.CLAIM_DETAIL["version"].format(name=rule.name, version=rule.version)),
        (say.PROVENANCE["versions"], f"tpr-outcomes {__version__}, {versions}"),
        (say.PROVENANCE["again"], f"{again} ({say.PROVENANCE['plan_note']})"),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"
