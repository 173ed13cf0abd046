"""Draw every picture the toolkit makes and write docs/gallery.md; with --check, only compare.

    python tools/gallery.py            # draws docs/images/gallery/*.png anew, and the page
    python tools/gallery.py --check    # says what on the page is not what the code draws now

Words are compared letter by letter. Pictures are compared with a small tolerance: how the edge of a letter
is smoothed is not what the page is about.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

import tpr_outcomes as tpr
from tpr_outcomes import notebook
from tpr_outcomes.cohort import describe
from tpr_outcomes.models.outlook import outlook
from tpr_outcomes.planning import lesson
from tpr_outcomes.planning.power import power_grid
from tpr_outcomes.reporting import alt_text, alt_text_notebook, plots_lesson, plots_patient, plots_planning
from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.drawn import dose_picture
from tpr_outcomes.reporting.pictures import pictures
from tpr_outcomes.reporting.plot_style import STYLE
from tpr_outcomes.reporting.spelling import terms

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "gallery.md"
FOLDER = ROOT / "docs" / "images" / "gallery"
DOTS = 80
"""Dots per inch: 640 wide for a picture of eight inches."""
COLORS = 48
"""Colors kept in a stored picture; enough for a dozen inks and their smoothed edges."""
TOLERANCE = 4.0
"""Root mean square difference, of 255, within which two pictures are the same (see tests/test_gallery.py)."""

HEAD = """# Gallery

Every picture the toolkit draws, with the line that draws it. `result` is an evaluation; each function takes a
result, draws on the Axes you give it (`ax`, alone or among others) and returns that Axes. A second function
says the same in words: the text under each picture here is what it returns. Lines and marks differ in dash or
shape as well as in color, so that none needs color ([what the pictures show](methods/pictures.md)).

```python
import tpr_outcomes as tpr

result = tpr.evaluate(tpr.load_example("threshold"), replicates=199)
ax = tpr.plot(result, "dose")
ax.figure.savefig("dose.png")
print(tpr.plot_alt(result, "dose"))
```

Pictures that the notebooks draw of simulated clinics come from `tpr_outcomes.reporting.plots_lesson` and its
neighbours; the notebook they stand in shows what they are given.

