"""What the optional tables of a record may hold: one line per column, from which reading and rules follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tpr_outcomes.cohort.scales import SCALES

Kind = Literal["patient", "visit", "date", "number", "count", "yes_no", "word", "label"]


@dataclass(frozen=True)
class Field:
    """One column.

    Attributes
    ----------
    name : str
    kind : str
        ``"word"``: one of ``words``; ``"label"``: any short word; ``"count"``: a whole number from 0.
    about : str
        What it holds, for people; with its unit.
    low, high : float
        Range of a number; ``low`` itself is refused where ``above`` is set.
    words : mapping of str to tuple of str
        Words understood, each with other spellings.
    required : bool
        Whether the table cannot do without the column.
    filled : bool
        Whether no cell of it may be blank.
    above : bool
        Whether a number has to be larger than ``low``.
    """

    name: str
    kind: Kind
    about: str
    low: float = 0.0
    high: float = float("inf")
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required: bool = False
    filled: bool = False
    above: bool = False


@dataclass(frozen=True)
class Schema:
    """One table.

    Attributes
    ----------
    name : str
    row : str
        What one row is.
    fields : tuple of Field
    key : tuple of str
        Columns that no two rows share; empty where rows may be alike.
    when : tuple of str
        Columns of which one has to say when; empty where no row has a time.
    """

    name: str
    row: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    when: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Field:
        """Return a column by name."""
        return next(column for column in self.fields if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.fields)


_PATIENT = Field("patient", "patient", "who, as in the visits", required=True, filled=True)
_VISIT = Field("visit", "visit", "number of the visit, as in the visits", filled=True)
_DATE = Field("date", "date", "day of the visit, where there is no number")
_REPORTER = Field(
    "reported_by",
    "word",
    "who said so",
    words={
        "patient": ("self", "diary"),
        "clinician": ("therapist", "doctor", "nurse", "staff"),
        "device": ("ultrasound", "emg", "video", "film", "muscle signal"),
    },
)
AREA_WORDS: dict[str, tuple[str, ...]] = {
    "local": ("treated", "where treated", "site"),
    "referred": ("elsewhere", "remote", "distant"),
    "both": ("local and referred", "all"),
}

SITES = Schema(
    "sites",
    "one muscle at one visit",
    (
        _PATIENT,
        _VISIT,
        _DATE,
        Field("muscle", "label", "muscle needled", required=True, filled=True),
        Field(
            "side",
            "word",
            "side of the body",
            words={"left": ("l",), "right": ("r",), "both": ("bilateral", "b"), "middle": ("midline", "m")},
        ),
        Field("region", "label", "part of the body"),
        Field("insertions", "count", "needle insertions"),
        Field("insertions_felt", "count", "insertions that the patient felt"),
        Field("sought", "yes_no", "whether twitches were looked for"),
        Field("elicited", "yes_no", "whether any twitch came"),
        Field("twitches", "count", "local twitch responses; 0: sought, none came; blank: not recorded"),
        Field("twitch_pain_seconds", "number", "how long the pain of a twitch lasted, seconds"),
        Field(
            "twitch_feeling",
            "word",
            "what the twitch felt like",
            words={
                "electrical shock": ("electric shock", "shock", "electric", "electrical"),
                "cramping": ("cramp", "crampy"),
                "ache": ("aching", "dull", "deep ache"),
                "pressure": ("pressing",),
                "stabbing": ("sharp", "sting", "stinging"),
                "burning": ("burn",),
                "nothing": ("none", "not felt"),
                "other": (),
            },
        ),
        Field("needle", "label", "gauge and length, such as 0.30x40"),
        Field("depth", "number", "depth, mm", high=200.0),
        _REPORTER,
    ),
    key=("patient", "visit", "muscle", "side"),
    when=("visit", "date"),
)
DIARY = Schema(
    "diary",
    "one entry after a visit",
    (
        _PATIENT,
        _VISIT,
        _DATE,
        Field(
            "hours",
            "number",
            "hours since the needling",
            high=24.0 * 60,
            required=True,
            filled=True,
            above=True,
        ),
        Field(
            "soreness",
            "number",
            "soreness from the needling, 0 to 10; blank: not filled in",
            high=10.0,
            required=True,
        ),
        Field("pain", "number", "usual pain, 0 to 10, kept apart from soreness", high=10.0),
        Field("area", "word", "where it was sore", words=AREA_WORDS),
        _REPORTER,
    ),
    key=("patient", "visit", "hours"),
    when=("visit", "date"),
)
EVENT_KINDS: dict[str, tuple[str, ...]] = {
    "adverse_event": ("adverse event", "complication", "side effect", "ae"),
    "treatment": ("co-treatment", "cotreatment", "other treatment", "therapy"),
    "analgesic": ("pain medicine", "medication", "painkiller", "drug"),
    "advice": ("recommendation",),
    "relapse": ("flare", "recurrence"),
    "injury": (),
    "visit_reason": ("reason for visit", "visit type"),
}
EVENT_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "adverse_event": {
        "infection": ("abscess", "cellulitis"),
        "bleeding": ("haemorrhage", "hemorrhage"),
        "bruise": ("bruising", "haematoma", "hematoma"),
        "fainting": ("syncope", "faint", "vasovagal"),
        "pneumothorax": (),
        "nerve injury": ("nerve",),
        "pain": ("pain after", "pain during"),
        "soreness": (),
        "other": (),
    },
    "treatment": {
        "exercise": ("exercises", "training"),
        "manual therapy": ("massage", "mobilisation", "mobilization", "physiotherapy", "physical therapy"),
        "acupuncture": (),
        "injection": ("injections", "botox"),
        "electrotherapy": ("tens", "e-stim", "electrical stimulation"),
        "other": (),
    },
    "analgesic": {
        "paracetamol": ("acetaminophen",),
        "nsaid": ("ibuprofen", "diclofenac", "naproxen", "aspirin"),
        "opioid": ("tramadol", "codeine", "oxycodone"),
        "other": ("some", "yes"),
    },
    "advice": {
        "heat": ("warmth",),
        "ice": ("cold",),
        "rest": (),
        "stretching": ("stretch",),
        "exercise": ("exercises",),
        "other": (),
    },
    "relapse": {"yes": ("some",), "other": ()},
    "injury": {"yes": ("some",), "other": ()},
    "visit_reason": {
        "tune-up": ("tune up", "tuneup", "maintenance", "booster", "planned"),
        "symptoms": ("pain", "flare", "relapse"),
        "course": ("initial", "first", "course of treatment", "taper"),
        "other": (),
    },
}
"""What an event may be, by kind; "none" goes with each: it was asked for, and there was none."""
NONE_WORDS = ("none", "no", "0", "nothing")
EVENTS = Schema(
    "events",
    "one event, or one asking that found none",
    (
        _PATIENT,
        Field("kind", "word", "kind of event", words=EVENT_KINDS, required=True, filled=True),
        Field("what", "label", "which one; none: it was asked for, and there was none", required=True),
        Field("visit", "visit", "number of the visit at which it was noted"),
        Field("date", "date", "day of the event"),
        Field("weeks", "number", "weeks since the patient's first visit", low=-520.0, high=2600.0),
        Field("serious", "yes_no", "whether it was serious"),
        _REPORTER,
    ),
    when=("visit", "date", "weeks"),
)
PATIENTS = Schema(
    "patients",
    "one patient",
    (
        _PATIENT,
        Field("age", "number", "at the first visit, years", high=120.0),
        Field("sex", "label", "as recorded"),
        Field("region", "label", "part of the body with the main problem"),
        Field("symptom_weeks", "number", "weeks since the problem began"),
        Field("sleep", "number", "sleep at the first visit, 0 good to 10 bad", high=10.0),
        Field("expectation", "number", "expected relief, 0 to 10", high=10.0),
        Field("prior_needling", "yes_no", "needled before"),
        Field("exercise", "number", "regular exercise, hours per week", high=168.0),
        Field("posture", "yes_no", "works on posture"),
    ),
    key=("patient",),
)
SCORES = Schema(
    "scores",
    "one questionnaire at one visit",
    (
        _PATIENT,
        _VISIT,
        _DATE,
        Field(
            "instrument",
            "word",
            "which one, by its name in docs/methods/scales.md",
            words={name: (scale.label,) for name, scale in SCALES.items()},
            required=True,
            filled=True,
        ),
        Field("score", "number", "score in points of the instrument", low=-float("inf"), required=True),
        Field(
            "moment",
            "word",
            "before or right after that visit's needling; blank: before",
            words={"before": ("pre",), "after": ("post", "right after")},
        ),
        Field("recall_days", "number", "days the question looks back on", high=366.0),
        _REPORTER,
    ),
    key=("patient", "visit", "instrument", "moment"),
    when=("visit", "date"),
)
SCHEMAS: dict[str, Schema] = {schema.name: schema for schema in (SITES, DIARY, EVENTS, PATIENTS, SCORES)}
"""The optional tables by name."""
