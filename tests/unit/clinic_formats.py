"""One clinic in every format that is read: `python -m tests.unit.clinic_formats FOLDER` writes them all.

The clinic is the simulated example, with dates, some visits at which twitches were not sought, and some at
which nobody wrote them down. Each writer makes the files the way the program concerned does (names of events,
user-missing codes, merged cells) and returns the file to read and what its user would have to settle.
"""

from __future__ import annotations

import csv
import datetime as dt
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import duckdb
import openpyxl
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
from tests.unit.postgres_server import Server

from tpr_outcomes.cohort.columns import Columns
from tpr_outcomes.cohort.reading import Reading

EXAMPLE = Path(__file__).resolve().parents[2] / "data" / "example_threshold.csv"
MADE_BY_R = Path(__file__).parent / "data" / "clinic.sas7bdat"
START = dt.date(2024, 1, 8)
NOT_SOUGHT, NOT_RECORDED = "not sought", ""
MEASURES = ("date", "pain", "twitches")
DETAILS = ("age", "sex", "region", "therapist")
TITLES = {"date": "Date", "pain": "Pain", "twitches": "LTR"}
SEXES = {"female": 1, "male": 2}

Row = Sequence[object]
Made = tuple[Path | str, Columns | None]


def clinic(patients: int = 180) -> pd.DataFrame:
    """The clinic as tidy text, one row per visit."""
    frame = pd.read_csv(EXAMPLE, dtype=str, keep_default_na=False)
    frame = frame[frame["patient"].isin(frame["patient"].unique()[:patients])].reset_index(drop=True)
    number = frame["patient"].str[1:].astype(int)
    days = number % 20 + 7 * (frame["visit"].astype(int) - 1)
    frame.insert(2, "date", [(START + dt.timedelta(days=int(day))).isoformat() for day in days])
    frame.loc[frame.index % 41 == 7, "twitches"] = NOT_RECORDED
    frame.loc[frame.index % 37 == 5, "twitches"] = NOT_SOUGHT
    return frame


# --- tidy -----------------------------------------------------------------------------------------


def tidy_csv(frame: pd.DataFrame, folder: Path) -> Made:
    frame.to_csv(path := folder / "tidy.csv", index=False, lineterminator="\n")
    return path, None


def tidy_tsv(frame: pd.DataFrame, folder: Path) -> Made:
    padded = frame.map(lambda cell: f"{cell}  ")
    padded.to_csv(path := folder / "tidy.tsv", index=False, sep="\t", lineterminator="\r\n")
    return path, None


