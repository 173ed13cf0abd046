"""A clinic of canaries: every identifier and free text is a unique string, and none may sing anywhere."""

from __future__ import annotations

import base64
import json
import logging
import re
import traceback
import zlib
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from tpr_outcomes.analysis import evaluate
from tpr_outcomes.cli import main
from tpr_outcomes.cohort.tables import read_record
from tpr_outcomes.errors import TprError
from tpr_outcomes.reporting.bundle import contents

MARK = "zzcanary"
"""In every identifier and free text of the clinic; no word of ours has it."""
PATIENTS, VISITS = 40, 5


def canary(kind: str, i: int) -> str:
    return f"{MARK}{kind}{i:03d}"


def visit_rows() -> list[list[object]]:
    rng = np.random.default_rng(5)
    rows: list[list[object]] = []
    for p in range(PATIENTS):
        pain, start = 8.0, 3 * p
        for v in range(VISITS if p > 2 else 2):
            twitches = int(rng.poisson(6))
            last = v == (VISITS if p > 2 else 2) - 1
            day = np.datetime64("2021-01-04") + np.timedelta64(start + 7 * v, "D")
            rows.append([
                canary("patient", p), v + 1, str(day), round(pain, 1), twitches, canary("therapist", p % 3),
                "back" if p > 1 else canary("region", p), "f" if p % 2 else "m", 95 if p == 0 else 30 + p,
                canary("stopped", p) if p < 4 and last else ("better" if last else ""),
                f"{canary('note', p)} phones on Tuesdays; lives at {canary('street', p)}",
            ])  # fmt: skip
            pain = max(0.0, pain - 0.15 * twitches + float(rng.normal(0, 0.4)))
    return rows


HEAD = ["patient", "visit", "date", "pain", "twitches", "therapist", "region", "sex", "age", "stop_reason",
        "notes"]  # fmt: skip


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workbook of visits and events, all of it about canaries."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Visits"
    sheet.append(HEAD)
    for row in visit_rows():
        sheet.append(row)
    events = book.create_sheet("Events")
    events.append(["patient", "visit", "kind", "what", "comment"])
    for p in range(PATIENTS):
        what = "bruise" if p < 3 else "none"
        events.append([canary("patient", p), 2, "adverse_event", what, canary("say", p)])
    path = tmp_path_factory.mktemp("canaries") / "clinic.xlsx"
    book.save(path)
    return path


def sings(text: str) -> list[str]:
    return re.findall(rf".{{0,60}}{MARK}.{{0,40}}", text, flags=re.IGNORECASE)


def everything_in(content: bytes) -> str:
    """A file's bytes as text, with whatever is packed in it unpacked: pictures in pages, chunks of PNG."""
    text = content.decode("latin-1")
    found = [text]
    for packed in re.findall(r"base64,([A-Za-z0-9+/=]+)", text):
        found.append(everything_in(base64.b64decode(packed)))
    if content.startswith(b"\x89PNG"):
        at = 8
        while at < len(content):
            size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
            body = content[at + 8 : at + 8 + size]
            if kind in (b"zTXt", b"iTXt"):
                found += [zlib.decompress(body[i:]).decode("latin-1") for i in _streams(body)]
            at += size + 12
    return "\n".join(found)


def _streams(body: bytes) -> list[int]:
    return [i for i in range(len(body)) if body[i : i + 1] == b"\x78" and _inflates(body[i:])]


def _inflates(body: bytes) -> bool:
    try:
        zlib.decompress(body)
    except zlib.error:
        return False
    return True


def test_no_file_of_a_report_sings(clinic: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="tpr_outcomes"):
        record = read_record(clinic)
        result = evaluate(record, replicates=99, seed=1)
        files = contents(result)
    kinds = {Path(name).suffix for name in files}
    assert kinds >= {".html", ".json", ".csv", ".svg", ".png"}
    for name, content in files.items():
        assert sings(everything_in(content)) == [], name
    assert sings(caplog.text) == []
    assert sings(json.dumps(result.to_dict())) == []
    assert sings(result.to_frame().to_string()) == []


def test_no_date_and_no_age_over_89_is_in_a_report(clinic: Path) -> None:
    files = contents(evaluate(read_record(clinic), replicates=99, seed=1))
    for name, content in files.items():
        text = everything_in(content) if not name.endswith(".png") else ""
        assert not re.search(r"2021-0[1-6]-\d\d", text), name


@pytest.mark.parametrize(
    "argv",
    [
        ["check", "{clinic}"],
        ["check", "{clinic}", "--json"],
        ["check", "{clinic}", "--fix-map"],
        ["describe", "{clinic}"],
        ["describe", "{clinic}", "--json"],
        ["deidentify", "{clinic}", "{out}.csv"],
        ["deidentify", "{clinic}", "{out}.xlsx", "--json"],
    ],
)
def test_no_command_sings(
    argv: list[str], clinic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([part.format(clinic=clinic, out=tmp_path / "out") for part in argv])
    said = capsys.readouterr()
    assert status == 0, said.err
    assert sings(said.out + said.err) == []
    for path in tmp_path.iterdir():
        if path.suffix == ".xlsx":
            book = openpyxl.load_workbook(path)
            cells = [str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row]
            assert sings("\n".join(cells)) == []
        else:
            assert sings(path.read_text(encoding="utf-8")) == []


BAD_LINES = [
    f"{MARK}p,one,5,3",
    f"{MARK}p,1,{MARK} text,3",
    f"{MARK}p,1,5,{MARK}",
    f"{MARK}p,1,77,3",
    f"{MARK}p,1,5,3\n{MARK}p,1,5,3",
    f'{MARK}p,1,"{MARK}',
    f"{MARK}p,1,5,3,{MARK},{MARK}",
]


@pytest.mark.parametrize("line", BAD_LINES)
def test_no_refusal_sings(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clinic.csv"
    path.write_text(f"patient,visit,pain,twitches\n{line}\n", encoding="utf-8")
    for command in (["check"], ["check", "--json"], ["evaluate", "--out", str(tmp_path / "out")]):
        assert main([command[0], str(path), *command[1:]]) in (3, 4)
    said = capsys.readouterr()
    assert sings(said.out + said.err) == []
    with pytest.raises(TprError) as caught:
        read_record(path)
    chain = "".join(traceback.format_exception(caught.value))
    assert sings(chain) == []
    assert sings(repr(caught.value.__dict__)) == []


def test_no_date_sings_in_a_refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clinic.csv"
    rows = ["patient,date,pain,twitches", f"{MARK},31.02.2021,5,3", f"{MARK},{MARK}day,5,3"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert main(["check", str(path), "--json"]) == 4
    said = capsys.readouterr().out
    assert sings(said) == []
    assert "31.02.2021" not in said
