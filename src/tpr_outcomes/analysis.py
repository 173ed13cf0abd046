"""The whole flow, prespecified: a plan, a record, and what the record says."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tpr_outcomes.cohort.checking import CheckReport, check_source
from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.privacy import MINIMUM
from tpr_outcomes.cohort.reading import Reading
from tpr_outcomes.cohort.record import Record, as_record
from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.cohort.tables import check_record as check_tables
from tpr_outcomes.cohort.tables import read_record, visits_place
from tpr_outcomes.cohort.visits import Visits
from tpr_outcomes.datasets import EXAMPLES, example_file, load_vickers_visits
from tpr_outcomes.errors import DatasetError, PlanError, SourceError
from tpr_outcomes.reporting.words_standards import ABOUT

if TYPE_CHECKING:
    from tpr_outcomes.cohort.deidentify import Shared
    from tpr_outcomes.inference.evidence import Evidence
    from tpr_outcomes.planning.self_check import SelfCheck
    from tpr_outcomes.planning.workers import Workers
    from tpr_outcomes.reporting.catalogue import Translation
    from tpr_outcomes.reporting.results import Evaluation

Dose = Literal["twitches", "insertions", "sites", "sessions"]
Progress = Callable[[str, float], None]
"""Called with what is being done, and the share done (0 to 1)."""

FEWEST_REPLICATES = 99
MOST_REPLICATES = 1_000_000
MOST_CLINICS = 100_000
MOST_MINIMUM = 100
LARGEST_SEED = 2**63 - 1
_WANTED = {
    "title": "text",
    "dose": f"one of {', '.join(get_args(Dose))}",
    "scale": f"one of {', '.join(SCALES)}",
    "rated": "before or after (the needling of the same visit)",
    "replicates": f"a whole number from {FEWEST_REPLICATES} to {MOST_REPLICATES:,}",
    "seed": "a whole number from 0",
    "smallest_count": f"a whole number from 1 (all counts are shown) to {MOST_MINIMUM}",
    "self_check": f"a whole number of simulated clinics from 0 (none) to {MOST_CLINICS:,}",
    "sensitivity": "true or false",
    "sheet": "the name of a sheet",
    "columns": 'a table [columns] with lines such as pain = "your column"',
    "about": f'a table [about] with lines such as needle = "…"; known: {", ".join(ABOUT)}',
    "file": 'a table [file] with lines such as dates = "day first"',
    "tables": 'tables such as [tables.diary] with lines such as hours = "your column"',
}


class AnalysisPlan(BaseModel):
    """Everything that has to be settled before looking at the answer.

    Attributes
    ----------
    title : str
        What the report is called.
    dose : str
        Column whose sum is the dose: twitches, insertions, sites or sessions.
    scale : str
        Instrument of the ratings, a key of :data:`~tpr_outcomes.cohort.scales.SCALES`.
    rated : {"before", "after"}
        When pain was rated relative to the needling of the same visit.
    replicates : int
        Multiplier bootstrap replicates, 99 to a million.
    seed : int
        0 or larger.
    self_check : int
        Simulated clinics like this one, without an effect, to try the procedure on; 0 for none.
    sensitivity : bool
        Whether to ask the question under other assumptions too (history-adjusted effects, tipping points).
    smallest_count : int
        Counts of people below this are not shown, nor what they would follow from; 1 shows all.
    sheet : str
        Sheet of a workbook; the first one with visits if empty.
    columns : dict of str to str
        The user's names for our columns; used when the record is read.
    tables : dict of str to dict
        The same for the optional tables, by name.
    file : dict of str to object
        What else was settled about the file (:class:`~tpr_outcomes.cohort.reading.Reading`).
    about : dict of str to str
        What reporting standards ask and no record holds, in the clinic's own words: keys of
        :data:`~tpr_outcomes.reporting.words_standards.ABOUT`. Printed as they are.

    Examples
    --------
    >>> AnalysisPlan(dose="sessions").replicates
    1999
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    title: str = ""
    dose: Dose = "twitches"
    scale: str = "nrs"
    rated: Literal["before", "after"] = "before"
    replicates: int = Field(default=1999, ge=FEWEST_REPLICATES, le=MOST_REPLICATES)
    seed: int = Field(default=1, ge=0, le=LARGEST_SEED)
    self_check: int = Field(default=0, ge=0, le=MOST_CLINICS)
    sensitivity: bool = True
    smallest_count: int = Field(default=MINIMUM, ge=1, le=MOST_MINIMUM)
    sheet: str = ""
    columns: dict[str, str] = Field(default_factory=dict)
    tables: dict[str, dict[str, str]] = Field(default_factory=dict)
    file: dict[str, Any] = Field(default_factory=dict)
    about: dict[str, str] = Field(default_factory=dict)

    @field_validator("scale")
    @classmethod
    def _known_scale(cls, value: str) -> str:
        if value not in SCALES:
            raise ValueError("unknown scale")
        return value

    @field_validator("about")
    @classmethod
    def _known_about(cls, value: dict[str, str]) -> dict[str, str]:
        if set(value) - set(ABOUT):
            raise ValueError("unknown key")
        return value

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a plan from a TOML file.

        Raises
        ------
        SourceError
            When the file cannot be opened.
        PlanError
            When it is not TOML or not a plan; every fault is named at once.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SourceError(f"The plan cannot be opened ({error.strerror}); check its path.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PlanError(
                f"The plan is not valid TOML: {error}. Write lines such as seed = 1 or dose = 'twitches'."
            ) from error
        return cls.checked(content)

    @classmethod
    def checked(cls, content: Mapping[str, Any]) -> Self:
        """Make a plan of settings, naming every fault at once.

        Raises
        ------
        PlanError
            With one line per fault: the key, what was seen, what is wanted.
        """
        try:
            return cls.model_validate(dict(content))
        except ValidationError as error:
            faults = dict.fromkeys(_fault(fault) for fault in error.errors(include_url=False))
        raise PlanError(
            "\n".join(["The plan cannot be used as it stands.", *(f"- {line}" for line in faults)])
        )

    @classmethod
    def load(cls, plan: Self | Mapping[str, Any] | str | Path | None = None, **instead: object) -> Self:
        """Make a plan of a plan, its settings or its file, with other settings in place of some.

        Parameters
        ----------
        plan : AnalysisPlan, mapping, str or Path, optional
            The plan, its settings, or a TOML file with them.
        **instead : object
            Settings that come before the plan's; those that are None are not given.

        Raises
        ------
        SourceError, PlanError
            As :meth:`from_toml`.
        """
        if isinstance(plan, str | Path):
            plan = cls.from_toml(plan)
        given = plan.model_dump(exclude_unset=True) if isinstance(plan, cls) else dict(plan or {})
        return cls.checked(given | {key: value for key, value in instead.items() if value is not None})


