"""The ``tpr`` command as its user meets it: what is printed where, and the exit status."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tpr_outcomes as tpr
from tpr_outcomes import errors
from tpr_outcomes.cli import main
from tpr_outcomes.commands import answers, screen
from tpr_outcomes.reporting import bundle

HEADER = "patient,visit,pain,twitches\n"


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command; never a traceback."""
    status = main([str(part) for part in argv])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return status, out, err


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A small file without fault, too small to tell anything."""
    path = tmp_path / "good.csv"
    rows = [f"{p},{v},{9 - v - p % 3},{(3 * p + v) % 7}" for p in range(1, 9) for v in range(1, 5)]
    path.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A file with two errors."""
    path = tmp_path / "bad.csv"
    path.write_text(HEADER + "1,1,7-8,3\n1,2,4,-2\n2,1,5,\n2,2,3,1\n", encoding="utf-8")
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without figures and page: what they hold is tested elsewhere."""
    monkeypatch.setattr(bundle.plots, "all_figures", lambda _: {})
    monkeypatch.setattr(bundle.report, "render_html", lambda *_: "<!doctype html>")


class TestHelp:
    def test_names_every_command_and_loads_nothing_heavy(self, root: Path) -> None:
        code = (
            "import sys; from tpr_outcomes.cli import main; status = main(['--help']); "
            "heavy = {'numpy', 'pandas', 'scipy', 'matplotlib', 'pydantic', 'jinja2', 'statsmodels'}; "
            "print(status, sorted(heavy & set(sys.modules)))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(root / "src")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout.splitlines()[-1] == "0 []"
        for command in ("evaluate", "check", "describe", "claims", "simulate"):
            assert command in ended.stdout

    @pytest.mark.parametrize("command", ["evaluate", "check", "describe", "claims", "simulate"])
    def test_of_each_command_is_there(self, capsys: pytest.CaptureFixture[str], command: str) -> None:
        status, out, _ = run(capsys, command, "--help")
        assert status == 0
        assert f"tpr {command}" in out

    def test_is_what_one_gets_without_a_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        _, out, err = run(capsys)
        assert "Commands" in out + err

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(capsys, "--version") == (0, f"tpr-outcomes {tpr.__version__}\n", "")


@pytest.mark.parametrize(
    "argv",
    [
        ["cure"],
        ["evaluate"],
        ["evaluate", "x.csv"],
        ["evaluate", "x.csv", "--out", "y", "--seed", "one"],
        ["check"],
        ["check", "x.csv", "--colour"],
        ["simulate", "N4"],
        ["simulate", "N4", "--patients", "many", "--out", "x.csv"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_understood_ends_with_2(
    capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    status, out, err = run(capsys, *argv)
    assert status == errors.EXIT_USAGE
    assert out == ""
    assert err


class TestEvaluate:
    @pytest.mark.usefixtures("quick")
    def test_ends_with_the_verdict_and_the_place_of_the_report(
        self, capsys: pytest.CaptureFixture[str], good: Path, tmp_path: Path
    ) -> None:
        status, out, err = run(capsys, "evaluate", good, "--out", tmp_path / "out", "--replicates", 99)
        assert status == 0
        assert err == ""  # no bar where there is no terminal
        lines = out.splitlines()
        verdict = json.loads((tmp_path / "out" / "verdict.json").read_text(encoding="utf-8"))
        assert lines[0] == "8 patients, 32 visits; 24 ratings used as outcomes."
        assert lines[1] == "No rows left out."
        assert lines[-3] == verdict["sentence"]
        assert lines[-1] == f"Report: {tmp_path / 'out' / 'report.html'}"
        assert verdict["verdict"] == "not_identifiable"

    @pytest.mark.usefixtures("quick")
    def test_takes_settings_from_the_line_before_those_of_the_plan(
        self, capsys: pytest.CaptureFixture[str], good: Path, tmp_path: Path
    ) -> None:
        plan = tmp_path / "plan.toml"
        plan.write_text("seed = 4\nreplicates = 199\nrated = 'after'\n", encoding="utf-8")
        out = tmp_path / "out"
        assert run(capsys, "evaluate", good, "--out", out, "--plan", plan, "--seed", 5)[0] == 0
        verdict = json.loads((out / "verdict.json").read_text(encoding="utf-8"))
        assert (verdict["seed"], verdict["replicates"], verdict["data"]["rated"]) == (5, 199, "after")

    @pytest.mark.usefixtures("quick")
    def test_says_its_warnings_by_rule_and_counts_what_it_left_out(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        path = tmp_path / "some.csv"
        path.write_text(HEADER + "1,1,5,3\n1,2,,2\n1,3,,2\n1,4,2,1\n2,1,6,2\n", encoding="utf-8")
        status, out, err = run(capsys, "evaluate", path, "--out", tmp_path / "out", "--replicates", 99)
        assert status == 0
        assert "Warning (pain_blank)" in err
        assert "[2 places, first line 3, column pain]" in err
        assert "Warning (single_visit)" in err
        assert f"See them all with: tpr check {path}" in err
        assert out.splitlines()[1].startswith("Rows left out: ")  # how many is withheld: they are few
        assert "pain not rated at this visit (withheld)" in out

    def test_refuses_a_file_with_errors_with_the_table_of_check(
        self, capsys: pytest.CaptureFixture[str], bad: Path, tmp_path: Path
    ) -> None:
        status, out, err = run(capsys, "evaluate", bad, "--out", tmp_path / "out")
        assert status == errors.DataError.exit_code == 4
        assert out == ""
        for part in ("line 2, column pain", "7-8", "line 3, column twitches", "-2"):
            assert part in err
        assert "2 errors: mend the errors, then the file can be read." in err
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("argv", "status", "what"),
        [
            (["none.csv"], 3, "none.csv"),
            (["good.csv", "--columns", "none.toml"], 3, "column map cannot be opened"),
            (["good.csv", "--plan", "none.toml"], 3, "plan cannot be opened"),
            (["good.csv", "--sheet", "Visits"], 3, "sheet"),
            (["good.csv", "--dose", "twitch"], 5, "Did you mean 'twitches'?"),
            (["good.csv", "--dose", "sessions"], 5, "no dose column 'sessions'"),
            (["good.csv", "--replicates", "9"], 5, "a whole number from 99"),
            (["good.csv", "--seed", "-1"], 5, "a whole number from 0"),
            (["example:miracle"], 7, "no example called 'miracle'"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    def test_refuses_in_one_message_with_the_exit_code_of_its_cause(
        self,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        good: Path,
        argv: list[str],
        status: int,
        what: str,
    ) -> None:
        monkeypatch.chdir(good.parent)
        ended, out, err = run(capsys, "evaluate", *argv, "--out", "out")
        assert (ended, out) == (status, "")
        assert err.startswith("tpr: ")
        assert what in err
        assert not Path("out").exists()

    def test_refuses_a_folder_that_is_not_ours_before_reading_anything(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        status, _, err = run(capsys, "evaluate", tmp_path / "none.csv", "--out", tmp_path)
        assert status == 6
        assert "did not write" in err

    @pytest.mark.usefixtures("quick")
    def test_draws_a_bar_on_a_terminal(
        self, monkeypatch: pytest.MonkeyPatch, good: Path, tmp_path: Path
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setattr(sys, "stderr", Terminal())
        assert main(["evaluate", str(good), "--out", str(tmp_path / "out"), "--replicates", "99"]) == 0
        assert "written" in sys.stderr.getvalue()  # type: ignore[attr-defined]

    @pytest.mark.slow
    def test_of_an_example_runs_from_end_to_end_and_again_to_the_same_bytes(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, root: Path
    ) -> None:
        argv = ["evaluate", "example:threshold", "--out", tmp_path / "out", "--replicates", 199]
        status, out, _ = run(capsys, *argv)
        assert status == 0
        verdict = json.loads((tmp_path / "out" / "verdict.json").read_text(encoding="utf-8"))
        truth = 40.0
        assert verdict["verdict"] == "threshold_supported"
        assert verdict["threshold"]["conf_low"] <= truth <= verdict["threshold"]["conf_high"]
        assert verdict["sentence"] in out
        page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        assert verdict["sentence"] in re.sub(r"</?data[^>]*>", "", page)
        first = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
        # Again in another process, in which sets and dicts of text are in another order.
        subprocess.run(
            [sys.executable, "-m", "tpr_outcomes", *map(str, argv)],
            env={**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONHASHSEED": "12345"},
            capture_output=True,
            check=True,
        )
        again = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
        assert [p.name for p in first if again[p] != first[p]] == []
        assert set(again) == set(first)


class TestCheck:
    def test_says_that_a_good_file_can_be_read(self, capsys: pytest.CaptureFixture[str], good: Path) -> None:
        status, out, err = run(capsys, "check", good)
        assert (status, err) == (0, "")
        assert out.splitlines()[-2:] == [
            "32 rows, 8 patients.",
            "No errors, no warnings: the file can be read.",
        ]

    def test_lists_every_problem_at_once(self, capsys: pytest.CaptureFixture[str], bad: Path) -> None:
        status, out, err = run(capsys, "check", bad)
        assert (status, err) == (4, "")
        for part in ("line 2, column pain", "line 3, column twitches", "line 4, column twitches", "warning"):
            assert part in out
        assert "2 errors, 1 warning: mend the errors, then the file can be read." in out

    def test_ends_well_with_warnings_only(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = run(capsys, "check", "example:threshold")
        assert status == 0
        assert "look at the warnings" in out

    def test_prints_json(self, capsys: pytest.CaptureFixture[str], bad: Path) -> None:
        status, out, err = run(capsys, "check", bad, "--json")
        content = json.loads(out)
        assert (status, err) == (4, "")
        assert content["schema"] == "tpr-outcomes/check/2"
        assert (content["ok"], content["rows"], content["patients"]) == (False, 4, 2)
        assert [p["address"] for p in content["problems"] if p["severity"] == "error"] == [
            "line 2, column pain",
            "line 3, column twitches",
        ]
        assert set(content["problems"][0]) == {
            "rule",
            "severity",
            "address",
            "column",
            "seen",
            "message",
            "remedy",
        }

    @pytest.mark.parametrize(("n", "by_rule"), [(screen.MOST_SHOWN - 1, False), (screen.MOST_SHOWN, True)])
    def test_sums_up_very_many_problems_by_rule(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, n: int, by_rule: bool
    ) -> None:
        path = tmp_path / "many.csv"
        rows = [f"1,{v},99,3" for v in range(1, n + 1)]  # and one warning that no rating differs
        path.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
        status, out, _ = run(capsys, "check", path)
        assert status == 4
        assert ("Problems by rule" in out) == by_rule
        assert f"{n} errors" in out
        assert out.count("pain_outside_scale") == (1 if by_rule else n)

    def test_follows_the_plan_and_the_column_map(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        path, plan, names = tmp_path / "f.csv", tmp_path / "plan.toml", tmp_path / "columns.toml"
        path.write_text("Who,visit,VAS,twitches\n1,1,55,3\n1,2,44,2\n", encoding="utf-8")
        plan.write_text("scale = 'vas'\n", encoding="utf-8")
        names.write_text("[columns]\npatient = 'Who'\npain = 'VAS'\n", encoding="utf-8")
        assert run(capsys, "check", path, "--plan", plan, "--columns", names)[0] == 0
        assert run(capsys, "check", path, "--columns", names)[0] == 4  # 55 is not on a scale to 10
        assert run(capsys, "check", path, "--plan", plan)[0] == 4  # no patient

    def test_shows_signs_as_they_are(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        path = tmp_path / "f.csv"
        path.write_text("patient,visit,pain,twitches,[red]x[/red]\n1,1,5,3,a\n1,2,4,2,b\n", encoding="utf-8")
        assert "[red]x[/red]" in run(capsys, "check", path)[1]

    def test_says_what_is_not_there(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        status, out, err = run(capsys, "check", tmp_path / "none.csv")
        assert (status, out) == (3, "")
        assert "none.csv" in err


class TestOptionalTables:
    """A table that is named or lies in the folder is read; a fault in it is told and stops nothing."""

    @pytest.fixture
    def diaries(self, tmp_path: Path) -> tuple[Path, Path]:
        head = "patient,visit,hours,soreness\n"
        rows = [f"{p},{v},{h},{3 if h < 24 else 0}" for p in range(1, 9) for v in (1, 2) for h in (1, 24, 48)]
        fine, faulty = tmp_path / "fine.csv", tmp_path / "faulty.csv"
        fine.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
        faulty.write_text(head + "1,1,1,11\n9,1,1,2\n", encoding="utf-8")
        return fine, faulty

    def test_are_checked_with_the_visits(
        self, capsys: pytest.CaptureFixture[str], good: Path, diaries: tuple[Path, Path]
    ) -> None:
        fine, faulty = diaries
        assert run(capsys, "check", good, "--diary", fine)[0] == errors.EXIT_OK
        status, out, _ = run(capsys, "check", good, "--diary", faulty)
        assert status == errors.DataError.exit_code
        assert "diary, line 2, column soreness" in out
        assert "2 errors" in out

    def test_never_stop_the_verdict(
        self, capsys: pytest.CaptureFixture[str], good: Path, diaries: tuple[Path, Path], tmp_path: Path
    ) -> None:
        verdicts = []
        for name, options in (("a", []), ("b", ["--diary", diaries[0]]), ("c", ["--diary", diaries[1]])):
            status, _, err = run(
                capsys, "evaluate", good, "--out", tmp_path / name, "--replicates", 99, *options
            )
            assert status == errors.EXIT_OK
            assert ("Table not used (out_of_range)" in err) == (name == "c")
            verdicts.append(json.loads((tmp_path / name / "verdict.json").read_text(encoding="utf-8")))
        answers_ = [{c["claim"]: c for c in verdict["claims"]} for verdict in verdicts]
        assert [verdict["verdict"] for verdict in verdicts] == ["not_identifiable"] * 3
        assert [[t["used"] for t in verdict["data"]["tables"]] for verdict in verdicts] == [
            [],
            [True],
            [False],
        ]
        assert answers_[2]["C7"]["answer"] == "not recorded"

    def test_lie_beside_the_visits_in_a_folder(
        self, capsys: pytest.CaptureFixture[str], good: Path, diaries: tuple[Path, Path], tmp_path: Path
    ) -> None:
        folder = tmp_path / "clinic"
        folder.mkdir()
        good.rename(folder / "visits.csv")
        diaries[1].rename(folder / "diary.csv")
        status, out, _ = run(capsys, "check", folder)
        assert status == errors.DataError.exit_code
        assert "diary, line 2, column soreness" in out


class TestDescribe:
    def test_prints_three_tables(self, capsys: pytest.CaptureFixture[str], good: Path) -> None:
        status, out, err = run(capsys, "describe", good)
        assert (status, err) == (0, "")
        for title in ("Patients", "Ratings by visit", "Who stopped"):
            assert title in out
        assert "nan" not in out

    def test_prints_json(self, capsys: pytest.CaptureFixture[str], good: Path) -> None:
        status, out, _ = run(capsys, "describe", good, "--json")
        content: dict[str, Any] = json.loads(out)
        assert status == 0
        assert list(content) == ["patients", "by_visit", "attrition"]
        assert [row["n"] for row in content["by_visit"]] == [8, 8, 8, 8]

    def test_refuses_a_file_with_errors(self, capsys: pytest.CaptureFixture[str], bad: Path) -> None:
        assert run(capsys, "describe", bad)[0] == 4


class TestClaims:
    def test_lists_the_thirty(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, err = run(capsys, "claims")
        assert (status, err) == (0, "")
        for i in range(1, 31):
            assert f" C{i} " in out
        assert "achieve a certain threshold" in out

    def test_prints_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        content = json.loads(run(capsys, "claims", "--json")[1])
        assert [row["id"] for row in content] == [f"C{i}" for i in range(1, 31)]
        assert content[0]["known"][0]["doi"].startswith("10.")


class TestSimulate:
    def test_writes_a_clinic_that_can_be_read(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        path = tmp_path / "clinic.csv"
        argv = ("simulate", "A-thr40", "--patients", 20, "--seed", 3, "--out", path)
        status, out, _ = run(capsys, *argv)
        assert status == 0
        assert "20 patients" in out
        assert path.with_suffix(".truth.json").exists()
        assert run(capsys, "check", path)[0] == 0
        before = path.read_bytes()
        assert run(capsys, *argv)[0] == 0  # its own file may be made again
        assert path.read_bytes() == before

    def test_writes_a_workbook_with_all_tables(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, root: Path
    ) -> None:
        path = tmp_path / "clinic.xlsx"
        status, out, _ = run(capsys, "simulate", "A-thr40", "--patients", 90, "--seed", 4, "--out", path)
        assert status == errors.EXIT_OK
        assert "90 patients" in out
        made, shipped = tpr.read_record(path), tpr.read_record(root / "data/example_tables.xlsx")
        for name in ("visits", "sites", "diary", "events", "patients"):
            frames = made.table(name), shipped.table(name)
            assert frames[0] is not None
            assert frames[0].equals(frames[1])
        truth = path.with_suffix(".truth.json").read_bytes()
        assert truth == (root / "data/example_tables.truth.json").read_bytes()

    def test_never_writes_over_a_record(self, capsys: pytest.CaptureFixture[str], good: Path) -> None:
        before = good.read_bytes()
        status, _, err = run(capsys, "simulate", "N4", "--out", good)
        assert status == 6
        assert "was not simulated" in err
        assert good.read_bytes() == before

    def test_lists_the_worlds(self, capsys: pytest.CaptureFixture[str]) -> None:
        status, out, _ = run(capsys, "simulate", "list")
        assert status == 0
        assert "A-thr40" in out

    def test_names_a_world_that_is_near(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        status, _, err = run(capsys, "simulate", "A-thr4O", "--out", tmp_path / "x.csv")
        assert status == 5
        assert "Nearest: thr40" in err


class TestTrouble:
    @pytest.fixture
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from tpr_outcomes.reporting import claim_rows

        class Broken:
            def __iter__(self) -> Any:
                raise KeyError("Jane Doe")

        monkeypatch.setattr(claim_rows, "CLAIMS", Broken())

    @pytest.mark.usefixtures("broken")
    def test_that_is_unexpected_is_named_without_quoting_the_data(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, out, err = run(capsys, "claims")
        assert (status, out) == (1, "")
        assert "(KeyError)" in err
        assert "tpr --debug" in err
        assert "Jane" not in err

    @pytest.mark.usefixtures("broken")
    def test_is_shown_whole_on_request(self) -> None:
        with pytest.raises(KeyError, match="Jane Doe"):
            main(["--debug", "claims"])

    def test_by_the_user_ends_with_130(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(answers, "show_table", interrupted)
        assert run(capsys, "claims")[0] == 130

    def test_reaches_the_shell_as_exit_status(self, root: Path) -> None:
        ended = subprocess.run(
            [sys.executable, "-m", "tpr_outcomes", "check", "none.csv"],
            env={**os.environ, "PYTHONPATH": str(root / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 3
        assert ended.stderr.startswith("tpr: ")

    def test_has_one_exit_code_for_each_cause(self, root: Path) -> None:
        kinds = [errors.TprError, *errors.TprError.__subclasses__()]
        codes = [kind.exit_code for kind in kinds]
        assert len(set(codes)) == len(codes)
        assert not {errors.EXIT_OK, errors.EXIT_USAGE} & set(codes)
        page = (root / "docs" / "exit-codes.md").read_text(encoding="utf-8")
        for kind in kinds[1:]:
            assert f"| {kind.exit_code} | `{kind.__name__}` |" in page
