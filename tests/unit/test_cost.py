"""Cost grows no faster than the number of patients: counted, not timed, so it is the same on every machine.

An accidental quadratic has only a few ways in, and each is counted. A loop over patients or rows in
Python makes the number of calls grow (our code makes as many calls for 40 patients as for 400). Work on all
pairs in one numpy call needs an array of pairs, so peak memory would grow with the square. A search that
needs more steps for more patients shows in the number of likelihood evaluations. A compiled kernel is run
here as the plain Python it is written in, and its lines are counted.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tpr_outcomes.inference.evidence import gather_evidence
from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models import compiled_patients, compiled_rows
from tpr_outcomes.models.mixed import Covariance, Layout, MixedFit, Whitener, fit_mixed
from tpr_outcomes.planning.simulate import simulate

FEW, MANY = 40, 160
LINEAR = MANY / FEW
SLACK = 1.25
"""Memory may exceed strict proportion by this much (buffers); a quadratic exceeds it fourfold."""
FEW_MORE = 1.7
"""Calls may grow by this much (a search some steps longer); a loop over patients makes them fourfold."""
Array = NDArray[np.float64]
Work = Callable[[int], Callable[[], object]]
"""Prepares work on so many patients and returns it, so that only the work itself is counted."""


# --- the counters ------------------------------------------------------------------------------------------


def calls(work: Callable[[], object]) -> int:
    """Calls of functions, Python's and C's."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def lines(work: Callable[[], object]) -> int:
    """Lines of Python executed."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def peak(work: Callable[[], object]) -> int:
    """Most bytes held at once beyond what was there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def growth(count: Callable[[Callable[[], object]], int], work: Work) -> float:
    """Count for many patients over count for few; once before uncounted, for what is loaded on first use."""
    work(FEW)()
    few, many = (count(work(n)) for n in (FEW, MANY))
    return many / few


# --- the work ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """Ratings of ``n`` patients with 4 to 9 irregular visits, the same pattern for any n."""

    y: Array
    x: Array
    time: Array
    patient: NDArray[np.int64]

    @classmethod
    def of(cls, n: int) -> Rows:
        rng = generator(5, "cost", n)
        patient = np.repeat(np.arange(n), 4 + np.arange(n) % 6)
        time = rng.uniform(0.5, 1.5, patient.size).cumsum()
        time -= time[np.searchsorted(patient, patient)]
        x = np.column_stack([np.ones_like(time), time, rng.normal(size=time.size)])
        wobble = rng.normal(size=time.size)
        for row in np.flatnonzero(time > 0):
            wobble[row] = 0.6 * wobble[row - 1] + 0.8 * wobble[row]
        y = x @ [5.0, -0.2, 0.3] + rng.normal(0, 1, n)[patient] + rng.normal(0, 0.2, n)[patient] * time
        return cls(y + wobble + rng.normal(0, 0.7, time.size), x, time, patient)

    def fit(self, residual: Any, method: Any) -> MixedFit:
        z = self.x[:, :2]
        return fit_mixed(self.y, self.x, self.patient, z=z, time=self.time, residual=residual, method=method)


def whiten(n: int) -> Callable[[], object]:
    rows = Rows.of(n)
    covariance = Covariance(1.0, np.array([[1.0, 0.0], [0.1, 0.3]]), phi=0.5, nugget=0.3)

    def work() -> Array:
        layout = Layout.of(rows.patient, rows.time)
        z = rows.x[layout.order, :2]
        return layout.patient_sums(Whitener.of(layout, z, covariance).apply(rows.x))

    return work


def verdict(n: int) -> Callable[[], object]:
    visits = simulate("A-thr40", n_patients=n, seed=1)
    return lambda: gather_evidence(visits, replicates=49, seed=1)


def record(n: int) -> Callable[[], object]:
    return lambda: simulate("N4", n_patients=n, seed=1)