def tidy_semicolon_day_first(frame: pd.DataFrame, folder: Path) -> Made:
    """As a spreadsheet set to German writes it: byte-order mark, 7,0 for 7, 25.01.2024."""
    typed = frame.assign(
        pain=frame["pain"].map(lambda cell: f"{cell},0" if cell else ""),
        date=[dt.date.fromisoformat(day).strftime("%d.%m.%Y") for day in frame["date"]],
    )
    path = folder / "tidy_semicolon.csv"
    typed.to_csv(path, index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n")
    return path, None


def tidy_as_typed(frame: pd.DataFrame, folder: Path) -> Made:
    """As people type: 7/10, "6,0", n/a and -, 01/25/24, in Latin-1."""
    ways = ("{}/10", "{}", "{} / 10", "{},0")
    pain = [ways[i % 4].format(cell) if cell else ("n/a", "-")[i % 2] for i, cell in enumerate(frame["pain"])]
    days = [dt.date.fromisoformat(day).strftime("%m/%d/%Y") for day in frame["date"]]
    counts = [cell or "NA" for cell in frame["twitches"]]
    typed = frame.assign(pain=pain, date=days, twitches=counts)
    typed["therapist"] = [f"Thér\xe9se {name}" for name in typed["therapist"]]
    path = folder / "typed.csv"
    typed.to_csv(path, index=False, encoding="latin-1", lineterminator="\r\n")
    return path, None


def tidy_csv_packed(frame: pd.DataFrame, folder: Path) -> Made:
    path = folder / "packed.csv.gz"
    frame.to_csv(path, index=False, lineterminator="\n", compression={"method": "gzip", "mtime": 0})
    return path, None


def tidy_utf16(frame: pd.DataFrame, folder: Path) -> Made:
    """As a spreadsheet's "Unicode text"."""
    frame.to_csv(path := folder / "unicode.txt", index=False, sep="\t", encoding="utf-16")
    return path, None


def tidy_excel(frame: pd.DataFrame, folder: Path) -> Made:
    rows = [
        tuple(frame.columns),
        *(_typed_row(row, tuple(frame.columns)) for row in frame.itertuples(index=False)),
    ]
    return _workbook(folder / "tidy.xlsx", {"Visits": rows}), None


def tidy_excel_serial_dates(frame: pd.DataFrame, folder: Path) -> Made:
    """A sheet whose dates lost their format on the way and are day numbers."""
    numbers = [(dt.date.fromisoformat(day) - dt.date(1899, 12, 30)).days for day in frame["date"]]
    shown = frame.assign(date=numbers)
    rows = [
        tuple(shown.columns),
        *(_typed_row(row, tuple(shown.columns)) for row in shown.itertuples(index=False)),
    ]
    return _workbook(folder / "serial.xlsx", {"Visits": rows}), None


def sheet_per_month(frame: pd.DataFrame, folder: Path) -> Made:
    """Courses run from one sheet into the next."""
    return _split(folder / "months.xlsx", frame, [day[:7] for day in frame["date"]]), None


def sheet_per_patient(frame: pd.DataFrame, folder: Path) -> Made:
    names = frame["patient"].tolist()
    return _split(folder / "patients.xlsx", frame.drop(columns="patient"), names), None


def _split(path: Path, frame: pd.DataFrame, by: Sequence[str]) -> Path:
    """A sheet for each value, the rows of each as they come."""
    names = tuple(frame.columns)
    parts = frame.groupby(list(by), sort=False)
    sheets = {
        str(value): [names, *(_typed_row(row, names) for row in part.itertuples(index=False))]
        for value, part in parts
    }
    return _workbook(path, sheets)


def _typed_row(row: Row, names: Sequence[str]) -> tuple[object, ...]:
    return tuple(_typed(name, cell) for name, cell in zip(names, row, strict=True))


def _typed(name: str, cell: object) -> object:
    """A cell as a spreadsheet holds it: number, date, text or nothing."""
    if cell == "":
        return None
    if name == "date" and isinstance(cell, str):
        return dt.date.fromisoformat(cell)
    return int(cell) if isinstance(cell, str) and cell.isdigit() else cell


def _workbook(path: Path, sheets: dict[str, Sequence[Row]], merged: Sequence[str] = ()) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
        for area in merged:
            sheet.merge_cells(area)
    book.save(path)
    return path


# --- wide -----------------------------------------------------------------------------------------


def _wide(frame: pd.DataFrame, names: Callable[[str, int], str]) -> tuple[list[str], list[list[object]]]:
    """Header and rows with one row per patient; the reason for stopping stands once."""
    n = frame["visit"].astype(int).max()
    header = ["patient", *DETAILS, *(names(m, v) for v in range(1, n + 1) for m in MEASURES), "stop_reason"]
    rows = []
    for patient, visits in frame.groupby("patient", sort=False):
        by_visit = {int(row["visit"]): row for _, row in visits.iterrows()}
        first = visits.iloc[0]
        cells = [by_visit[v][m] if v in by_visit else "" for v in range(1, n + 1) for m in MEASURES]
        rows.append([patient, *(first[name] for name in DETAILS), *cells, visits["stop_reason"].iloc[-1]])
    return header, rows


def _typed_wide(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[tuple[object, ...]]:
    kinds = [("date" if "date" in name.casefold() else name) for name in header]
    return [tuple(_typed(kind, cell) for kind, cell in zip(kinds, row, strict=True)) for row in rows]


def wide_csv(frame: pd.DataFrame, folder: Path) -> Made:
    short = {"date": "date", "pain": "pain", "twitches": "ltr"}
    header, rows = _wide(frame, lambda m, v: f"{short[m]}_v{v}")
    return _csv(folder / "wide.csv", [header, *rows]), None


def wide_csv_from_r(frame: pd.DataFrame, folder: Path) -> Made:
    """NA in every visit that did not happen, names with points."""
    header, rows = _wide(frame, lambda m, v: f"{m}.{v}")
    return _csv(folder / "wide_r.csv", [header, *([cell or "NA" for cell in row] for row in rows)]), None


def wide_excel(frame: pd.DataFrame, folder: Path) -> Made:
    header, rows = _wide(frame, lambda m, v: f"{TITLES[m]} Visit {v}")
    return _workbook(folder / "wide.xlsx", {"Clinic": [header, *_typed_wide(header, rows)]}), None


def wide_excel_merged(frame: pd.DataFrame, folder: Path) -> Made:
    """A title, then "Visit 1" merged over Date, Pain and LTR, with a sheet of notes behind."""
    header, rows = _wide(frame, lambda m, v: f"{TITLES[m]} Visit {v}")
    n = (len(header) - 6) // 3
    upper = (
        [None] * 5
        + [f"Visit {v}" if m == "date" else None for v in range(1, n + 1) for m in MEASURES]
        + [None]
    )
    lower = ["Patient", "Age", "Sex", "Region", "Therapist", *(TITLES[m] for _ in range(n) for m in MEASURES),
             "Stop reason"]  # fmt: skip
    letters = [openpyxl.utils.get_column_letter(6 + 3 * k) for k in range(n)]
    ends = [openpyxl.utils.get_column_letter(8 + 3 * k) for k in range(n)]
    merged = [f"{a}3:{b}3" for a, b in zip(letters, ends, strict=True)]
    table = [("Pain and twitches, example clinic",), (), upper, lower, *_typed_wide(header, rows)]
    return _workbook(folder / "merged.xlsx", {"Clinic": table}, merged), None


def wide_csv_two_rows(frame: pd.DataFrame, folder: Path) -> Made:
    """The measurements over the visits."""
    header, rows = _wide(frame, lambda m, v: f"{m} {v}")
    n = (len(header) - 6) // 3
    order = [*range(5), *(5 + 3 * v + k for k in range(3) for v in range(n)), len(header) - 1]
    upper = ["patient", *DETAILS, *(m if v == 0 else "" for m in MEASURES for v in range(n)), "stop_reason"]
    lower = [""] * 5 + [f"Visit {v + 1}" for _ in MEASURES for v in range(n)] + [""]
    return _csv(
        folder / "wide_two_rows.csv", [upper, lower, *([row[i] for i in order] for row in rows)]
    ), None


def sheet_per_measure(frame: pd.DataFrame, folder: Path) -> Made:
    header, rows = _wide(frame, lambda m, v: f"{m} {v}")
    n = (len(header) - 6) // 3
    typed = _typed_wide(header, rows)
    sheets: dict[str, Sequence[Row]] = {}
    for k, measure in enumerate(MEASURES):
        columns = [0, *(5 + 3 * v + k for v in range(n))]
        sheets[TITLES[measure]] = [("Patient", *(f"Visit {v + 1}" for v in range(n))),
                                   *(tuple(row[i] for i in columns) for row in typed)]  # fmt: skip
    details = [0, 1, 2, 3, 4, len(header) - 1]
    sheets["Who"] = [tuple(header[i] for i in details), *(tuple(row[i] for i in details) for row in typed)]
    return _workbook(folder / "measures.xlsx", sheets), None


def sheet_per_visit(frame: pd.DataFrame, folder: Path) -> Made:
    names = tuple(name for name in frame.columns if name != "visit")
    sheets: dict[str, Sequence[Row]] = {
        f"Visit {visit}": [
            names,
            *(_typed_row(row, names) for row in part[list(names)].itertuples(index=False)),
        ]
        for visit, part in frame.groupby(frame["visit"].astype(int))
    }
    return _workbook(folder / "visits.xlsx", sheets), None


def _csv(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


# --- REDCap ---------------------------------------------------------------------------------------

DICTIONARY = (
    ("Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
     "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
     "Text Validation Min", "Text Validation Max", "Identifier?"),
    ("record_id", "intake", "", "text", "Record ID", "", "", "", "", "", ""),
    ("full_name", "intake", "", "text", "Name", "", "", "", "", "", "y"),
    ("age", "intake", "", "text", "Age in years", "", "", "integer", "18", "110", ""),
    ("sex", "intake", "", "radio", "Sex", "1, female | 2, male", "", "", "", "", ""),
    ("region", "intake", "", "checkbox", "Where does it hurt most?", "{regions}", "", "", "", "", ""),
    ("therapist", "intake", "", "text", "Therapist", "", "", "", "", "", ""),
    ("visit_date", "visit", "", "text", "<b>Date</b> of visit", "", "", "date_ymd", "", "", ""),
    ("pain_nrs", "visit", "", "radio", "Pain now (0-10)",
     "0, 0 no pain | 1, 1 | 2, 2 | 3, 3 | 4, 4 | 5, 5 | 6, 6 | 7, 7 | 8, 8 | 9, 9 | 10, 10 worst pain",
     "", "", "", "", ""),
    ("ltr_sought", "visit", "", "checkbox", "Twitches were", "1, looked for", "", "", "", "", ""),
    ("ltr_count", "visit", "", "text", "Local twitch responses", "", "", "integer", "0", "", ""),
    ("stop_reason", "end", "", "text", "Why did treatment end?", "", "", "", "", "", ""),
)  # fmt: skip
_SHOWN = {"0": "0 no pain", "10": "10 worst pain"}


def _regions(frame: pd.DataFrame) -> list[str]:
    return sorted(frame["region"].unique())


def _dictionary(frame: pd.DataFrame, folder: Path) -> Path:
    choices = " | ".join(f"{i}, {name}" for i, name in enumerate(_regions(frame), start=1))
    rows = [tuple(cell.replace("{regions}", choices) for cell in row) for row in DICTIONARY]
    return _csv(folder / "dictionary.csv", rows)


def _redcap_rows(frame: pd.DataFrame, *, repeating: bool) -> tuple[list[str], list[list[str]]]:
    """A raw export: intake in an event of its own, then one event (or instance) per visit, then the end."""
    regions = _regions(frame)
    system = ["record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"]
    fields = ["full_name", "age", "sex", *(f"region___{i}" for i in range(1, len(regions) + 1)), "therapist",
              "intake_complete", "visit_date", "pain_nrs", "ltr_sought___1", "ltr_count", "visit_complete",
              "stop_reason", "end_complete"]  # fmt: skip
    no_boxes = {name: "0" for name in fields if "___" in name}
    rows = []

    def add(patient: str, event: str, instance: int, **cells: str) -> None:
        values = {**no_boxes, **cells}
        head = [patient, event, "visit" if instance and repeating else "", str(instance) if instance else ""]
        rows.append([*head, *(values.get(name, "") for name in fields)])

    for number, (_, visits) in enumerate(frame.groupby("patient", sort=False), start=1):
        first, patient = visits.iloc[0], visits["patient"].iloc[0]
        ticked = {f"region___{regions.index(first['region']) + 1}": "1"}
        who = {"full_name": f"Somebody No. {number}", "age": first["age"], "sex": str(SEXES[first["sex"]])}
        done = {"therapist": first["therapist"], "intake_complete": "2"}
        add(patient, "intake_arm_1", 0, **who, **done, **ticked)
        for _, row in visits.iterrows():
            sought = row["twitches"] != NOT_SOUGHT
            event, instance = (
                ("course_arm_1", int(row["visit"])) if repeating else (f"visit_{row['visit']}_arm_1", 0)
            )
            add(patient, event, instance, visit_date=row["date"], pain_nrs=row["pain"] or "NASK",
                ltr_sought___1="1" if sought else "0", ltr_count=row["twitches"] if sought else "",
                visit_complete="2")  # fmt: skip
        if visits["stop_reason"].iloc[-1]:
            add(patient, "end_arm_1", 0, stop_reason=visits["stop_reason"].iloc[-1], end_complete="2")
    return [*system, *fields], rows


def redcap_raw(frame: pd.DataFrame, folder: Path) -> Made:
    header, rows = _redcap_rows(frame, repeating=False)
    keep = [i for i, name in enumerate(header) if "repeat" not in name]
    path = _csv(folder / "redcap_raw.csv", [[row[i] for i in keep] for row in [header, *rows]])
    return path, Columns(reading=Reading(dictionary=str(_dictionary(frame, folder))))


def redcap_repeating(frame: pd.DataFrame, folder: Path) -> Made:
    header, rows = _redcap_rows(frame, repeating=True)
    path = _csv(folder / "redcap_repeating.csv", [header, *rows])
    return path, Columns(reading=Reading(dictionary=str(_dictionary(frame, folder))))


def redcap_labels(frame: pd.DataFrame, folder: Path) -> Made:
    """The same with labels in place of names and codes, as people download it to read it."""
    header, rows = _redcap_rows(frame, repeating=False)
    names = {row[0]: row[4].replace("<b>", "").replace("</b>", "") for row in DICTIONARY[1:]}
    names |= {"redcap_event_name": "Event Name", "redcap_repeat_instrument": "Repeat Instrument"}
    names |= {"redcap_repeat_instance": "Repeat Instance"}
    names |= {"ltr_sought___1": "Twitches were (choice=looked for)"}
    names |= {
        f"region___{i}": f"{names['region']} (choice={name})" for i, name in enumerate(_regions(frame), 1)
    }
    shown = ["Complete?" if name.endswith("_complete") else names[name] for name in header]
    words = {value: name for name, value in SEXES.items()}

    def label(name: str, cell: str) -> str:
        if "___" in name:
            return "Checked" if cell == "1" else "Unchecked"
        if name == "redcap_event_name":
            return cell.removesuffix("_arm_1").replace("_", " ").capitalize()
        if name.endswith("_complete"):
            return "Complete" if cell else ""
        if name == "sex" and cell:
            return words[int(cell)]
        return _SHOWN.get(cell, cell) if name == "pain_nrs" else cell

    table = [[label(name, cell) for name, cell in zip(header, row, strict=True)] for row in rows]
    path = _csv(folder / "redcap_labels.csv", [shown, *table])
    return path, Columns(reading=Reading(dictionary=str(_dictionary(frame, folder))))


# --- statistics programs --------------------------------------------------------------------------

_SEX_LABELS = {1: "female", 2: "male"}
_SOUGHT_CODE, _MISSING_CODE = -8, -9


def _coded(frame: pd.DataFrame, *, not_sought: object) -> tuple[pd.DataFrame, dict[str, dict[int, str]]]:
    """The clinic as a statistics program holds it: numbers, codes with labels, true dates."""
    regions = {name: i for i, name in enumerate(_regions(frame), start=1)}
    counts = frame["twitches"].map(
        lambda cell: not_sought if cell == NOT_SOUGHT else _typed("twitches", cell)
    )
    coded = frame.assign(
        visit=frame["visit"].astype(float),
        date=[dt.date.fromisoformat(day) for day in frame["date"]],
        age=frame["age"].astype(float),
        sex=frame["sex"].map(SEXES).astype(float),
        region=frame["region"].map(regions).astype(float),
        pain=pd.to_numeric(frame["pain"]),
        twitches=counts,
    )
    return coded, {"sex": _SEX_LABELS, "region": {code: name for name, code in regions.items()}}


def spss(frame: pd.DataFrame, folder: Path) -> Made:
    """Two user-missing codes: twitches were not sought, or nobody wrote them down."""
    coded, labels = _coded(frame, not_sought=_SOUGHT_CODE)
    coded["twitches"] = coded["twitches"].fillna(_MISSING_CODE).astype(float)
    pyreadstat.write_sav(
        coded,
        path := folder / "clinic.sav",
        variable_value_labels={
            **labels,
            "twitches": {_SOUGHT_CODE: "Not sought", _MISSING_CODE: "Not recorded"},
        },
        missing_ranges={"twitches": [_SOUGHT_CODE, _MISSING_CODE]},
    )
    return path, None


def spss_wide(frame: pd.DataFrame, folder: Path) -> Made:
    header, rows = _wide(frame, lambda m, v: f"{m}{v}")
    wide = pd.DataFrame(rows, columns=header)
    labels: dict[str, dict[int, str]] = {"sex": _SEX_LABELS}
    ranges = {}
    wide["sex"] = wide["sex"].map(SEXES).astype(float)
    for name in header:
        if name.startswith("date"):
            wide[name] = [dt.date.fromisoformat(day) if day else None for day in wide[name]]
        elif name.startswith(("pain", "twitches", "age")):
            wide[name] = pd.to_numeric(wide[name].replace(NOT_SOUGHT, str(_SOUGHT_CODE)))
        if name.startswith("twitches"):
            labels[name], ranges[name] = {_SOUGHT_CODE: "not sought"}, [_SOUGHT_CODE]
    pyreadstat.write_sav(
        wide, path := folder / "wide.sav", variable_value_labels=labels, missing_ranges=ranges, compress=True
    )
    return path, None


def stata(frame: pd.DataFrame, folder: Path) -> Made:
    """Extended missing values: .s says that twitches were not sought."""
    coded, labels = _coded(frame, not_sought="s")
    whole = [float(count) if isinstance(count, int) else count for count in coded["twitches"]]
    coded["twitches"] = pd.Series(whole, dtype=object)  # of whole numbers and None the writer makes nonsense
    pyreadstat.write_dta(
        coded,
        path := folder / "clinic.dta",
        version=14,
        variable_value_labels={**labels, "twitches": {"s": "not sought"}},
        missing_user_values={"twitches": ["s"]},
    )
    return path, None


def _with_sought(frame: pd.DataFrame) -> pd.DataFrame:
    coded, _ = _coded(frame, not_sought=None)
    words = coded.assign(sex=frame["sex"], region=frame["region"])
    words["twitches"] = pd.to_numeric(words["twitches"])
    words["sought"] = (frame["twitches"] != NOT_SOUGHT).astype(float)
    return words


def sas_transport(frame: pd.DataFrame, folder: Path) -> Made:
    pyreadstat.write_xport(_with_sought(frame), path := folder / "clinic.xpt", file_format_version=8)
    return path, None


def sas(frame: pd.DataFrame, folder: Path) -> Made:
    """Made by clinic_sas7bdat.R of the whole clinic; nothing in Python writes this format."""
    del frame
    shutil.copy(MADE_BY_R, path := folder / MADE_BY_R.name)
    return path, None


# --- tables with types ------------------------------------------------------------------------------


def _arrow(frame: pd.DataFrame) -> pa.Table:
    words = _with_sought(frame)
    whole = {name: words[name].astype("Int64") for name in ("visit", "age", "twitches")}
    return pa.Table.from_pandas(words.assign(**whole, sought=words["sought"] == 1.0), preserve_index=False)


def parquet(frame: pd.DataFrame, folder: Path) -> Made:
    pq.write_table(_arrow(frame), path := folder / "clinic.parquet")
    return path, None


def duckdb_query(frame: pd.DataFrame, folder: Path) -> Made:
    path = folder / "clinic.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as base:
        base.register("clinic", _arrow(frame))
        base.execute("CREATE TABLE visits AS SELECT * FROM clinic")
    return f"duckdb:///{path}?query=SELECT * FROM visits ORDER BY patient, visit", None


def postgres_query(frame: pd.DataFrame, server: Server) -> str:
    """Fill a table of a running server; return the link that asks for it."""
    where = {"host": "127.0.0.1", "port": server.port, "user": server.user, "password": server.password}
    with psycopg.connect(dbname="postgres", **where) as connection:  # type: ignore[arg-type]
        connection.execute(
            "CREATE TABLE clinic (n serial, patient text, visit int, date date, pain numeric(4, 1),"
            " twitches int, sought bool, age int, sex text, region text, therapist text, stop_reason text)"
        )
        table = _arrow(frame)
        names = table.column_names
        places = ", ".join(["%s"] * len(names))
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO clinic ({', '.join(names)}) VALUES ({places})".encode(),
                [tuple(row.values()) for row in table.to_pylist()],
            )
    who = f"{server.user}:{quote(server.password, safe='')}@127.0.0.1:{server.port}"
    return f"postgresql://{who}/postgres?query=SELECT {', '.join(names)} FROM clinic ORDER BY n"


FORMATS: dict[str, Callable[[pd.DataFrame, Path], Made]] = {
    made.__name__: made
    for made in (
        tidy_csv, tidy_tsv, tidy_csv_packed, tidy_utf16, tidy_semicolon_day_first, tidy_as_typed, tidy_excel,
        tidy_excel_serial_dates, sheet_per_month, sheet_per_patient,
        wide_csv, wide_csv_from_r, wide_excel, wide_excel_merged, wide_csv_two_rows, sheet_per_measure,
        sheet_per_visit, redcap_raw, redcap_repeating, redcap_labels, spss, spss_wide, stata, sas_transport,
        sas, parquet, duckdb_query,
    )
}  # fmt: skip


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for write in FORMATS.values():
        write(clinic(), target)
