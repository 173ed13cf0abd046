"""`make report`: evaluate each source with the `tpr` command, then say every verdict and its report."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

VICKERS_HELP = """\
The Vickers acupuncture trial was left out: its data is not at hand. It is the additional file of
Vickers 2006, Trials 7:15 (doi 10.1186/1745-6215-7-15), published under CC BY 2.0. Put it, as
vickers_acupuncture/vickers_full_raw_data.csv, into a folder and name that folder:
    make report TPR_OUTCOMES_DATA=/path/to/folder"""


def evaluate(source: str, out: Path) -> str:
    """What `tpr evaluate` said on standard output; its progress and warnings pass through to the screen."""
    command = [sys.executable, "-m", "tpr_outcomes", "evaluate", source, "--out", str(out)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode != 0:
        print(ended.stdout, end="")
        sys.exit(ended.returncode)
    return ended.stdout.strip()


def published_data() -> bool:
    """Whether the folder that holds the Vickers trial was named and is there."""
    folder = os.environ.get("TPR_OUTCOMES_DATA", "")
    return bool(folder) and Path(folder, "vickers_acupuncture").is_dir()


def main() -> None:
    """Evaluate, then sum up."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("sources", nargs="+")
    options.add_argument("--out", type=Path, default=Path("report"))
    chosen = options.parse_args()
    sources = {Path(source).stem: source for source in chosen.sources}
    if published_data():
        sources["vickers"] = "vickers"
    said = {name: evaluate(source, chosen.out / name) for name, source in sources.items()}
    for name, text in said.items():
        print(f"\n== {name}\n{text}")
    if "vickers" not in sources:
        print(f"\n{VICKERS_HELP}")
    print("\nReports:")
    for page in sorted(page for name in said for page in (chosen.out / name).glob("*.html")):
        print(f"  {page}")


if __name__ == "__main__":
    main()