def _fault(fault: Mapping[str, Any]) -> str:
    """One line on one fault of a plan."""
    key = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, _WANTED, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else f" Known settings: {', '.join(_WANTED)}."
        return f"{key!r} is not a setting.{hint}"
    seen = repr(fault["input"])
    seen = seen if len(seen) <= 40 else f"{seen[:37]}…"
    near = difflib.get_close_matches(str(fault["input"]), SCALES if key == "scale" else get_args(Dose), n=1)
    hint = f" Did you mean {near[0]!r}?" if near and key in ("scale", "dose") else ""
    return f"{key} is {seen}; wanted is {_WANTED[key]}.{hint}"


def open_record(
    source: str, plan: AnalysisPlan, *, columns: Columns | None = None, sheet: str | None = None
) -> tuple[Visits, AnalysisPlan]:
    """Read the visits of a record; as :func:`open_tables`, without the other tables."""
    record, plan = open_tables(source, plan, columns=columns, sheet=sheet)
    return record.visits, plan


def open_tables(
    source: str,
    plan: AnalysisPlan,
    *,
    columns: Columns | None = None,
    sheet: str | None = None,
    tables: Mapping[str, str] | None = None,
) -> tuple[Record, AnalysisPlan]:
    """Read a record with all its tables, one of the examples or the headache trial.

    Parameters
    ----------
    source : str
        A path (of a file, or of a folder with a file called visits), ``"example:threshold"``,
        ``"example:nothing"`` or ``"vickers"``.
    plan : AnalysisPlan
        Says how the file is to be read. Unless it names a dose, that of the headache trial is sessions.
    columns : Columns, optional
        The user's names for our columns; in place of the plan's.
    sheet : str, optional
        Sheet of a workbook.
    tables : mapping of str to str, optional
        Files of the optional tables, where they are not in the workbook or folder itself.

    Returns
    -------
    record : Record
    plan : AnalysisPlan
        With the dose the record has, and with the columns and the sheet it was read with.

    Raises
    ------
    SourceError, DataError, PlanError, DatasetError
        As :func:`~tpr_outcomes.cohort.tables.read_record` and :mod:`tpr_outcomes.datasets`.
    """
    named = _named(source, columns=columns, sheet=sheet)
    if named == "vickers":
        dose = None if "dose" in plan.model_fields_set else "sessions"
        return Record(load_vickers_visits()), AnalysisPlan.load(plan, dose=dose)
    path = example_file(named) if named else source
    plan = AnalysisPlan.load(_with_columns(plan, columns), sheet=sheet)
    mapping, sheet = columns if columns is not None else _columns(plan), plan.sheet or None
    record = read_record(
        path, columns=mapping, scale=plan.scale, rated=plan.rated, sheet=sheet, tables=tables
    )
    return record, plan


