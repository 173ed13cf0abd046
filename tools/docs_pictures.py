"""The tutorial's pictures, made again by its own commands: run this when a picture of the report changes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tpr_outcomes.cli import main as tpr

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "images" / "tutorial"


def main() -> None:
    """Simulate, evaluate, copy the figures that the tutorial shows."""
    with tempfile.TemporaryDirectory() as work:
        clinic, report = str(Path(work) / "practice.csv"), str(Path(work) / "report")
        tpr(["simulate", "A-thr40", "--patients", "180", "--seed", "3", "--out", clinic])
        tpr(["evaluate", clinic, "--out", report, "--seed", "1"])
        for picture in sorted(FOLDER.iterdir()):
            shutil.copy(Path(report) / "figures" / picture.name, picture)
            print(picture.relative_to(ROOT))


if __name__ == "__main__":
    main()
