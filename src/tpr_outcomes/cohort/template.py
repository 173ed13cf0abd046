"""The record to start with: a workbook with drop-downs, a REDCap data dictionary, or plain text files.

All three are made of one catalogue (:mod:`tpr_outcomes.cohort.fields`), under the names that
:mod:`tpr_outcomes.cohort.tables` reads; a template that is filled in passes ``tpr check`` as it is.
"""

from __future__ import annotations

import csv
import io

from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from tpr_outcomes.cohort.fields import (
    REDCAP_FORMS,
    STRICTA_ELSEWHERE,
    TEMPLATE,
    Item,
    TemplateTable,
    redcap_name,
)
from tpr_outcomes.cohort.marking import to_bytes
from tpr_outcomes.cohort.schemas import EVENT_WORDS, NONE_WORDS, Field

LAST_ROW = 5000
"""Rows of the workbook that have drop-downs and ranges."""
CREATOR = "tpr-outcomes template"
LISTS = "Lists"
"""Sheet with the words of drop-downs that are too long for the rule itself."""
LONGEST_LIST = 255
FARTHEST = 1_000_000
FIRST_DATE = "DATE(1990,1,1)"
DICTIONARY_HEADS = (
    "table",
    "column",
    "what it holds",
    "what may be written",
    "needed",
    "STRICTA 2010",
    "used",
)
_HEAD, _NEEDED = PatternFill("solid", fgColor="FFE7EDF3"), PatternFill("solid", fgColor="FFCBDDEE")

REDCAP_HEADS = (
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?",
    "Branching Logic (Show field only if...)", "Required Field?", "Custom Alignment",
    "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?", "Field Annotation",
)  # fmt: skip
"""The 18 columns of a REDCap data dictionary, as REDCap writes them."""
_REDCAP_TYPES = {
    "date": ("text", "date_ymd"),
    "count": ("text", "integer"),
    "visit": ("text", "integer"),
    "number": ("text", "number"),
    "yes_no": ("yesno", ""),
    "word": ("dropdown", ""),
    "label": ("text", ""),
    "patient": ("text", ""),
}

ABOUT = (
    ("What this is", "A record of visits for trigger point release, to be filled in as you go."),
    ("Sheet visits", "One row per patient and visit. This sheet is needed; all others may stay empty."),
    ("Sheet sites", "If you like: one row per muscle and visit, with the twitches of that muscle."),
    ("Sheet diary", "If you like: soreness and pain at 1, 6, 12, 24, 48 and 72 hours after a visit."),
    ("Sheet events", "If you like: adverse events, other treatments, medicine, advice, relapses."),
    ("None and blank", "On events, write none where you asked and there was none; a blank says nothing."),
    ("Sheet patients", "If you like: one row per patient. Any further sheet is explained on Dictionary."),
    ("Codes, not names", "Give every patient a code and keep the list of names elsewhere."),
    ("Pain", "Ask before the needling, at every visit, on the same scale."),
    ("Twitches", "0: sought, and none came. Blank: not recorded. Not looked for: sought is no."),
    ("Blue heads", "Dark blue columns are needed. Every column is explained on the sheet Dictionary."),
    ("Check it", "tpr check FILE says what is wrong, cell by cell. Columns you do not need may be deleted."),
)  # fmt: skip


def excel_template() -> bytes:
    """Write the workbook: instructions, a sheet per table with drop-downs and ranges, a dictionary.

    Returns
    -------
    bytes
        An .xlsx workbook without macros; always the same.
    """
    book = Workbook()
    about = book.active
    assert isinstance(about, Worksheet)
    about.title = "Read me"
    for i, (head, text) in enumerate(ABOUT, start=1):
        about.cell(i, 1, head).font = Font(bold=True)
        about.cell(i, 2, text).alignment = Alignment(wrap_text=True, vertical="top")
    about.column_dimensions["A"].width, about.column_dimensions["B"].width = 20, 90
    for table in TEMPLATE:
        _table_sheet(book.create_sheet(table.name.capitalize()), table)
    _dictionary_sheet(book.create_sheet("Dictionary"))
    book.active = book.sheetnames.index("Visits")
    return to_bytes(book, creator=CREATOR)