def check_record(
    source: str,
    plan: AnalysisPlan,
    *,
    columns: Columns | None = None,
    sheet: str | None = None,
    tables: Mapping[str, str] | None = None,
) -> CheckReport:
    """Look for everything that is wrong with a record (or an example); see :func:`open_tables`."""
    named = _named(source, columns=columns, sheet=sheet)
    if named == "vickers":
        raise PlanError("The headache trial is not a file of visits; there is nothing to check. Name a file.")
    path = example_file(named) if named else source
    mapping = columns if columns is not None else _columns(plan)
    return check_tables(path, columns=mapping, scale=plan.scale, rated=plan.rated, sheet=sheet, tables=tables)


def _columns(plan: AnalysisPlan) -> Columns:
    """Return the user's names and settings that a plan holds."""
    return Columns(plan.columns, plan.tables, Reading.checked(plan.file))


def annotate(
    source: str,
    report: CheckReport,
    *,
    most: int,
    tables: Mapping[str, str] | None = None,
    columns: Columns | None = None,
) -> bytes:
    """Write a copy of a record as a workbook, with the problems of a check marked in it.

    Parameters
    ----------
    source : str
        As in :func:`open_record`.
    report : CheckReport
        What was found in it.
    most : int
        Problems marked at most; the copy says how many there are.
    tables : mapping of str to str, optional
        Optional tables that stand elsewhere.
    columns : Columns, optional
        The user's names and settings.

    Raises
    ------
    SourceError
        When the source cannot be opened.
    """
    from tpr_outcomes.cohort.grids import read_grids
    from tpr_outcomes.cohort.marking import annotated_copy, rows_of

    named = _named(source, columns=None, sheet=None)
    listed = report.sample(most)
    path = example_file(named) if named else source
    grids = read_grids(path, wanted=rows_of(listed), tables=tables, columns=columns)
    return annotated_copy(grids, report, listed)


def share(
    source: str,
    plan: AnalysisPlan,
    *,
    secret: bytes,
    quasi: tuple[str, ...] = (),
    minimum: int = MINIMUM,
    age_band: int = 0,
    columns: Columns | None = None,
    sheet: str | None = None,
    tables: Mapping[str, str] | None = None,
) -> Shared:
    """Make a record that can be shared; see :func:`tpr_outcomes.cohort.deidentify.deidentify`.

    Raises
    ------
    SourceError, DataError, PlanError, DatasetError
        As :func:`open_tables`.
    """
    from tpr_outcomes.cohort.deidentify import deidentify

    named = _named(source, columns=columns, sheet=sheet)
    path = example_file(named) if named and named != "vickers" else source
    if named == "vickers":
        raise PlanError("The headache trial is not ours to share; its owners publish it. Name a file.")
    mapping = columns if columns is not None else _columns(plan)
    how: dict[str, Any] = {"columns": mapping, "scale": plan.scale, "rated": plan.rated, "sheet": sheet}
    record = read_record(path, tables=tables, **how)
    _, cells = check_source(visits_place(path), **how)
    return deidentify(record, cells, secret=secret, quasi=quasi, minimum=minimum, age_band=age_band)


