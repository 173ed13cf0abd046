"""Derive environment.yml (conda) from pyproject.toml: `python tools/environment.py > environment.yml`.

With `--check`, compare instead, and end with status 1 if the file in the repository is not what this prints.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "environment.yml"

# Where conda-forge calls a package by another name than PyPI.
CONDA_NAMES = {
    "duckdb": "python-duckdb",
    "matplotlib": "matplotlib-base",  # the same library without a graphical toolkit
}

HEAD = """\
# Derived from pyproject.toml by tools/environment.py: change the ranges there, then run it again.
#   conda env create -f environment.yml && conda activate tpr-outcomes
# A test compares every name and range below with pyproject.toml and with the versions in requirements.lock.
# Whether conda can solve it is untested here: the tests run in an environment made from requirements.lock.
# For numbers that must be reproduced exactly, use `make`, which installs that lock.
"""


def split(requirement: str) -> tuple[str, str]:
    """Name and range of a requirement that has no marker, extra or address: ours have none."""
    found = re.fullmatch(r"([A-Za-z0-9._-]+)\s*([<>=!~0-9.,\s]*)", requirement)
    if found is None:
        message = f"cannot put {requirement!r} into environment.yml: wanted a name and a range, nothing else"
        raise ValueError(message)
    return found.group(1), found.group(2).replace(" ", "")


def environment(project: dict[str, object]) -> str:
    """Text of environment.yml for the [project] table of pyproject.toml."""
    extras: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    groups: dict[str, list[str]] = {"the package": project["dependencies"]}  # type: ignore[dict-item]
    groups |= extras
    lines = [
        HEAD + f"name: {project['name']}",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
    ]
    lines.append(f"  - python {project['requires-python']}")
    for title, requirements in groups.items():
        lines.append(f"  # {title}")
        for requirement in requirements:
            name, versions = split(requirement)
            lines.append(f"  - {CONDA_NAMES.get(name, name)} {versions}".rstrip())
    lines += ["  # tpr_outcomes itself, as it lies in this folder", "  - pip", "  - pip:", "      - -e ."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the file, or compare it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        text = environment(tomllib.load(file)["project"])
    if "--check" not in sys.argv[1:]:
        print(text, end="")
    elif not ENVIRONMENT.exists() or ENVIRONMENT.read_text(encoding="utf-8") != text:
        sys.exit(
            "environment.yml is not what pyproject.toml says. "
            "Derive it again: python tools/environment.py > environment.yml"
        )


if __name__ == "__main__":
    main()
