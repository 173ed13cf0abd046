"""What can be wrong with a source as a whole: its columns, encoding and shape."""

from __future__ import annotations

from tpr_outcomes.cohort.cells import Record
from tpr_outcomes.cohort.fields import OFFERED
from tpr_outcomes.cohort.names import COUNTS, nearest_known, plain_name
from tpr_outcomes.cohort.problems import Problem, whole
from tpr_outcomes.cohort.typed_values import to_number


def empty_file(record: Record) -> list[Problem]:
    """Find a source with nothing in it."""
    if record.raw.header:
        return []
    return [
        whole(
            record,
            "empty_file",
            "There is nothing in the source; one row of column names and one row per visit are wanted.",
            "Check that this is the right file and sheet.",
        )
    ]


def header_only(record: Record) -> list[Problem]:
    """Find a source with column names and no visits."""
    if not record.raw.header or record.raw.n_rows:
        return []
    return [
        whole(
            record,
            "header_only",
            "There are column names but no visits below them.",
            "Add one row per patient and visit.",
        )
    ]


def no_header(record: Record) -> list[Problem]:
    """Find a first row that holds data where column names are wanted."""
    if not _lacks_header(record):
        return []
    return [
        whole(
            record,
            "no_header",
            "The first row holds numbers and none of the known column names.",
            "Put a row of column names on top: patient, visit, pain, twitches.",
        )
    ]


def missing_column(record: Record) -> list[Problem]:
    """Find required columns that are not there."""
    if not record.raw.header or _lacks_header(record):
        return []
    wanted = [name for name in ("patient", "pain", "twitches") if name not in record.where]
    if not {"visit", "date", "weeks"} & set(record.where):
        wanted.append("visit")
    found = []
    for name in wanted:
        near = next((text for text in _unused_names(record) if nearest_known(text) == name), "")
        remedy = f"Add a column {name}, or name yours in the column map."
        if near:
            remedy = f'If column "{near}" is meant, rename it to {name} or map it: {name} = "{near}".'
        also = " (or date, or weeks)" if name == "visit" else ""
        found.append(
            whole(record, "missing_column", f"There is no column {name}{also}; it is required.", remedy)
        )
    return found


def duplicate_column(record: Record) -> list[Problem]:
    """Find columns that bear the same name."""
    return [
        whole(
            record,
            "duplicate_column",
            f"{len(hits)} columns are called {record.raw.said_name(hits[0]) or 'the same'}; one was wanted.",
            "Rename or delete the others, so that it is clear which one to read.",
            column=hits[1],
        )
        for hits in record.doubled.values()
    ]


def unknown_column(record: Record) -> list[Problem]:
    """Find columns nobody asks for; they are not read."""
    if _lacks_header(record):
        return []
    found = []
    for index in record.unknown:
        name = record.raw.header[index]
        if plain_name(name) in OFFERED:
            continue
        said = record.raw.said_name(index)
        near = nearest_known(said) if said else None
        hint = (
            f'If it is {near}, map it: {near} = "{said}".' if near else "Nothing to do if it is not needed."
        )
        shown = not_known(name, said)
        message = f"{shown} is not one the toolkit knows; it was not read."
        found.append(whole(record, "unknown_column", message, hint, severity="warning", column=index))
    return found


def offered_column(record: Record) -> list[Problem]:
    """Tell of which optional tables a file of visits holds fields, as exports from our REDCap template do."""
    names = {plain_name(record.raw.header[i]) for i in record.unknown}
    tables = dict.fromkeys(OFFERED[name] for name in sorted(names & set(OFFERED)))
    return [
        whole(
            record,
            "offered_column",
            f"Fields of the table of {table} stand among the visits; they were not read from here.",
            f"Nothing to do; to have them used, give them as a table of their own (--{table} FILE).",
            severity="note",
        )
        for table in tables
        if table != "visits"
    ]


def encoding_guessed(record: Record) -> list[Problem]:
    """Find text that is not UTF-8."""
    if not record.raw.guessed:
        return []
    return [
        whole(
            record,
            "encoding_guessed",
            f"The file is not UTF-8; it was read as {record.raw.encoding}; accented letters may be garbled.",
            'Save it as "CSV UTF-8" to be sure.',
            severity="warning",
        )
    ]


def several_sheets(record: Record) -> list[Problem]:
    """Find a workbook of which some sheets were not read."""
    if not record.raw.other_sheets:
        return []
    return [
        whole(
            record,
            "several_sheets",
            f"The workbook has {record.raw.other_sheets} further sheets, which were not read.",
            "Name the sheet to read, or call it Visits; sheets with the same columns are read together.",
            severity="warning",
        )
    ]


def overlong_row(record: Record) -> list[Problem]:
    """Find rows with more cells than there are columns."""
    return [
        Problem(
            "overlong_row",
            "error",
            table.address(row),
            "",
            "",
            f"The row has more cells than the {len(table.header)} columns of the header.",
            "A separator inside a text may need quotation marks; mend the row or name the extra column.",
            row,
        )
        for table in record.raw.tables or (record.raw,)
        for row in table.overlong_rows
    ]


def repeated_entry(record: Record) -> list[Problem]:
    """Find visits with several entries of one kind where one was wanted."""
    found = []
    for clash in record.raw.clashes:
        remedy = "Keep one entry per patient and visit."
        if clash.role in ("twitches", *COUNTS):
            remedy += (
                f' If they are to be added up, write add = ["{clash.role}"] below [file] in the column map.'
            )
        message = f"This visit has another entry of {clash.role} in {clash.other}."
        found.append(
            Problem("repeated_entry", "error", clash.address, clash.column, "", message, remedy, clash.row)
        )
    return found


def layout_guessed(record: Record) -> list[Problem]:
    """Tell how the table was understood, where its user did not say."""
    return [
        whole(
            record,
            "layout_guessed",
            sentence,
            'If that is wrong, write format = "tidy", "wide" or "redcap" below [file], and your names below '
            "[columns], in the column map.",
            severity="note",
        )
        for sentence in record.raw.guess
    ]


def _lacks_header(record: Record) -> bool:
    """Tell whether the first row is data: numbers in it, and no name anyone knows."""
    header = record.raw.header
    numbers = any(to_number(text) == to_number(text) for text in header)
    return numbers and not record.where and not any(nearest_known(text) for text in header if text)


def _unused_names(record: Record) -> list[str]:
    """Return the names of columns nobody asked for, those that may be repeated."""
    return [said for index in record.unknown if (said := record.raw.said_name(index))]


def not_known(name: str, said: str) -> str:
    """Begin a sentence on a column nobody knows: by its name, unless that resembles data."""
    if not name:
        return "A column without a name"
    return f"Column {said}" if said else "A column whose name resembles data, and is not repeated here,"
