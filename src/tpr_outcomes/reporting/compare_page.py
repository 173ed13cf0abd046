"""The page of records side by side: self-contained, without a script, every number linked to its row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tpr_outcomes import __version__
from tpr_outcomes.inference.difference import Estimate
from tpr_outcomes.inference.funnel import ALARM_LEVEL
from tpr_outcomes.inference.shrinkage import FEWEST_GROUPS
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting import words_compare as say
from tpr_outcomes.reporting import words_report as frame
from tpr_outcomes.reporting.compare import (
    FEW,
    LEVEL,
    MEASURES,
    SUPPORTED,
    Comparison,
    Pool,
    collect,
    place_of,
)
from tpr_outcomes.reporting.compare_text import measured, shown, with_ends
from tpr_outcomes.reporting.labels import fill, p_text
from tpr_outcomes.reporting.linking import Linked
from tpr_outcomes.reporting.numbers import Results
from tpr_outcomes.reporting.page_tables import PageTable
from tpr_outcomes.reporting.plots import FigureFile
from tpr_outcomes.reporting.report import PagePicture, data_address, rendered

TEMPLATES = ("compare.html.j2", "macros.html.j2")
FIRST = "slope"
"""The quantity the first screen is about."""
SCOPE = (
    *(f"{part}:{FIRST}" for part in ("differences", "pooled", "funnel")),
    "multiple",
    *(f"clinics:{i}:{FIRST}" for i in (1, 2)),
    "setting",
)
"""Where the numbers of the first screen come from."""
SHORT = 16
"""Signs of a digest that are shown."""
_LEVELS = {"level": f"{100 * LEVEL:.0f}", "alarm": f"{100 * ALARM_LEVEL:.1f}", "top": f"{100 * LEVEL:.0f}"}


def compare_page(
    found: Comparison, figures: Mapping[str, FigureFile], results: Results | None = None
) -> Linked:
    """Write the page, and name every number on it that is no result of ours.

    Parameters
    ----------
    found : Comparison
    figures : mapping of str to FigureFile
        From :func:`tpr_outcomes.reporting.plots_compare.figures`; what is missing is left out of the page.
    results : Results, optional
        The numbers, where they are at hand.

    Returns
    -------
    Linked
    """
    results = results or collect(found)
    return rendered(TEMPLATES, _context(found, figures), results)


def _context(found: Comparison, figures: Mapping[str, FigureFile]) -> dict[str, Any]:
    tables = _tables(found)
    hero = next((name for name in ("difference", f"funnel-{FIRST}") if name in figures), "")
    middle = "differences" if found.two else "pooled"
    head = _two(found) if found.two else _many(found)
    shown_tables = ["verdicts", *(name for name in tables if name.startswith(middle)), "who", "inputs"]
    reasons = [
        say.NOT_COMPARED[reason].format(measure=found.name(key), fewest=FEWEST_GROUPS)
        for key, reason in found.left.items()
    ]
    return head | {
        "say": say,
        "frame": frame,
        "version": __version__,
        "scope": "|".join(SCOPE),
        "hero": hero,
        "pictures": _pictures(found, figures, hero),
        "warnings": [fill(line, found.called) for line in say.WARNINGS],
        "not_said": [fill(line, found.called) for line in say.NOT_SAID],
        "sections": ("verdicts", middle, "who", "how"),
        "tables": {"differences": None} | tables,
        "numbers": {name: i for i, name in enumerate(shown_tables, start=1)},
        "sentences": [
            (name, clinic.sentence, f"quoted:clinics:{i}")
            for i, (clinic, name) in enumerate(
                zip(found.clinics, (say.PAGE["first"], say.PAGE["second"]), strict=False), start=1
            )
            if found.two
        ],
        "left": reasons,
        "order": say.MANY["order"],
        "pools": [_pool(found, pool, figures) for pool in found.pools.values()],
        "how": _how(found),
        "made": say.PAGE["made"].format(version=__version__),
    }


def _two(found: Comparison) -> dict[str, Any]:
    """What the first screen says of two records."""
    d = found.differences.get(FIRST)
    sentence = fill(say.TWO["none"], found.called)
    if d is not None:
        sentence = fill(
            say.TWO["sentence"], found.called, **(measured(found, FIRST) | {"unit": found.called.unit})
        )
    m = len(found.differences)
    texts = {"m": str(m), "expected": shown((1 - LEVEL) * m), **_LEVELS}
    multiple = say.TWO["multiple"].format_map(texts) if m > 1 else ""
    letters = (say.PAGE["first"], say.PAGE["second"])
    return {
        "question": fill(say.TWO["question"], found.called),
        "headline": say.TWO["headline"][None if d is None else d.told_from_none],
        "sentence": sentence,
        "names": list(zip(letters, (clinic.label for clinic in found.clinics), strict=True)),
        "facts": [],
        "flagged": (),
        "flagged_words": "",
        "sure": [say.TWO["sure"].format(multiple=multiple).strip()],
        "verdicts_note": say.TWO["verdicts"],
    }


def _many(found: Comparison) -> dict[str, Any]:
    """What the first screen says of many."""
    pool = found.pools.get(FIRST)
    flagged = () if pool is None else tuple(found.clinics[i].label for i in pool.flagged)
    n = None if pool is None else len(flagged)
    headline = say.MANY["headline"][n if n in (None, 0, 1) else 2].format(flagged=n)
    facts = [(say.PAGE["clinics"], str(len(found.clinics)))]
    sentence, sure = fill(say.MANY["none"], found.called, fewest=str(FEWEST_GROUPS)), [say.MANY["order"]]
    if pool is not None:
        texts = _pool_texts(found, pool)
        sentence = fill(say.MANY["sentence"], found.called, **(texts | {"unit": found.called.unit}))
        multiple = say.MANY["multiple"].format_map(texts)
        if len(pool.who) < FEW:
            multiple = " ".join([multiple, say.MANY["small"]])
        sure.insert(0, say.MANY["sure"].format_map(texts | {"multiple": multiple}))
        facts.append((say.PAGE["pooled_in"], texts["used"]))
    return {
        "question": say.MANY["question"],
        "headline": headline,
        "sentence": sentence,
        "names": [],
        "facts": facts,
        "flagged": flagged,
        "flagged_words": say.PAGE["outside"].format_map(_LEVELS),
        "sure": sure,
        "verdicts_note": say.MANY["verdicts"],
    }


def _pool_texts(found: Comparison, pool: Pool) -> dict[str, str]:
    """Every text about one pooled quantity, by the name the sentences give it."""
    p, b, k = pool.pooled, pool.between, len(pool.who)
    alarm, warning = (1 - ALARM_LEVEL) * k, (1 - LEVEL) * k
    return _LEVELS | {
        "used": str(k),
        "unit": found.unit(pool.measure.key),
        "mean": shown(p.mean),
        "low": shown(p.mean_low),
        "high": shown(p.mean_high),
        "tau": shown(p.tau),
        "tau_low": shown(b.conf_low),
        "tau_high": shown(b.conf_high),
        "differ": say.MANY["differ"][p.p_value < 1 - LEVEL],
        "p": p_text(p.p_value),
        "share": f"{100 * b.i_squared:.0f}",
        "flagged": str(len(pool.flagged)),
        "warned": str(len(pool.warned)),
        "expected": shown(alarm),
        "expected_warning": shown(warning),
        "expected_between": shown(warning - alarm),
    }


def _pool(found: Comparison, pool: Pool, figures: Mapping[str, FigureFile]) -> dict[str, Any]:
    key, texts = pool.measure.key, _pool_texts(found, pool)
    return {
        "name": found.name(key),
        "lines": [words.format_map(texts) for words in say.POOLED.values()],
        "scope": f"pooled:{key}|funnel:{key}|setting",
        "figures": [name for name in (f"funnel-{key}", f"forest-{key}") if name in figures],
        "table": f"pooled-{key}",
    }


def _how(found: Comparison) -> list[tuple[str, str]]:
    if found.two:
        return [(say.HOW["difference"], say.HOW["difference_cite"])]
    parts = [(say.HOW[name], say.HOW[f"{name}_cite"]) for name in ("pooled", "funnel")]
    return [*parts, (say.HOW["not_pooled"], "")]


def _pictures(found: Comparison, figures: Mapping[str, FigureFile], hero: str) -> dict[str, PagePicture]:
    """Number the figures as they come on the page."""
    order = [name for name in (hero, *(name for name in figures if name != hero)) if name]
    made = {}
    for i, name in enumerate(order, start=1):
        f, key = figures[name], name.partition("-")[2] or FIRST
        scope = (
            f"differences:{key}|clinics:1:{key}|clinics:2:{key}"
            if found.two
            else f"pooled:{key}|funnel:{key}"
        )
        drawings = data_address(f.svg), data_address(f.narrow or f.svg)
        made[name] = PagePicture(name, str(i), f.title, f.caption, f.alt, *drawings, f"{scope}|setting")
    return made


# --- tables ---------------------------------------------------------------------------------------


def _tables(found: Comparison) -> dict[str, PageTable]:
    made = {"verdicts": _verdicts(found), "who": _who(found), "inputs": _inputs(found)}
    if found.two and found.differences:
        made["differences"] = _differences(found)
    for key, pool in found.pools.items():
        made[f"pooled-{key}"] = _clinics(found, pool)
    return made


def _heads(found: Comparison, *names: str) -> tuple[str, ...]:
    return tuple(fill(say.HEADS[name], found.called, **_LEVELS) for name in names)


def _verdicts(found: Comparison) -> PageTable:
    rows = []
    for i, clinic in enumerate(found.clinics):
        place = found.estimates["threshold"][i] if clinic.verdict == SUPPORTED else None
        text = say.CELLS["not_reported"] if place is None else with_ends(place)
        rows.append((clinic.label, words.VERDICTS[clinic.verdict].headline, text))
    heads = _heads(found, "which", "verdict", "threshold")
    scopes = tuple(f"clinics:{i}:threshold" for i in range(1, len(rows) + 1))
    return PageTable("verdicts", say.TABLES["verdicts"], heads, tuple(rows), frozenset({2}), scopes=scopes)


def _differences(found: Comparison) -> PageTable:
    rows, scopes = [], []
    by_key = {measure.key: measure for measure in MEASURES}
    for key, d in found.differences.items():
        texts = measured(found, key)
        sign = "%" if by_key[key].share else ""
        ends = say.CELLS["own"].format(estimate="", low=texts["low"], high=texts["high"]).strip(" ()")
        row = (found.name(key), texts["first"] + sign, texts["second"] + sign, texts["middle"], ends)
        rows.append((*row, found.unit(key), say.CELLS["told"][d.told_from_none]))
        scopes.append(f"differences:{key}|clinics:1:{key}|clinics:2:{key}|setting:cut|setting:visit")
    heads = _heads(found, "measure", "first", "second", "middle", "interval", "unit", "said")
    numeric = frozenset({1, 2, 3, 4})
    return PageTable(
        "differences", say.TABLES["differences"], heads, tuple(rows), numeric, scopes=tuple(scopes)
    )


def _clinics(found: Comparison, pool: Pool) -> PageTable:
    key, p, rows = pool.measure.key, pool.pooled, []
    for j, i in enumerate(pool.who):
        pulled = Estimate(float(p.shrunken[j]), float(p.conf_low[j]), float(p.conf_high[j]))
        own, where = found.estimates[key][i], say.CELLS["places"][place_of(pool, i)]
        rows.append((found.clinics[i].label, with_ends(own), with_ends(pulled), where))
    caption = say.TABLES["pooled"].format_map(_LEVELS)
    scopes = tuple(f"clinics:{i + 1}:{key}|clinics:{i + 1}:{key}:pulled" for i in pool.who)
    heads = _heads(found, "which", "own", "pulled", "funnel")
    return PageTable(f"pooled-{key}", caption, heads, tuple(rows), frozenset({1, 2}), scopes=scopes)


def _who(found: Comparison) -> PageTable:
    """Counts are those that each record's own report shows; none is added to another."""
    counts = {"patients": "data:patients_analysed", "ratings": "data:ratings"}
    rest = {"first_total": "by_visit:2:total", "top_total": "design:dose_95"}
    rows = []
    for i, clinic in enumerate(found.clinics):
        cells = [clinic.label]
        for source in counts.values():
            held = clinic.rows.get(source)
            whole = held is not None and held.estimate == held.estimate
            cells.append(f"{held.estimate:,.0f}" if held is not None and whole else say.CELLS["withheld"])
        cells.append(with_ends(found.estimates["first_rating"][i]))
        for source in rest.values():
            held = clinic.rows.get(source)
            cells.append(shown(held.estimate) if held is not None else say.CELLS["absent"])
        rows.append(tuple(cells))
    heads = _heads(found, "which", *counts, "first_rating", *rest)
    scopes = tuple(f"clinics:{i}" for i in range(1, len(rows) + 1))
    return PageTable("who", say.TABLES["who"], heads, tuple(rows), frozenset(range(1, 6)), scopes=scopes)


def _inputs(found: Comparison) -> PageTable:
    rows = tuple(
        (
            c.label,
            c.record_sha256[:SHORT] if c.record_sha256 else frame.PROVENANCE["no_hash"],
            c.results_sha256[:SHORT],
            str(c.seed),
        )
        for c in found.clinics
    )
    heads = _heads(found, "which", "record", "results", "seed")
    scopes = tuple("setting" for _ in rows)
    return PageTable("inputs", say.TABLES["inputs"], heads, rows, scopes=scopes, plain=True)