def _table_sheet(sheet: Worksheet, table: TemplateTable) -> None:
    """Heads with their explanation, and what each column takes."""
    for i, item in enumerate(table.items, start=1):
        field, letter = item.field, get_column_letter(i)
        head = sheet.cell(1, i, field.name)
        head.font = Font(bold=True)
        head.fill = _NEEDED if field.required else _HEAD
        head.comment = Comment(f"{field.about}. {allowed(field)}", CREATOR, height=90, width=260)
        sheet.column_dimensions[letter].width = max(11, len(field.name) + 3)
        rule = _validation(field, _listed(sheet, field))
        if rule is not None:
            sheet.add_data_validation(rule)
            rule.add(f"{letter}2:{letter}{LAST_ROW}")
        if field.kind == "date":
            for row in range(2, 202):
                sheet.cell(row, i).number_format = "yyyy-mm-dd"
            sheet.column_dimensions[letter].number_format = "yyyy-mm-dd"
    sheet.freeze_panes = "B2"


def _listed(sheet: Worksheet, field: Field) -> str:
    """Where a spreadsheet finds the words of a drop-down: in the rule, or on a sheet if they are many."""
    words = ("yes", "no") if field.kind == "yes_no" else tuple(field.words)
    inline = f'"{",".join(words)}"'
    if len(inline) <= LONGEST_LIST:
        return inline
    book = sheet.parent
    assert isinstance(book, Workbook)
    lists = book[LISTS] if LISTS in book.sheetnames else book.create_sheet(LISTS)
    column = lists.max_column + 1 if lists["A1"].value else 1
    for row, word in enumerate((field.name, *words), start=1):
        lists.cell(row, column, word)
    letter = get_column_letter(column)
    return f"'{LISTS}'!${letter}$2:${letter}${len(words) + 1}"


def _validation(field: Field, words: str) -> DataValidation | None:
    """What a spreadsheet lets be typed into a column."""
    if field.kind in ("yes_no", "word"):
        rule = DataValidation(type="list", formula1=words)
    elif field.kind == "date":
        rule = DataValidation(type="date", operator="greaterThanOrEqual", formula1=FIRST_DATE)
    elif field.kind in ("count", "visit", "number"):
        low = f"{max(field.low, 1.0) if field.kind == 'visit' else max(field.low, -FARTHEST):g}"
        bounded = field.high != float("inf")
        operator = "between" if bounded else "greaterThan" if field.above else "greaterThanOrEqual"
        kind = "decimal" if field.kind == "number" else "whole"
        rule = DataValidation(type=kind, operator=operator, formula1=low)
        if bounded:
            rule.formula2 = f"{field.high:g}"
    else:
        return None
    rule.allow_blank = True
    rule.showErrorMessage = rule.showInputMessage = True
    rule.errorTitle, rule.error = field.name, allowed(field)[:250]
    rule.promptTitle, rule.prompt = field.name, f"{field.about}. {allowed(field)}"[:250]
    return rule


def allowed(field: Field) -> str:
    """Say what may be written into a field."""
    if field.kind == "yes_no":
        return "yes or no."
    if field.kind == "word":
        return f"One of: {', '.join(field.words)}."
    if field.kind == "date":
        return "A date, written 2024-03-05."
    if field.kind == "visit":
        return "A whole number from 1."
    if field.kind == "count":
        return "A whole number from 0."
    if field.kind == "number":
        if field.low == -float("inf"):
            return "A number."
        low = f"More than {field.low:g}" if field.above else f"A number from {field.low:g}"
        return f"{low}." if field.high == float("inf") else f"{low} to {field.high:g}."
    return "A code." if field.kind == "patient" else "A short word, always the same for the same thing."


def dictionary_rows() -> list[tuple[str, ...]]:
    """Every field with what it holds: the rows of the dictionary, heads :data:`DICTIONARY_HEADS`."""
    rows: list[tuple[str, ...]] = []
    for table in TEMPLATE:
        for item in table.items:
            field = item.field
            used = "yes" if item.used else "kept for the clinic"
            needed = "yes" if field.required else ""
            rows.append((table.name, field.name, field.about, allowed(field), needed, item.stricta, used))
    for kind, words in EVENT_WORDS.items():
        written = f"One of: {', '.join((*words, NONE_WORDS[0]))}."
        rows.append(("events", "what", f"where kind is {kind}", written, "", "4a", "yes"))
    rows += [("", "", where, "", "", number, "") for number, where in STRICTA_ELSEWHERE.items()]
    return rows


