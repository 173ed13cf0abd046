"""Every code block of the site: Python and commands are run, settings parsed, printed output compared.

A page's blocks are run in their order, in a folder of their own, which holds what the page takes for granted
(`READER_HAS`). Four kinds of command are looked at rather than run, because running them would take hours,
open a server or change this checkout: `make TARGET` has to be a target that `make help` lists, a
`python tools/….py` has to exist and to know the options shown, `git clone` is taken as it is, and a link to
a PostgreSQL server has to be readable (tests/unit/test_sources_tables.py runs such links against a server).
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from markdown_it import MarkdownIt

from tpr_outcomes.cli import main
from tpr_outcomes.cohort.links import parse_link
from tpr_outcomes.planning.simulate import to_file

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = {"python", "sh", "console", "toml", "json", "csv", "text"}
COMMANDS = re.compile(r"^\s*(\$|>>>|tpr|make|pip|python3?|uv|import|from|Rscript) ", flags=re.MULTILINE)


class Block(NamedTuple):
    """One code block: its language, the file it is said to be, what stands in it, the line it begins at."""

    language: str
    file: str
    text: str
    line: int


def pages() -> list[str]:
    """Every page of the site that lies in the repository, as the site's own list has it."""
    hooks = runpy.run_path(str(ROOT / "tools" / "docs_hooks.py"))
    derived = {hooks["API"], hooks["DECISIONS"]}
    return [place for _, places in hooks["chosen"]() for place in places if place not in derived]


def blocks(text: str) -> Iterator[Block]:
    """The code blocks of a page; an indented one has no language."""
    for token in MarkdownIt().parse(text):
        if token.type in {"fence", "code_block"}:
            info = token.info.strip()
            named = re.search(r'title="([^"]+)"', info)
            assert token.map is not None
            language = info.partition(" ")[0] if token.type == "fence" else ""
            yield Block(language, named.group(1) if named else "", token.content, token.map[0] + 1)


PAGES = pages()
BLOCKS = {place: list(blocks((ROOT / place).read_text(encoding="utf-8"))) for place in PAGES}


# --- what a page's reader has ------------------------------------------------------------------------------


def a_workbook(folder: Path) -> None:
    shutil.copy(ROOT / "data" / "example_tables.xlsx", folder / "clinic.xlsx")


def tables(folder: Path) -> None:
    """The example as Parquet, and as the table `visits` of a DuckDB file."""
    duckdb = pytest.importorskip("duckdb")
    example = str(ROOT / "data" / "example_threshold.csv")
    with contextlib.closing(duckdb.connect(str(folder / "clinic.db"))) as connection:
        connection.execute("CREATE TABLE visits AS SELECT * FROM read_csv(?)", [example])
        connection.execute(f"COPY visits TO '{folder / 'clinic.parquet'}' (FORMAT parquet)")


def a_registry(folder: Path) -> None:
    """Two small clinics."""
    (folder / "registry").mkdir()
    for seed in (1, 2):
        to_file("N4", folder / "registry" / f"clinic{seed}.csv", n_patients=40, seed=seed)


READER_HAS: dict[str, Callable[[Path], None]] = {
    "docs/formats/check.md": a_workbook,
    "docs/many-clinics.md": a_registry,
    "docs/formats/tables-and-databases.md": tables,
}

PROMISED = {
    "README.md": "report/example/report.html",
    "docs/tutorial.md": "report/practice/report.html",
}

# --- running -----------------------------------------------------------------------------------------------


