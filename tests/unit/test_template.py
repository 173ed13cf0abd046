"""Templates: filled in as they say, they pass the check as they are; REDCap would take the dictionary."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from tpr_outcomes.cli import main
from tpr_outcomes.cohort.fields import REDCAP_FORMS, TEMPLATE, TemplateTable, redcap_name
from tpr_outcomes.cohort.schemas import EVENT_WORDS, SCHEMAS, Field
from tpr_outcomes.cohort.tables import check_record, read_record
from tpr_outcomes.cohort.template import (
    REDCAP_HEADS,
    code,
    csv_folder,
    excel_template,
    redcap_template,
)

PATIENTS, VISITS = 4, 3
TABLES = {table.name: table for table in TEMPLATE}


def value(field: Field, patient: int, visit: int, k: int) -> object:
    """Something a careful person would write, within what the template allows."""
    if field.kind == "patient":
        return f"C{patient + 1:02d}"
    if field.kind == "visit":
        return visit + 1
    if field.kind == "date":
        return f"2024-0{patient + 1}-{7 * visit + 1:02d}"
    if field.kind == "yes_no":
        return "yes"
    if field.kind == "word":
        words = list(field.words)
        return words[(patient + visit + k) % len(words)]
    if field.kind == "label":
        return f"{field.name} {chr(97 + patient)}"
    if field.kind == "count":
        return patient + visit + 1
    top = min(field.high, 20.0)
    return round(max(field.low, 0.5) + (top - max(field.low, 0.5)) * (1 + patient + visit) / 9.0, 1)


def filled_rows(table: TemplateTable) -> list[dict[str, object]]:
    """Rows of one table, every column filled."""
    rows = []
    for patient in range(PATIENTS):
        visits = range(1 if table.name == "patients" else VISITS)
        for visit in visits:
            for k in range({"events": len(EVENT_WORDS), "diary": 3}.get(table.name, 1)):
                row = {item.field.name: value(item.field, patient, visit, k) for item in table.items}
                rows.append(special(table.name, row, visit, k))
    return rows


def special(table: str, row: dict[str, object], visit: int, k: int) -> dict[str, object]:
    """What hangs together within a row."""
    if table == "visits":
        row["stop_reason"] = "better" if visit == VISITS - 1 else ""
    if table == "sites":
        row |= {"elicited": "yes", "insertions_felt": 1}  # one muscle, so its twitches are those of the visit
    if table == "scores":
        row |= {"instrument": "ndi", "score": 20, "moment": "before"}
    if table == "diary":
        row["hours"] = (6, 24, 48)[k]
    if table == "events":
        kind = list(EVENT_WORDS)[k]
        row |= {"kind": kind, "what": next(iter(EVENT_WORDS[kind])), "weeks": ""}
    if table == "scores":
        row |= {"instrument": "ndi", "score": 30 - visit}  # within the range of that instrument
    return row


def fill_sheet(sheet: Worksheet, table: TemplateTable) -> None:
    heads = [cell.value for cell in sheet[1]]
    assert heads == [item.field.name for item in table.items]
    for i, row in enumerate(filled_rows(table), start=2):
        for k, head in enumerate(heads, start=1):
            if row[head] != "":
                sheet.cell(i, k).value = row[head]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    book = openpyxl.load_workbook(io.BytesIO(excel_template()))
    for table in TEMPLATE:
        fill_sheet(book[table.name.capitalize()], table)
    path = tmp_path_factory.mktemp("template") / "clinic.xlsx"
    book.save(path)
    return path


def told(path: Path) -> list[tuple[str, str, str]]:
    return [(p.rule, p.address, p.message) for p in check_record(path).problems]


def test_a_filled_workbook_passes_untouched(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(filled) == []
    assert main(["check", str(filled)]) == 0
    assert "the file can be read." in capsys.readouterr().out


def test_a_filled_workbook_is_read_whole(filled: Path) -> None:
    record = read_record(filled)
    assert (record.visits.n_patients, record.visits.n_visits) == (PATIENTS, PATIENTS * VISITS)
    assert record.visits.table["weeks"].max() == VISITS - 1
    for name in SCHEMAS:
        table = record.table(name)
        assert table is not None, name
        assert len(table) == len(filled_rows(TABLES[name]))
        used = [item.field.name for item in TABLES[name].items if item.used]
        assert set(table.columns) >= set(used) - {"date"} - ({"visit"} if name == "patients" else set())


def test_filled_text_files_pass_untouched(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    assert main(["template", "csv", "--out", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == set(csv_folder())
    for table in TEMPLATE:
        with (folder / f"{table.name}.csv").open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [item.field.name for item in table.items])
            writer.writerows(filled_rows(table))
    assert told(folder) == []
    assert read_record(folder).visits.n_visits == PATIENTS * VISITS


def test_one_filled_text_file_passes_untouched(tmp_path: Path) -> None:
    path = tmp_path / "clinic.csv"
    assert main(["template", "csv", "--out", str(path)]) == 0
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, [item.field.name for item in TEMPLATE[0].items]).writerows(
            filled_rows(TEMPLATE[0])
        )
    assert told(path) == []


# --- the workbook itself --------------------------------------------------------------------------


def rules_of(sheet: Worksheet) -> dict[str, DataValidation]:
    """Validation of each column, by its name."""
    found = {}
    for rule in sheet.data_validations.dataValidation:
        for area in rule.sqref.ranges:
            found[sheet.cell(1, area.min_col).value] = rule
            assert (area.min_row, area.max_row) == (2, 5000)
    return found


def words_of(book: openpyxl.Workbook, formula: str) -> str:
    """Words of a drop-down: in the rule, which takes 255 signs, or in cells of the sheet Lists."""
    if formula.startswith('"'):
        assert len(formula) <= 255
        return formula.strip('"')
    place = formula.removeprefix("'Lists'!").replace("$", "")
    return ",".join(str(cell.value) for (cell,) in book["Lists"][place])


def test_every_column_with_words_or_a_range_has_a_drop_down_or_limits() -> None:
    book = openpyxl.load_workbook(io.BytesIO(excel_template()))
    for table in TEMPLATE:
        rules = rules_of(book[table.name.capitalize()])
        for item in table.items:
            field = item.field
            rule = rules.get(field.name)
            if field.kind in ("patient", "label"):
                assert rule is None
            elif field.kind in ("word", "yes_no"):
                words = ",".join(field.words) if field.kind == "word" else "yes,no"
                assert rule is not None
                assert rule.type == "list"
                assert words_of(book, rule.formula1) == words
            else:
                assert rule is not None
                assert rule.type == {"date": "date", "number": "decimal"}.get(field.kind, "whole")
                if field.high != float("inf"):
                    assert float(rule.formula2) == field.high
    pain = rules_of(book["Visits"])["pain"]
    assert (pain.type, pain.operator, pain.formula1, pain.formula2) == ("decimal", "between", "0", "10")


def test_every_column_is_explained_on_the_dictionary() -> None:
    book = openpyxl.load_workbook(io.BytesIO(excel_template()))
    explained = {(row[0], row[1]) for row in book["Dictionary"].iter_rows(min_row=2, values_only=True)}
    assert {(table.name, item.field.name) for table in TEMPLATE for item in table.items} <= explained
    items = {str(row[5]) for row in book["Dictionary"].iter_rows(min_row=2, values_only=True) if row[5]}
    stricta = {"1a", "1b", "1c", *(f"2{x}" for x in "abcdefg"), "3a", "3b", "4a", "4b", "5", "6"}
    assert items == stricta
    assert not book.vba_archive


def test_the_template_holds_the_tables_as_they_are_read() -> None:
    for name, schema in SCHEMAS.items():
        used = [item.field for item in TABLES[name].items if item.used]
        assert used == list(schema.fields)


def test_templates_are_always_the_same() -> None:
    assert excel_template() == excel_template()


def test_what_is_there_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "clinic.xlsx"
    assert main(["template", "excel", "--out", str(out)]) == 0
    assert main(["template", "excel", "--out", str(out)]) == 6  # it may hold visits by now
    assert main(["template", "excel", "--out", str(tmp_path / "clinic.csv")]) == 6
    assert main(["template", "csv", "--out", str(tmp_path)]) == 6
    said = capsys.readouterr().err
    assert "is there already" in said
    assert "ends in .xlsx" in said
    assert "not an empty folder" in said


# --- REDCap ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dictionary() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(redcap_template())))


def test_the_dictionary_has_the_columns_of_redcap() -> None:
    head = next(csv.reader(io.StringIO(redcap_template())))
    assert len(head) == 18
    assert tuple(head) == REDCAP_HEADS


def test_redcap_would_take_the_dictionary(dictionary: list[dict[str, str]]) -> None:
    """The rules REDCap applies on upload, as its help text on the data dictionary gives them."""
    names = [row["Variable / Field Name"] for row in dictionary]
    assert names[0] == "record_id"
    assert len(set(names)) == len(names)
    forms = [row["Form Name"] for row in dictionary]
    blocks = [form for i, form in enumerate(forms) if i == 0 or forms[i - 1] != form]
    assert len(set(blocks)) == len(blocks), "the fields of a form stand together"
    for row in dictionary:
        name, kind = row["Variable / Field Name"], row["Field Type"]
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,25}", name), name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row["Form Name"])
        assert row["Field Label"]
        assert kind in {"text", "dropdown", "yesno"}
        choices = row["Choices, Calculations, OR Slider Labels"]
        assert bool(choices) == (kind == "dropdown")
        codes = [choice.split(",")[0].strip() for choice in choices.split("|")] if choices else []
        assert all(re.fullmatch(r"[A-Za-z0-9_]+", one) for one in codes)
        assert len(set(codes)) == len(codes)
        validation = row["Text Validation Type OR Show Slider Number"]
        assert validation in {"", "date_ymd", "integer", "number"}
        assert not (validation and kind != "text")
        low, high = row["Text Validation Min"], row["Text Validation Max"]
        assert not ((low or high) and validation not in {"integer", "number"})
        if low and high:
            assert float(low) < float(high)
        assert {row["Identifier?"], row["Required Field?"]} <= {"", "y"}
        logic = row["Branching Logic (Show field only if...)"]
        assert set(re.findall(r"\[(\w+)\]", logic)) <= set(names)


def export(rows: dict[str, list[dict[str, object]]]) -> str:
    """The raw CSV export of a project made of the dictionary, its forms repeating instruments."""
    names = [row[0] for row in list(csv.reader(io.StringIO(redcap_template())))[1:]]
    head = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance", *names[1:]]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, head, restval="", lineterminator="\n")
    writer.writeheader()
    made = []
    for table, entries in rows.items():
        counts: dict[str, int] = {}
        for row in entries:
            patient = str(row["patient"])
            counts[patient] = counts.get(patient, 0) + 1
            line: dict[str, object] = {"record_id": patient}
            if table != "patients":
                line["redcap_repeat_instrument"] = REDCAP_FORMS[table]
                line["redcap_repeat_instance"] = counts[patient]
            for name, entry in row.items():
                key = redcap_name(table, name)
                if key in names:
                    kind = next(i.field.kind for i in TABLES[table].items if i.field.name == name)
                    raw = {"yes": "1", "no": "0"}.get(str(entry)) if kind == "yes_no" else None
                    line[key] = raw or (code(str(entry)) if kind == "word" else entry)
            made.append(line)
    writer.writerows(sorted(made, key=lambda line: str(line["record_id"])))
    return stream.getvalue()


def test_an_export_of_the_dictionary_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(export({name: filled_rows(table) for name, table in TABLES.items()}), encoding="utf-8")
    report = check_record(path)
    assert report.errors == ()
    record = read_record(path)
    assert record.visits.n_visits == PATIENTS * VISITS
    expected = [row["twitches"] for row in filled_rows(TABLES["visits"])]
    assert record.visits.table["twitches"].tolist() == expected
    assert record.visits.table["age"].notna().all()
    assert report.warnings == ()
    assert {p.rule for p in report.notes} == {"layout_guessed", "offered_column"}
