"""Every field of a record to start with: table by table, its range or words, and the STRICTA item it answers.

STRICTA 2010 (doi:10.1371/journal.pmed.1000261) lists what a report on needling has to say; it asks whether a
response was sought, not how many came, so the counts are ours. The optional tables are those of
:mod:`tpr_outcomes.cohort.schemas`, with the fields a clinic may want to keep beside what is analysed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tpr_outcomes.cohort.schemas import SCHEMAS, Field, Schema


@dataclass(frozen=True)
class Item:
    """A field of the template.

    Attributes
    ----------
    field : Field
        Name, kind, range and words.
    stricta : str
        STRICTA 2010 item it answers; empty where there is none.
    used : bool
        Whether an analysis reads it; the others are kept for the clinic.
    """

    field: Field
    stricta: str = ""
    used: bool = True


@dataclass(frozen=True)
class TemplateTable:
    """A table of the template.

    Attributes
    ----------
    name, row : str
        As in :class:`~tpr_outcomes.cohort.schemas.Schema`.
    items : tuple of Item
        Its fields in order.
    """

    name: str
    row: str
    items: tuple[Item, ...]


def _words(*words: str) -> Mapping[str, tuple[str, ...]]:
    return dict.fromkeys(words, ())


_VISITS = (
    Item(Field("patient", "patient", "code of the patient; no name, no hospital number", required=True)),
    Item(Field("visit", "visit", "number of the visit: 1, 2, 3 …", low=1.0, required=True), "3a"),
    Item(Field("date", "date", "day of the visit", required=True), "3b"),
    Item(Field("pain", "number", "pain now, 0 none to 10 worst, asked before the needling", high=10.0,
               required=True)),
    Item(Field("sought", "yes_no", "whether twitches were looked for", required=True), "2d"),
    Item(Field("twitches", "count", "local twitch responses; 0: sought, none came; blank: not recorded")),
    Item(Field("insertions", "count", "needle insertions"), "2a"),
    Item(Field("sites", "count", "places treated"), "2b"),
    Item(Field("therapist", "label", "code of who needled"), "5"),
    Item(Field("region", "label", "part of the body treated"), "2b"),
    Item(Field("stop_reason", "word", "at the last visit: why no further one follows",
               words=_words("better", "no benefit", "cost", "adverse event", "lost"))),
    Item(Field("visit_reason", "word", "why this visit",
               words=_words("initial", "course", "taper", "tune-up")), "1c", used=False),
    Item(Field("planned", "yes_no", "planned (yes) or led by symptoms (no)"), "3b", used=False),
    Item(Field("recall_window", "word", "time the pain rating is about",
               words=_words("now", "last day", "last week")), used=False),
    Item(Field("function_scale", "label", "instrument of function, such as ndi or quickdash"), used=False),
    Item(Field("function_score", "number", "its score"), used=False),
    Item(Field("ppt_kpa", "number", "pressure pain threshold, kPa, mean of three", high=2000.0), used=False),
    Item(Field("minutes", "number", "length of the session, minutes", high=480.0), "3b", used=False),
    Item(Field("next_days", "number", "planned days to the next visit", high=730.0), "3b", used=False),
)  # fmt: skip

_STRICTA = {
    "sites": {"muscle": "2b", "side": "2b", "region": "2b", "insertions": "2a", "sought": "2d",
              "elicited": "2d", "needle": "2g", "depth": "2c"},
    "events": {"kind": "4a", "what": "4a"},
    "patients": {"prior_needling": "4b", "expectation": "4b"},
}  # fmt: skip

_KEPT: dict[str, tuple[Item, ...]] = {
    "sites": (
        Item(Field("point", "word", "trigger point", words=_words("active", "latent")), used=False),
        Item(Field("needles", "count", "number of needles"), "2a", used=False),
        Item(Field("passes", "count", "passes of the needle"), "2e", used=False),
        Item(Field("stimulation", "word", "stimulation of the needle",
                   words=_words("none", "manual", "electrical", "heat")), "2e", used=False),
        Item(Field("retention_seconds", "number", "how long the needle stayed, seconds"), "2f", used=False),
        Item(Field("count_method", "word", "how twitches were counted",
                   words=_words("visual", "palpated", "patient", "ultrasound", "emg")), used=False),
        Item(Field("count_stopped", "yes_no", "stopped before no more twitches came"), used=False),
        Item(Field("strength", "word", "strength of the twitches",
                   words=_words("weak", "moderate", "strong")), used=False),
        Item(Field("referred_pain", "yes_no", "the patient's known pain was reproduced"), used=False),
        Item(Field("needling_pain", "number", "pain during the needling, 0 to 10", high=10.0), used=False),
    ),
    "diary": (
        Item(Field("limits", "yes_no", "activities were limited"), used=False),
    ),
    "patients": (
        Item(Field("diagnosis", "label", "diagnosis, from the clinic's own short list"), used=False),
        Item(Field("repetitive_load", "yes_no", "repetitive load at work or sport"), used=False),
        Item(Field("catastrophising", "number", "score of a catastrophising scale"), used=False),
        Item(Field("analgesics", "yes_no", "takes pain medicine at the first visit"), used=False),
        Item(Field("told", "label", "what the patient was told to expect"), "4b", used=False),
        Item(Field("consent", "yes_no", "agreed to the use of the record for research"), used=False),
    ),
}  # fmt: skip


def _optional(schema: Schema) -> TemplateTable:
    """A table with the fields that are analysed, then those kept beside them."""
    stricta = _STRICTA.get(schema.name, {})
    items = tuple(Item(field, stricta.get(field.name, "")) for field in schema.fields)
    return TemplateTable(schema.name, schema.row, items + _KEPT.get(schema.name, ()))


TEMPLATE: tuple[TemplateTable, ...] = (
    TemplateTable("visits", "one patient at one visit", _VISITS),
    *(_optional(schema) for schema in SCHEMAS.values()),
)
"""The tables of the template: visits, and the optional ones."""

KEPT: dict[str, frozenset[str]] = {
    table.name: frozenset(item.field.name for item in table.items if not item.used) for table in TEMPLATE
}
"""Fields that the template offers and nothing analyses: a check says nothing of them."""

REDCAP_FORMS = {table.name: table.name.removesuffix("s") for table in TEMPLATE}
"""Form of each table in the REDCap dictionary."""


def redcap_name(table: str, field: str) -> str:
    """Name of a field in REDCap, where every name is used once: those of visits and patients as they are.

    Examples
    --------
    >>> redcap_name("visits", "pain"), redcap_name("diary", "pain")
    ('pain', 'diary_pain')
    """
    return field if table in ("visits", "patients") else f"{REDCAP_FORMS[table]}_{field}"


OFFERED: dict[str, str] = {
    redcap_name(table.name, item.field.name): table.name
    for table in TEMPLATE
    for item in table.items
    if table.name != "visits" or not item.used
} | {f"{form}_complete": "visits" for form in REDCAP_FORMS.values()}
"""Names that a file of visits may hold since a template offers them, and the table each belongs to."""

STRICTA_ELSEWHERE = {
    "1a": "style of needling: the same for the whole clinic; in the methods of a report",
    "1b": "reasoning for the treatment: in the methods of a report",
    "3a": "number of sessions: counted from the visits",
    "4a": "other treatments, medicines and advice: the table events",
    "6": "comparator: a clinic's record has none; say so in a report",
}
"""STRICTA items that no single column holds, and where they are answered."""