def propose_columns(
    source: str, plan: AnalysisPlan, *, columns: Columns | None = None, sheet: str | None = None
) -> str:
    """Propose a columns.toml for a file; see :mod:`tpr_outcomes.cohort.fix_map`.

    Raises
    ------
    SourceError, PlanError
        As :func:`check_record`.
    """
    from tpr_outcomes.cohort.fix_map import propose_map

    _, record = check_source(
        visits_place(source),
        columns=columns if columns is not None else _columns(plan),
        scale=plan.scale,
        rated=plan.rated,
        sheet=sheet,
    )
    return propose_map(record).to_toml()


def _with_columns(plan: AnalysisPlan, columns: Columns | None) -> AnalysisPlan:
    """Put into a plan how the record was read, so that the report can be made again; paths stay out of it."""
    if columns is None:
        return plan
    default, tables = Reading(), {name: dict(names) for name, names in columns.tables.items()}
    settled = {f.name: getattr(columns.reading, f.name) for f in dataclasses.fields(Reading)}
    file = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in settled.items()
        if value != getattr(default, key) and key != "dictionary"
    }
    return AnalysisPlan.load(plan, columns=dict(columns.mapping), tables=tables, file=file)


def _named(source: str, *, columns: Columns | None, sheet: str | None) -> str:
    """Name of an example or "vickers"; empty for a path."""
    known = source == "vickers" or source.startswith("example:")
    named = source.removeprefix("example:") if known else ""
    if known and named not in (*EXAMPLES, "vickers"):
        raise DatasetError(
            f"There is no example called {named!r}; the examples are {' and '.join(EXAMPLES)}."
        )
    if named and (columns is not None or sheet is not None):
        raise PlanError(f"{source} has columns of its own; leave the column map and the sheet out.")
    return named


def evaluate(
    visits: Visits | Record,
    plan: AnalysisPlan | Mapping[str, Any] | str | Path | None = None,
    *,
    seed: int | None = None,
    replicates: int | None = None,
    self_check: int | None = None,
    workers: Workers = 1,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    words: Translation | str | Path | None = None,
) -> Evaluation:
    """Ask a record whether it supports a cumulative threshold, and answer all thirty claims.

    Parameters
    ----------
    visits : Visits or Record
        The visits (:func:`~tpr_outcomes.cohort.visits.read_visits`), or the record they are part of.
    plan : AnalysisPlan, mapping, str or Path, optional
        The plan, its settings, or a TOML file with them.
    seed, replicates, self_check : int, optional
        In place of the plan's.
    workers : int or str
        Processes for the self-check, or the address of a Dask scheduler; the numbers do not depend on it.
    checkpoint : Path, optional
        File that keeps what the self-check has finished; a run that finds one carries on from it.
    progress : callable, optional
        Called with what is being done and the share done.
    words : Translation, str or Path, optional
        A translation of the catalogue (``tpr words``), or the file of one; English unless given.

    Returns
    -------
    Evaluation
        The same for the same record, plan and version, on any number of processors.

    Raises
    ------
    PlanError
        When the plan is not valid, contradicts how the record was read, or names a dose it does not hold;
        when the checkpoint is of another record.
    WorkersError
        When workers for the self-check cannot be had or are lost.
    """
    # Imported here so that reading and checking a file need not wait for the engine.
    from threadpoolctl import threadpool_limits

    from tpr_outcomes.cohort.shown import with_common_words
    from tpr_outcomes.inference.evidence import decide, gather_evidence
    from tpr_outcomes.inference.sensitivity import gather_sensitivity
    from tpr_outcomes.reporting.catalogue import Translation, speaking
    from tpr_outcomes.reporting.claims import answer_claims
    from tpr_outcomes.reporting.disclosure import shown_counts
    from tpr_outcomes.reporting.results import Evaluation
    from tpr_outcomes.reporting.veiled import unless_small
    from tpr_outcomes.reporting.verdict import judge

    translation = Translation.read(words) if isinstance(words, str | Path) else words
    tell = progress or _quiet
    record = as_record(visits)
    visits = record.visits
    chosen = settle(visits, plan, seed=seed, replicates=replicates, self_check=self_check)
    share = 0.1 if chosen.self_check else 0.8  # of the time, that the test takes
    with threadpool_limits(limits=1):  # numbers must not depend on how many threads add them up
        tell("testing the threshold against its rivals", 0.0)
        evidence = gather_evidence(
            close_scale(visits), dose=chosen.dose, replicates=chosen.replicates, seed=chosen.seed
        )
        tell("answering the thirty claims", share)
        decision = decide(evidence)
        shown = shown_counts(visits, evidence, chosen.smallest_count)
        told = with_common_words(record, chosen.smallest_count)
        said = [judge(evidence, decision, visits=visits, shown=shown)]
        said += answer_claims(evidence, decision, told, shown=shown)
        spoken = said
        if translation is not None:
            with speaking(translation):
                shown = shown_counts(visits, evidence, chosen.smallest_count)
                spoken = [judge(evidence, decision, visits=visits, shown=shown)]
                spoken += answer_claims(evidence, decision, told, shown=shown)
        finding, *claims = (
            unless_small(other, ours, chosen.smallest_count) for other, ours in zip(spoken, said, strict=True)
        )
        beside = gather_sensitivity(close_scale(visits), evidence, decision) if chosen.sensitivity else None
        checked = (
            _on_its_like(visits, evidence, chosen, workers, checkpoint, tell) if chosen.self_check else None
        )
    tell("evaluated", 1.0)
    optional = ("self_check", "tables", "file", "about", "sheet")
    unused = {name for name in optional if not getattr(chosen, name)}
    settings = {
        **chosen.model_dump(exclude=unused),
        "scale": visits.scale.name,
        "rated": visits.rated,
    }
    return Evaluation(
        settings,
        visits,
        evidence,
        decision,
        finding,
        tuple(claims),
        checked,
        record=record,
        sensitivity=beside,
        translation=translation,
    )


