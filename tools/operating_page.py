"""Write docs/methods/operating-characteristics.md from a study's folder: page and numbers cannot part.

tpr calibrate --worlds all --seed 20261124 --out docs/methods/calibration
python tools/operating_page.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "methods" / "calibration"
PAGE = ROOT / "docs" / "methods" / "operating-characteristics.md"
LIMIT = 2.5
"""Percent of clinics without a threshold that may be called supported."""

SHORT = {
    "threshold_supported": "supported",
    "threshold_shape_confounding_alarm": "alarm",
    "not_identifiable": "not ident.",
    "cumulative_association": "cumul.",
    "dose_association": "dose",
    "no_relevant_effect": "no rel. eff.",
    "inconclusive": "inconcl.",
}


def cell(value: object) -> str:
    """One value of a table; nothing where there is none."""
    if pd.isna(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def table(rows: pd.DataFrame, columns: dict[str, str]) -> str:
    """Markdown table; a row above the limit in bold."""
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    for _, row in rows.iterrows():
        over = not row["has_threshold"] and row["threshold_supported"] > LIMIT
        cells = [cell(row[key]) for key in columns]
        lines.append("| " + " | ".join(f"**{text}**" if over and text else text for text in cells) + " |")
    return "\n".join(lines)


PAGE_TEXT = """# Operating characteristics of the verdict

Percent of simulated clinics per verdict. Simulated worlds have invented parameters: they show what the method
does, not what patients do. MCSE is the Monte Carlo standard error of the percentage; "upper 95%" the exact
(Clopper–Pearson) limit of "supported". **Bold**: worlds without a threshold that are called supported in more
than {limit}% of clinics ({named}).

Made by `{command}` (a seed not used in tuning; {bootstrap} bootstrap replicates per verdict; versions in
[study.json](calibration/study.json)). Numbers:
[operating-characteristics.csv](calibration/operating-characteristics.csv). Procedure:
[threshold verdict](threshold-verdict.md). {note}

## Worlds without a threshold: how often is one claimed?

{nulls}

`any dose` is the one-sided 2.5% test against "no dose at all": it is rightly positive where twitches work in
another shape, and wrongly where a patient trait or unrecorded reasons drive dose and recovery together.
`A-kink` bends at 40 twitches but works before it too: threshold-shaped, not a threshold with nothing before
it. The verdict's bound on relief before the threshold is there for it. `convex` and `convex-worst` are
confounders built to look like a threshold; no record without randomised targets can exclude them, and the
report says so.

{confirmed}
## Worlds with a threshold: how often is it found, and where?

The oracle is the one-sided 5% test with one degree of freedom that knows shape, threshold and covariance and
asks only whether the true curve beats a straight line; efficiency is supported over oracle. Coverage is that
of the 95% interval in all clinics, and in those supported. In `A-het` thresholds differ between patients; the
interval is judged against their median.

{real}

## The worlds

{worlds}
"""


CONFIRMED = """## Cells near a limit, again

Cells that had been near a limit (straight lines with few patients, thresholds with 400), with more
clinics and a seed used for nothing else: [confirmed.csv](calibration/confirmed.csv).

{rows}
"""


def confirmed() -> str:
    """Repeated cells, where there are any."""
    path = FOLDER / "confirmed.csv"
    if not path.exists():
        return ""
    columns = {
        "world": "world", "patients": "patients", "clinics": "clinics", "seed": "seed",
        "threshold_supported": "supported", "supported_mcse": "MCSE", "supported_high": "upper 95%",
        "coverage": "coverage", "coverage_mcse": "MCSE ", "coverage_supported": "coverage, supported",
    }  # fmt: skip
    return CONFIRMED.format(rows=table(pd.read_csv(path), columns))


def page(frame: pd.DataFrame, study: dict[str, object]) -> str:
    """The whole page."""
    nulls = frame[~frame["has_threshold"]]
    real = frame[frame["has_threshold"]]
    base = {"world": "world", "patients": "patients", "clinics": "clinics"}
    size = {**base, **SHORT, "supported_mcse": "MCSE", "supported_high": "upper 95%", "dose_p": "any dose"}
    power = {
        **base, "threshold": "true threshold", "threshold_supported": "supported", "supported_mcse": "MCSE",
        "threshold_shape_confounding_alarm": "alarm", "oracle": "oracle", "efficiency": "efficiency",
        "coverage": "coverage", "coverage_mcse": "MCSE ", "coverage_supported": "coverage, supported",
        "mean_estimate": "mean estimate", "mean_estimate_supported": "mean, supported",
        "mean_width": "mean width",
    }  # fmt: skip
    over = nulls[nulls["threshold_supported"] > LIMIT]
    named = [f"`{world}` at {n}" for world, n in zip(over["world"], over["patients"], strict=True)]
    worlds = frame.drop_duplicates("world")
    lines = [f"- `{name}`: {text}" for name, text in zip(worlds["world"], worlds["description"], strict=True)]
    return PAGE_TEXT.format(
        limit=LIMIT,
        named=", ".join(named) or "none",
        command=study["command"],
        bootstrap=study["bootstrap"],
        note=study.get("note", ""),
        nulls=table(nulls, size),
        confirmed=confirmed(),
        real=table(real, power),
        worlds="\n".join(lines),
    )


def main() -> None:
    """Write the page."""
    study = json.loads((FOLDER / "study.json").read_text(encoding="utf-8"))
    frame = pd.read_csv(FOLDER / "operating-characteristics.csv")
    PAGE.write_text(page(frame, study), encoding="utf-8")


if __name__ == "__main__":
    main()
