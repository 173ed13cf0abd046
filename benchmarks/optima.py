"""Does the engine end at the best optimum? Random starts against the fit's own, on many small data sets.

    PYTHONPATH=src .venv/bin/python benchmarks/optima.py            (about 2 minutes of one core)

Writes benchmarks/optima.csv: for each model, how many fits, how many at a boundary, how many failed, in how
many some random start ended higher by more than 1e-6 in log-likelihood, and by how much at most. Half the
data sets have no slope variance or no intercept variance at all, so that the optimum is often singular.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models.mixed import Covariance, MixedData, fit_prepared

SEED = 20261125
STARTS = 10
HIGHER = 1e-6
MODELS = [
    (q, residual, method)
    for q in (1, 2)
    for residual in ("independent", "car1", "car1+nugget")
    for method in ("ml", "reml")
]
Array = NDArray[np.float64]


def draw(run: int, patients: int) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """4–9 irregular visits; variances of intercept and slope nil in every other data set."""
    rng = generator(SEED, "optima", patients, run)
    patient = np.repeat(np.arange(patients), rng.integers(4, 10, patients))
    first = np.searchsorted(patient, patient)
    time = rng.lognormal(0.0, 0.5, patient.size).cumsum()
    time -= time[first]
    x = np.column_stack([np.ones_like(time), time, rng.gamma(2.0, 3.0, time.size)])
    sizes = np.array([[1.0, 0.2], [1.0, 0.0], [0.0, 0.2], [0.0, 0.0]][run % 4])
    effects = (rng.normal(size=(patients, 2)) * sizes)[patient]
    phi, noise = rng.uniform(0.05, 0.9), rng.uniform(0.0, 1.0)
    wobble = rng.normal(size=time.size)
    for row in range(1, time.size):
        if patient[row] == patient[row - 1]:
            keep = phi ** (time[row] - time[row - 1])
            wobble[row] = keep * wobble[row - 1] + np.sqrt(1.0 - keep**2) * wobble[row]
    y = x @ [5.0, -0.2, 0.05] + effects[:, 0] + effects[:, 1] * time
    return y + wobble + noise * rng.normal(size=time.size), x, patient, time


def random_start(rng: np.random.Generator, q: int) -> Covariance:
    """Factor entries over a hundredfold range, correlation 0.01 to 0.98, noise share 2% to 98%."""
    factor = np.diag(np.exp(rng.uniform(-3.0, 1.6, q)))
    if q == 2:
        factor[1, 0] = rng.normal() * factor[1, 1]
    return Covariance(1.0, factor, float(rng.uniform(0.01, 0.98)), float(rng.uniform(0.02, 0.98)))


def main() -> None:
    lines = []
    for q, residual, method in MODELS:
        found = {"fits": 0, "boundary": 0, "failed": 0, "a_start_ended_higher": 0}
        most = 0.0
        for patients in (12, 30, 80, 200):
            for run in range(12):
                y, x, patient, time = draw(run, patients)
                rows = MixedData.of(x, patient, z=x[:, :q], time=time)
                fit = fit_prepared(rows, y, residual=residual, method=method)
                rng = generator(SEED, "starts", patients, run)
                tries = [
                    fit_prepared(rows, y, residual=residual, method=method, start=random_start(rng, q))
                    for _ in range(STARTS)
                ]
                best = max((t.log_likelihood for t in tries if t.status != "failed"), default=-np.inf)
                gain = best - fit.log_likelihood
                found["fits"] += 1
                found["boundary"] += fit.status == "boundary"
                found["failed"] += fit.status == "failed"
                found["a_start_ended_higher"] += gain > HIGHER
                most = max(most, gain)
        model = "intercept" if q == 1 else "intercept + slope"
        found |= {"by_at_most": f"{most:.1e}"}  # type: ignore[dict-item]
        line = {"model": model, "residual": residual, "method": method} | found
        lines.append(line)
        print(line, flush=True)
    with Path(__file__).with_name("optima.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, lines[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    main()