def _on_its_like(
    visits: Visits,
    evidence: Evidence,
    plan: AnalysisPlan,
    workers: Workers,
    checkpoint: Path | None,
    tell: Progress,
) -> SelfCheck:
    """Try the procedure on simulated clinics shaped like this one."""
    from tpr_outcomes.planning.self_check import self_check

    return self_check(
        visits,
        evidence,
        clinics=plan.self_check,
        seed=plan.seed,
        workers=workers,
        checkpoint=checkpoint,
        progress=lambda done, of: tell("trying it on clinics like this one", 0.1 + 0.9 * done / of),
    )


def _quiet(what: str, share: float) -> None:
    """Tell nobody."""


def settle(
    visits: Visits,
    plan: AnalysisPlan | Mapping[str, Any] | str | Path | None,
    *,
    seed: int | None = None,
    replicates: int | None = None,
    self_check: int | None = None,
) -> AnalysisPlan:
    """Return the plan as it will be run: settings given here come before the plan's.

    Raises
    ------
    PlanError
        As in :func:`evaluate`.
    """
    chosen = AnalysisPlan.load(plan, seed=seed, replicates=replicates, self_check=self_check)
    for key, read in (("scale", visits.scale.name), ("rated", visits.rated)):
        if key in chosen.model_fields_set and getattr(chosen, key) != read:
            raise PlanError(
                f"The plan has {key} = {getattr(chosen, key)!r}, but the record was read with {read!r}. "
                f"Read it with {key}={getattr(chosen, key)!r}, or leave {key} out of the plan."
            )
    return chosen


def close_scale(visits: Visits) -> Visits:
    """Give a scale without an upper end a width: the mean first rating.

    Without one nothing could be called large or small. A tenth of the first rating, the smallest change
    called important in the IMMPACT recommendations (doi:10.1016/j.jpain.2007.09.005), is then the least
    worth noticing. Other records come back as they are.
    """
    if math.isfinite(visits.scale.span):
        return visits
    first = visits.table.loc[
        visits.table["visit"] == visits.table.groupby("patient")["visit"].transform("min")
    ]
    mean = float(np.nanmean(first["pain"])) if first["pain"].notna().any() else 1.0
    top = visits.scale.minimum + max(mean - visits.scale.minimum, 1.0)
    return dataclasses.replace(visits, scale=dataclasses.replace(visits.scale, maximum=top))