def _dictionary_sheet(sheet: Worksheet) -> None:
    widths = (12, 20, 60, 60, 10, 14, 20)
    for i, (head, width) in enumerate(zip(DICTIONARY_HEADS, widths, strict=True), start=1):
        sheet.cell(1, i, head).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(i)].width = width
    for row, values in enumerate(dictionary_rows(), start=2):
        for i, value in enumerate(values, start=1):
            sheet.cell(row, i, value).alignment = Alignment(wrap_text=True, vertical="top")
    sheet.freeze_panes = "A2"


# --- text files -----------------------------------------------------------------------------------


def csv_template() -> str:
    """Write the heads of the visits as one line of CSV."""
    return _csv([[item.field.name for item in TEMPLATE[0].items]])


def csv_folder() -> dict[str, str]:
    """Write every table as a file of heads, and the dictionary, by file name."""
    files = {f"{table.name}.csv": _csv([[item.field.name for item in table.items]]) for table in TEMPLATE}
    return files | {"dictionary.csv": _csv([DICTIONARY_HEADS, *dictionary_rows()])}


def _csv(rows: object) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return stream.getvalue()


# --- REDCap ---------------------------------------------------------------------------------------


def redcap_template() -> str:
    """Write a REDCap data dictionary (Project Setup, Data Dictionary, Upload File).

    Returns
    -------
    str
        CSV with the columns :data:`REDCAP_HEADS`. The forms visit, site, diary, event and score are to be set
        as repeating instruments (Project Setup, Repeating instruments); patient is filled in once.
    """
    rows: list[tuple[str, ...]] = [
        _redcap_row("record_id", "patient", "text", "Code of the patient", note="No name, no hospital number")
    ]
    tables = {table.name: table for table in TEMPLATE}
    for name in ("patients", *(name for name in tables if name != "patients")):
        rows += [_redcap_item(name, item, first) for item, first in _redcap_items(tables[name])]
    return _csv([REDCAP_HEADS, *rows])


def _redcap_items(table: TemplateTable) -> list[tuple[Item, bool]]:
    """Fields of a form, the patient being REDCap's own record; tells which comes first."""
    items = [item for item in table.items if item.field.kind != "patient"]
    if table.name == "visits":  # asked once, on the form of the patient
        items = [item for item in items if item.field.name != "region"]
    return [(item, i == 0) for i, item in enumerate(items)]


def _redcap_item(table: str, item: Item, first: bool) -> tuple[str, ...]:
    """Row of one field."""
    field = item.field
    kind, validation = _REDCAP_TYPES[field.kind]
    words = (*field.words, *(("none",) if field.name == "what" else ()))
    note = "; ".join(
        part for part in (allowed(field), f"STRICTA {item.stricta}" * bool(item.stricta)) if part
    )
    logic = {"twitches": f"[{redcap_name(table, 'sought')}] = '1'"}.get(field.name, "")
    low, high = _redcap_range(field)
    return _redcap_row(
        redcap_name(table, field.name),
        REDCAP_FORMS[table],
        kind,
        f"{field.about[:1].upper()}{field.about[1:]}",
        section=f"{table.capitalize()}" if first else "",
        choices=" | ".join(f"{code(word)}, {word}" for word in words) if kind == "dropdown" else "",
        note=note,
        validation=validation,
        low=low,
        high=high,
        identifier="y" if field.kind == "date" else "",
        logic=logic,
        required="y" if field.required else "",
    )


def _redcap_range(field: Field) -> tuple[str, str]:
    if field.kind not in ("count", "visit", "number"):
        return "", ""
    low = 1.0 if field.kind == "visit" else field.low
    return ("" if low == float("-inf") else f"{low:g}"), (
        "" if field.high == float("inf") else f"{field.high:g}"
    )


def code(word: str) -> str:
    """Code of a choice: letters, digits and underscores, as REDCap takes them.

    Examples
    --------
    >>> code("no benefit")
    'no_benefit'
    """
    return "".join(sign if sign.isalnum() else "_" for sign in word)


def _redcap_row(
    name: str,
    form: str,
    kind: str,
    label: str,
    *,
    section: str = "",
    choices: str = "",
    note: str = "",
    validation: str = "",
    low: str = "",
    high: str = "",
    identifier: str = "",
    logic: str = "",
    required: str = "",
) -> tuple[str, ...]:
    """One row in the order of :data:`REDCAP_HEADS`."""
    return (
        name, form, section, kind, label, choices, note, validation, low, high, identifier, logic, required,
        "", "", "", "", "",
    )  # fmt: skip