def words_of(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def plan_make(target: str) -> None:
    """A target that `make help` can list."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(target)}:.*## ", makefile, flags=re.MULTILINE), f"no target {target}"


def look_at_script(words: list[str]) -> None:
    """A script of ours with options it knows."""
    script = ROOT / words[0]
    assert script.is_file(), words[0]
    options = [word for word in words[1:] if word.startswith("--")]
    text = script.read_text(encoding="utf-8")
    assert [option for option in options if f'"{option}"' not in text] == []


def run_tpr(words: list[str]) -> tuple[int, str]:
    """A `tpr` command in this process: its code, and all it said."""
    link = next((word for word in words if word.startswith("postgresql://")), None)
    if link is not None:
        assert parse_link(link) is not None
        return 0, ""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main(words)
    return code, said.getvalue()


def run_line(line: str) -> tuple[int, str]:
    """One line of a shell, as far as pages use it: code and standard output."""
    words = words_of(line)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if not words:
        return 0, ""
    target = None
    if ">" in words:
        words, target = words[: words.index(">")], words[words.index(">") + 1]
    if words[0] == "tpr":
        code, said = run_tpr(words[1:])
        if target is not None:
            Path(target).write_text(said, encoding="utf-8")
        return code, "" if target else said
    if words[0] == "make":
        for word in words[1:]:
            if "=" not in word:
                plan_make(word)
    elif words[0] in {"python", ".venv/bin/python"}:
        look_at_script(words[1:])
    else:
        clone = re.fullmatch(r"git clone <.+> && cd tpr_outcomes", line)
        assert clone is not None, f"not run by this test: {line}"
    return 0, ""


def sessions(text: str) -> list[tuple[str, list[str]]]:
    """Commands of a console block, each with the lines printed below it."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def squeezed(line: str) -> str:
    return " ".join(line.split())


def first_missing(shown: list[str], said: str) -> str | None:
    """The first line shown that was not said, in this order; `…` is anything, and blanks do not count.

    A line that does not follow a line of `…` alone has to follow the one before it at once.
    """
    lines = [squeezed(line) for line in said.splitlines() if line.strip()]
    at, anywhere = 0, False
    for wanted in filter(None, map(squeezed, shown)):
        if wanted == "…":
            anywhere = True
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in wanted.split("…")))
        ahead = range(at, len(lines)) if anywhere else range(at, min(at + 1, len(lines)))
        found = next((index for index in ahead if pattern.fullmatch(lines[index])), None)
        if found is None:
            return wanted
        at, anywhere = found + 1, False
    return None if anywhere or at == len(lines) else f"nothing is shown for: {lines[at]}"


def run_block(block: Block, names: dict[str, Any], place: str) -> None:
    if block.file:
        Path(block.file).write_text(block.text, encoding="utf-8")
    if block.language == "python":
        exec(compile(block.text, place, "exec"), names)
    elif block.language == "sh":
        for line in block.text.splitlines():
            assert run_line(line)[0] == 0, line
    elif block.language == "console":
        for line, shown in sessions(block.text):
            code, said = run_line(line)
            assert first_missing(shown, said) is None, said
            assert code == 0 or shown, line
    elif block.language == "toml":
        assert tomllib.loads(block.text)
    elif block.language == "json":
        assert json.loads(block.text)
    elif block.language == "csv":
        widths = {line.count(",") for line in block.text.splitlines()}
        assert len(widths) == 1


# --- the tests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PAGES)
def test_every_block_says_what_it_is(place: str) -> None:
    """No block escapes by having no language, and no command hides in plain text."""
    for block in BLOCKS[place]:
        assert block.language in LANGUAGES, f"{place}:{block.line}"
        assert block.language != "text" or COMMANDS.search(block.text) is None, f"{place}:{block.line}"


WITH_CODE = [place for place in PAGES if any(block.language != "text" for block in BLOCKS[place])]


@pytest.mark.parametrize("place", WITH_CODE)
def test_the_blocks_of_a_page_run(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    READER_HAS.get(place, lambda _: None)(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in BLOCKS[place]:
        run_block(block, names, place)
    assert place not in PROMISED or (tmp_path / PROMISED[place]).is_file()
    if place == "docs/tutorial.md":
        for picture in sorted((ROOT / "docs" / "images" / "tutorial").iterdir()):
            fresh = tmp_path / "report" / "practice" / "figures" / picture.name
            assert picture.read_bytes() == fresh.read_bytes(), "renew: python tools/docs_pictures.py"


def test_the_pages_are_the_ones_meant() -> None:
    assert {"README.md", "docs/tutorial.md", "GLOSSARY.md", "docs/formats/tidy.md"} <= set(PAGES)
    assert "docs/tutorial.md" in WITH_CODE


@pytest.mark.parametrize(
    ("shown", "said", "missing"),
    [
        (["a b", "c"], "a  b\n\nc\n", None),
        (["a", "…", "d"], "a\nb\nc\nd\n", None),
        (["a", "d"], "a\nb\nd\n", "d"),
        (["x … z"], "x y z", None),
        (["x … z"], "x y", "x … z"),
        (["a"], "a\nb", "nothing is shown for: b"),
        (["…"], "a\nb", None),
        ([], "a", "nothing is shown for: a"),
    ],
)
def test_output_is_compared_line_by_line(shown: list[str], said: str, missing: str | None) -> None:
    assert first_missing(shown, said) == missing


@pytest.mark.parametrize(
    "line", ["make nonsense", "python tools/nothing.py", "curl x", "python tools/report.py --nonsense"]
)
def test_a_command_that_is_not_there_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        run_line(line)


@pytest.mark.parametrize("text", ["```\nx\n```\n", "Text\n\n    make test\n"])
def test_a_block_without_a_language_is_noticed(text: str) -> None:
    (block,) = blocks(text)
    assert block.language not in LANGUAGES
