"""Write docs/methods/scales.md from the instruments the package holds: `python tools/scales_page.py`."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from tpr_outcomes.cohort.instruments import ImportantDifference, Scale
from tpr_outcomes.cohort.regions import ANY_REGION, REGION_SCALES
from tpr_outcomes.cohort.scales import SCALES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "methods" / "scales.md"

HEAD = """# Outcome instruments

Written by `tools/scales_page.py` from `tpr_outcomes.cohort.scales`; a test compares the two.

How big a change matters depends on who is asked, how, and whether treatment goes on. Several values are
kept for one instrument, each with its source; **none is the minimal important difference**. Values are as
reported in the abstract of the source (the full papers were not read). A value without a checked source is
absent, not filled from memory, and so is an upper end of a range. *Detectable change* is measurement error:
a smaller change may be noise, a larger one need not matter. An anchor asks patients for the change itself;
it helps to judge other scales and is no outcome alone.

| instrument | range, better | important differences, as reported | detectable change |
|---|---|---|---|
"""


def cut(item: ImportantDifference) -> str:
    """One cut-point with its source."""
    size = {
        "absolute": f"{item.value:g}",
        "percent": f"{item.value:g}% of the first",
        "level": f"rated {item.value:g}",
    }[item.kind]
    return f"**{size}** {item.label} [{source(item.source, item.doi_or_pmid)}]"


def source(text: str, identifier: str) -> str:
    return f"{text}; {identifier}" if identifier else text


def row(scale: Scale) -> str:
    """One line of the table."""
    top = f"{scale.maximum:g}" if math.isfinite(scale.maximum) else "open"
    ends = f"{scale.minimum:g} to {top} {scale.unit}, {'down' if scale.higher_is_worse else 'up'}"
    name = f"`{scale.name}` {scale.label}" + ("" if scale.role == "primary" else f" ({scale.role})")
    if scale.caution:
        name += f". *{scale.caution}*"
    cuts = "; ".join(cut(item) for item in scale.important_differences) or "none with a checked source"
    errors = "; ".join(
        f"{e.value:g} {e.label} [{source(e.source, e.doi_or_pmid)}]" for e in scale.detectable_changes
    )
    return f"| {name} | {ends} | {cuts} | {errors or 'none found'} |\n"


def page() -> str:
    """The whole page."""
    table = "".join(row(scale) for scale in SCALES.values())
    regions = "".join(
        f"| {region} | {', '.join(f'`{n}`' for n in names)} |\n" for region, names in REGION_SCALES.items()
    )
    anyone = ", ".join(f"`{name}`" for name in ANY_REGION)
    return (
        f"{HEAD}{table}\n## Suggested beside a pain rating\n\n| region | instruments |\n|---|---|\n{regions}"
        f"| any | {anyone} |\n\nA pressure pain threshold in kgf/cm2 is 98.0665 kPa by definition.\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    if parser.parse_args().print:
        print(page(), end="")
    else:
        PAGE.write_text(page(), encoding="utf-8")
