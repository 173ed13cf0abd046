"""Large files beside pandas done plainly: ratios of time and memory, never bare seconds.

    PYTHONPATH=src python benchmarks/files.py --out benchmarks/files

A million visits as CSV and as Parquet: ours reads them, applies every rule, sorts, and derives the dose
before every rating; pandas reads the file and sorts it by patient and visit. Twenty million visits as
Parquet, those of a patient far apart: ours through DuckDB with a gigabyte for everything; pandas reads, sorts
and adds the doses up. Each run is a process of its own. Time is processor time of the process and its
threads; memory is the most it held (VmHWM of Linux, which begins anew with every program) beyond what it held
once its libraries were loaded. Repeats alternate: pandas, ours, pandas, ours.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

VISITS_EACH = 12
BLOCK = 50_000
CAP_MB = 1024
REPEATS = 3

MEASURE = """
import json, sys, time
def most():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
source, target = sys.argv[1], sys.argv[2]
{load}
before, began = most(), time.process_time()
{work}
spent = {{"seconds": time.process_time() - began, "added": most() - before, "most": most()}}
print(json.dumps({{**spent, **facts}}))
"""
PANDAS_LOAD = "import pandas as pd, pyarrow.parquet"
OURS_LOAD = "import tpr_outcomes as tpr, pyarrow.parquet\nfrom tpr_outcomes.cohort.derive import ratings"
PANDAS_READ = """
frame = pd.read_{kind}(source).sort_values(["patient", "visit"])
facts = {{"rows": len(frame), "frame": frame.memory_usage(deep=True).sum() / 2**20}}
"""
OURS_READ = """
visits = tpr.read_visits(source)
found = ratings(visits)
facts = {"rows": visits.n_visits, "ratings": int(found.row.size)}
"""
PANDAS_DOSES = """
frame = pd.read_parquet(source, columns=["patient", "visit", "date", "pain", "twitches"])
frame = frame.sort_values(["patient", "visit"], ignore_index=True)
by = frame.groupby("patient", sort=False)
frame["dose_before"] = by["twitches"].cumsum() - frame["twitches"]
frame["change"] = frame["pain"] - by["pain"].transform("first")
frame.to_parquet(target)
facts = {"rows": len(frame), "frame": frame.memory_usage(deep=True).sum() / 2**20}
"""
OURS_DOSES = """
report = derive_registry(source, target)
facts = {"rows": report.rows, "patients": report.patients, "ratings": report.ratings}
"""
OURS_DOSES_LOAD = "import duckdb, pyarrow.parquet\nfrom tpr_outcomes.cohort.registries import derive_registry"


def made(n: int, *, by_patient: bool) -> pa.Table:
    """A block of visits: by patient, or by calendar time as registries are."""
    rng = np.random.default_rng(20261125 + n)
    who = np.arange(n, n + BLOCK)
    visit = np.arange(1, VISITS_EACH + 1)
    ids, number = (
        (np.repeat(who, VISITS_EACH), np.tile(visit, BLOCK))
        if by_patient
        else (np.tile(who, VISITS_EACH), np.repeat(visit, BLOCK))
    )
    first, age = rng.integers(16_000, 19_500, BLOCK), rng.integers(18, 90, BLOCK)
    return pa.table(
        {
            "patient": np.char.add("P", np.char.zfill(ids.astype(str), 8)),
            "visit": pa.array(number, pa.int32()),
            "date": pa.array((first[ids - n] + 7 * number).astype(np.int32)).cast(pa.date32()),
            "pain": rng.integers(0, 21, ids.size) / 2,
            "twitches": pa.array(rng.poisson(6, ids.size), pa.int32()),
            "insertions": pa.array(rng.poisson(20, ids.size), pa.int32()),
            "therapist": np.char.add("therapist ", rng.integers(0, 30, ids.size).astype(str)),
            "age": pa.array(age[ids - n], pa.int16()),
        }
    )


def write(path: Path, visits: int, *, by_patient: bool, quoted: bool = False) -> None:
    """Write so many visits as CSV or Parquet, block by block."""
    patients, file = visits // VISITS_EACH, None
    for start in range(0, patients, BLOCK):
        table = made(start, by_patient=by_patient).slice(0, min(BLOCK, patients - start) * VISITS_EACH)
        if path.suffix == ".csv":
            quoting = csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL
            table.to_pandas().to_csv(path, mode="a", index=False, header=not start, quoting=quoting)
            continue
        file = file or pq.ParquetWriter(path, table.schema)
        file.write_table(table)
    if file is not None:
        file.close()


def run(load: str, work: str, source: Path) -> dict[str, float]:
    """Measure a piece of work in a process of its own."""
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        code = MEASURE.format(load=load, work=work)
        done = subprocess.run(
            [sys.executable, "-c", code, str(source), f"{folder}/out.parquet"],
            check=False, capture_output=True, text=True, env=os.environ,
        )  # fmt: skip
    if done.returncode:
        return {"failed": 1.0}
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def million(folder: Path, visits: int) -> list[dict[str, object]]:
    """Ours against pandas on files that fit into memory."""
    rows = []
    for name, kind, quoted in (
        ("CSV", "csv", False),
        ("CSV, texts quoted", "csv", True),
        ("Parquet", "parquet", False),
    ):
        source = folder / f"{len(rows)}.{kind}"
        write(source, visits, by_patient=True, quoted=quoted)
        theirs, ours = [], []
        for _ in range(REPEATS):
            theirs.append(run(PANDAS_LOAD, PANDAS_READ.format(kind=kind), source))
            ours.append(run(OURS_LOAD, OURS_READ, source))
        time_ratio = np.median([o["seconds"] for o in ours]) / np.median([t["seconds"] for t in theirs])
        most = max(o["added"] for o in ours)
        rows.append(
            {
                "task": "read, check, sort, derive / read, sort",
                "file": name,
                "visits": int(ours[0]["rows"]),
                "time / pandas": round(float(time_ratio), 1),
                "goal": 5 if name.startswith("CSV") else "",
                "memory / pandas table": round(most / theirs[0]["frame"], 1),
                "memory / file": round(most / (source.stat().st_size / 2**20), 1),
                "memory / pandas": round(most / max(t["added"] for t in theirs), 1),
                "most, MB": round(max(o["most"] for o in ours)),
            }
        )
        source.unlink()
    return rows


def millions(folder: Path, visits: int, *, alone: bool) -> dict[str, object]:
    """Ours through DuckDB against pandas in memory."""
    source = folder / "registry.parquet"
    write(source, visits, by_patient=False)
    ours = run(OURS_DOSES_LOAD, OURS_DOSES, source)
    theirs = {} if alone else run(PANDAS_LOAD, PANDAS_DOSES, source)
    compared = bool(theirs) and "failed" not in theirs
    row: dict[str, object] = {
        "task": f"check, derive out of memory (cap {CAP_MB} MB) / sort, add up in memory",
        "file": "Parquet, by calendar time",
        "visits": int(ours.get("rows", 0)),
        "time / pandas": round(ours["seconds"] / theirs["seconds"], 1) if compared else "",
        "goal": "",
        "memory / pandas table": round(ours["added"] / theirs["frame"], 2) if compared else "",
        "memory / file": round(ours["added"] / (source.stat().st_size / 2**20), 1),
        "memory / pandas": round(ours["added"] / theirs["added"], 2) if compared else "",
        "most, MB": round(ours["most"]),
    }
    source.unlink()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=1_000_000)
    parser.add_argument("--registry", type=int, default=20_000_000, help="visits out of memory; 0 for none")
    parser.add_argument("--alone", action="store_true", help="leave pandas out of the large one")
    parser.add_argument("--folder", type=Path, help="where the files go for the time being")
    parser.add_argument("--out", type=Path, help="name of the .csv and .md without ending")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        rows = million(Path(name), given.visits) if given.visits else []
        if given.registry:
            rows.append(millions(Path(name), given.registry, alone=given.alone))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    if given.out:
        libraries = ", ".join(f"{name} {version(name)}" for name in ("pandas", "numpy", "pyarrow", "duckdb"))
        head = f"python benchmarks/files.py --visits {given.visits} --registry {given.registry}"
        head += f"; Python {platform.python_version()}, {libraries}"
        text = table.to_csv(index=False, lineterminator="\n")
        given.out.with_suffix(".csv").write_text(f"# {head}\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
