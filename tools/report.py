"""`make report`: evaluate each source with the `tpr` command, then say every verdict and its report."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tpr_outcomes.datasets import vickers_file
from tpr_outcomes.errors import DatasetError


def evaluate(source: str, out: Path) -> str:
    """The verdict's sentence; progress and warnings of `tpr evaluate` pass through to the screen."""
    print(f"evaluating {source}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "tpr_outcomes", "evaluate", source, "--out", str(out)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode != 0:
        print(ended.stdout, end="")
        sys.exit(ended.returncode)
    verdict = out / "verdict.json"
    if not verdict.exists():
        return ended.stdout.strip()
    return str(json.loads(verdict.read_text(encoding="utf-8"))["sentence"])


def why_not_vickers() -> str:
    """Empty if the Vickers trial can be read without a download, else how to get it."""
    try:
        vickers_file(fetch=False)
    except DatasetError as error:
        return f"The Vickers acupuncture trial was left out. {error}"
    return ""


def main() -> None:
    """Evaluate, then sum up."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("sources", nargs="+")
    options.add_argument("--out", type=Path, default=Path("report"))
    chosen = options.parse_args()
    sources = {Path(source).stem: source for source in chosen.sources}
    missing = why_not_vickers()
    if not missing:
        sources["vickers"] = "vickers"
    said = {name: evaluate(source, chosen.out / name) for name, source in sources.items()}
    for name, text in said.items():
        print(f"\n== {name}\n{text}")
    if missing:
        print(f"\n{missing}")
    print("\nReports:")
    for page in sorted(page for name in said for page in (chosen.out / name).glob("*.html")):
        print(f"  {page}")


if __name__ == "__main__":
    main()
