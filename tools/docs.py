"""`make docs`: build the site into site/, any warning an error; it is read without a network."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).resolve().parent.parent


def build_site(out: Path) -> None:
    """Build all pages into a folder; raises `mkdocs.exceptions.Abort` at the first end with a warning."""
    config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(out))
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    finally:
        config.plugins.on_shutdown()


def main() -> None:
    """Build, then say where."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "site")
    out = options.parse_args().out.resolve()
    try:
        build_site(out)
    except Abort as error:
        print(f"docs: {error}", file=sys.stderr)
        sys.exit(1)
    print(f"The pages are in {out}; open {out / 'index.html'}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    main()