All data on this page are simulated. The page is written by `tools/gallery.py`, and a test holds it to what
the code draws.
"""


@dataclass(frozen=True)
class Entry:
    """One picture of the gallery."""

    name: str
    title: str
    code: str
    alt: str
    draw: Callable[[Any], Any]
    size: tuple[float, float] = (8.0, 4.5)


def entries() -> list[Entry]:
    """Everything that can be drawn, from one evaluation, one lesson, one patient and one grid of studies."""
    visits = tpr.load_example("threshold")
    result = tpr.evaluate(visits, replicates=199)
    found = [
        Entry(
            picture.name,
            picture.title,
            f'tpr.plot(result, "{picture.name}", ax)',
            picture.alt,
            lambda ax, name=picture.name: tpr.plot(result, name, ax),
        )
        for picture in pictures(result)
    ]
    return [*found, _several(result), *_of_notebooks(visits, result), *_of_studies()]


def _several(result: Any) -> Entry:
    shown = ("dose", "courses", "profile", "rivals")

    def draw(ax: Any) -> Any:
        figure = ax.figure
        ax.remove()
        for place, name in zip(figure.subplots(2, 2).flat, shown, strict=True):
            tpr.plot(result, name, place)
        return figure.axes[0]

    title = "Several in one figure"
    lines = (
        "import matplotlib.pyplot as plt",
        "",
        'figure, axes = plt.subplots(2, 2, figsize=(13, 8), layout="constrained")',
        f"for ax, name in zip(axes.flat, {shown!r}):".replace("'", '"'),
        "    tpr.plot(result, name, ax)",
    )
    code = "\n".join(lines)
    alt = "Four of the pictures above in one figure, two by two: " + ", ".join(shown) + "."
    return Entry("several", title, code, alt, draw, (13.0, 8.0))


def _of_notebooks(visits: Any, result: Any) -> list[Entry]:
    evidence = result.evidence
    called = terms(evidence.ratings.dose, evidence.scale)
    drawn = dose_picture(evidence, result.decision)
    assert drawn is not None
    assert evidence.test is not None
    assert evidence.working is not None
    profile = evidence.test.profile
    table = describe.attrition(visits).to_frame()
    patient = outlook(evidence.working, visits, 4, known=3)
    made = lesson.lesson(lesson.Setting(course=0.55, bad_day=1.0, pain_driven=0.4), clinic=2, replicates=199)
    ladder = lesson.ladder(clinics=2)
    seen = (f"{table['seen'].iloc[0]:,}", f"{table['seen'].iloc[-1]:,}")
    last, compared = int(table["visit"].iloc[-1]), notebook.compare_stopping(visits)
    return [
        Entry("answer", "The answer on the first screen",
              "plots_lesson.plot_answer(drawn, ax, called, profile)", alt_text.dose_alt(drawn, called),
              lambda ax: plots_lesson.plot_answer(drawn, ax, called, profile)),
        Entry("attrition", "Who stops, and how they were doing",
              "plots_lesson.plot_attrition(table, ax, unit)",
              alt_text_notebook.attrition_alt(seen, last, compared),
              lambda ax: plots_lesson.plot_attrition(table, ax, called.unit)),
        Entry("outlook", "One patient, and what usually follows",
              "plots_patient.plot_outlook(outlook, ax, scale)", plots_patient.outlook_alt(patient, called),
              lambda ax: plots_patient.plot_outlook(patient, ax, visits.scale)),
        Entry("naive", "A simple analysis, fooled", 'plots_lesson.plot_naive(lesson, ax, "line")',
              alt_text_notebook.lesson_alt(made, "line"),
              lambda ax: plots_lesson.plot_naive(made, ax, "line")),
        Entry("ours", "This toolkit on the same simulated clinic", "plots_lesson.plot_ours(lesson, ax)",
              alt_text_notebook.lesson_alt(made, "line"), lambda ax: plots_lesson.plot_ours(made, ax)),
        Entry("ladder", "What goes wrong, one thing after another", "plots_lesson.plot_ladder(table, ax)",
              alt_text_notebook.ladder_alt(ladder), lambda ax: plots_lesson.plot_ladder(ladder, ax),
              (10.4, 5.4)),
    ]  # fmt: skip


def _of_studies() -> list[Entry]:
    grid = power_grid(patients=(60, 90), visits=(12,), thresholds=(30,), slopes=(-0.05,), clinics=2, seed=1)
    table = grid.to_frame()
    real = table[(table["question"] == "supported") & table["threshold"].notna()].copy()
    real["label"] = [say.DESIGNS[name] for name in real["assignment"]]
    for name, column in {"share": "estimate", "low": "conf_low", "high": "conf_high"}.items():
        real[name] = 100.0 * real[column]
    return [
        Entry("study-power", "How many patients a study takes", "plots_lesson.plot_study_power(table, ax)",
              alt_text_notebook.study_power_alt(real),
              lambda ax: plots_lesson.plot_study_power(real, ax)),
        Entry("power", "A grid of studies", 'plots_planning.power_curves(grid, ax, question="shape")',
              plots_planning.power_alt(grid), lambda ax: plots_planning.power_curves(grid, ax)),
    ]  # fmt: skip


def picture(entry: Entry) -> Image.Image:
    """Draw one picture in the house style, whatever the settings of the machine."""
    made = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        with mpl.rc_context(STYLE):
            figure = plots_lesson.new_figure(*entry.size)
            FigureCanvasAgg(figure)
            entry.draw(figure.subplots())
            figure.savefig(made, format="png", dpi=DOTS, metadata={"Software": None})
    return Image.open(made).convert("RGB")


def page(all_of_them: list[Entry]) -> str:
    """The words of the gallery."""
    parts = [HEAD]
    for entry in all_of_them:
        alt = entry.alt.replace("\n", " ").replace("[", "(").replace("]", ")")
        parts.append(
            f"## {entry.title}\n\n![{entry.title}](images/gallery/{entry.name}.png)\n\n"
            f"```{'python' if 'tpr.plot' in entry.code else 'text'}\n{entry.code}\n```\n\n{alt}\n"
        )
    return "\n".join(parts)


def apart(stored: Path, drawn: Image.Image) -> float:
    """Root mean square difference of two pictures, of 255; infinite where sizes differ or one is missing."""
    if not stored.exists():
        return float("inf")
    with Image.open(stored) as opened:
        before = opened.convert("RGB")
    if before.size != drawn.size:
        return float("inf")
    one, other = (np.asarray(image, dtype=float) for image in (before, drawn))
    return float(np.sqrt(((one - other) ** 2).mean()))


def stale(all_of_them: list[Entry]) -> list[str]:
    """What on the page is not what the code draws now."""
    wrong = [] if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page(all_of_them) else [PAGE.name]
    names = {f"{entry.name}.png" for entry in all_of_them}
    wrong += sorted(path.name for path in FOLDER.glob("*.png") if path.name not in names)
    for entry in all_of_them:
        if apart(FOLDER / f"{entry.name}.png", picture(entry)) > TOLERANCE:
            wrong.append(f"{entry.name}.png")
    return wrong


def main(arguments: list[str]) -> int:
    """Write the gallery, or say what is stale in it."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--check", action="store_true", help="compare only; 1 where anything is stale")
    chosen = parser.parse_args(arguments)
    all_of_them = entries()
    if chosen.check:
        wrong = stale(all_of_them)
        if wrong:
            print(f"stale: {', '.join(wrong)}; run python tools/gallery.py", file=sys.stderr)
        return int(bool(wrong))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.png"):
        path.unlink()
    for entry in all_of_them:
        small = picture(entry).quantize(COLORS, dither=Image.Dither.NONE)
        small.save(FOLDER / f"{entry.name}.png", optimize=True)
    PAGE.write_text(page(all_of_them), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