def kernel(name: str) -> Work:
    """A kernel as plain Python on already prepared arrays."""

    def prepare(n: int) -> Callable[[], object]:
        rows = Rows.of(n)
        layout = Layout.of(rows.patient, rows.time)
        starts, none = np.array(layout.starts), np.empty(0, dtype=np.int64)
        packed = np.column_stack([rows.x, rows.y])[layout.order].T.copy()
        factor, columns = np.array([0.8, 0.1, 0.4]), np.array([[-5.0, 0.2, -0.3, 1.0]])
        products = partial(compiled_rows.products_loops, starts, layout.gaps, packed, 2, True, 0.5, 0.2)
        if name == "arrange":
            return partial(compiled_rows.arrange_loops, rows.patient, rows.time, none)
        if name == "pack":
            head = np.searchsorted(rows.patient, layout.patient)
            turn = np.triu(np.ones((3, 3)))
            return partial(compiled_rows.pack_loops, packed, 0, rows.x, none, head, starts, turn)
        if name == "products":
            return products
        a, b, c, _ = products()
        if name == "evaluate":
            many = np.empty(0)
            return partial(compiled_patients.evaluate_loops, a, b, c, many, factor, rows.y.size, True)
        weights, place = np.array([1.0]), (starts, layout.gaps, packed, 2, True, 0.5, 0.2)
        return partial(compiled_rows.tangents_loops, *place, a, factor, columns, weights)

    return prepare


FITS = [("independent", "ml"), ("independent", "reml"), ("car1", "reml"), ("car1+nugget", "ml")]


# --- the guard ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("residual", "method"), FITS)
def test_a_search_needs_no_more_steps_for_more_patients(residual: str, method: str) -> None:
    """Nor many: about twice what it takes now. (With few patients the optimum may lie at a boundary.)"""
    few, many = (Rows.of(n).fit(residual, method).evaluations for n in (MANY, 4 * MANY))
    assert max(few, many) < 400
    assert many < 2 * few


@pytest.mark.parametrize(("residual", "method"), FITS)
def test_a_fit_loops_over_no_patients(residual: str, method: str) -> None:
    """Calls do not depend on the number of patients. (With few, more starts are tried.)"""
    few, many = (calls(partial(Rows.of(n).fit, residual, method)) for n in (MANY, 4 * MANY))
    assert many < FEW_MORE * few


@pytest.mark.parametrize(("residual", "method"), FITS)
def test_a_fit_holds_no_array_of_pairs(residual: str, method: str) -> None:
    assert growth(peak, lambda n: partial(Rows.of(n).fit, residual, method)) < SLACK * LINEAR


@pytest.mark.parametrize("work", [whiten, verdict, record], ids=lambda work: work.__name__)
def test_no_step_of_the_procedure_loops_over_patients(work: Work) -> None:
    assert growth(calls, work) < FEW_MORE


@pytest.mark.parametrize("work", [whiten, verdict, record], ids=lambda work: work.__name__)
def test_no_step_of_the_procedure_holds_an_array_of_pairs(work: Work) -> None:
    assert growth(peak, work) < SLACK * LINEAR


@pytest.mark.parametrize("name", ["arrange", "pack", "products", "evaluate", "tangents"])
def test_a_kernel_passes_over_the_rows_once(name: str) -> None:
    assert growth(lines, kernel(name)) < 1.05 * LINEAR


# --- a guard that cannot fail is no guard ------------------------------------------------------------------


def looped(n: int) -> Callable[[], object]:
    return lambda: [np.sum(np.ones(3)) for _ in range(n)]


def paired(n: int) -> Callable[[], object]:
    return lambda: np.subtract.outer(np.arange(10.0 * n), np.arange(10.0 * n)).sum()


def nested(n: int) -> Callable[[], object]:
    def work() -> int:
        total = 0
        for i in range(n):
            for j in range(n):
                total += i ^ j
        return total

    return work


def test_a_loop_over_patients_is_seen() -> None:
    assert growth(calls, looped) > 2 * FEW_MORE


def test_an_array_of_pairs_is_seen() -> None:
    assert growth(peak, paired) > 2 * SLACK * LINEAR


def test_a_nested_loop_in_a_kernel_is_seen() -> None:
    assert growth(lines, nested) > 2 * LINEAR
