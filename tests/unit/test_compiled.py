"""Compiled and plain code of the engine say the same, number by number and fit by fit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.mixed_reference import CASES, Case

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models import compiled, compiled_patients, compiled_rows, drawn_scores, mixed_sums
from tpr_outcomes.models.mixed import Layout, MixedData, fit_mixed

ROUNDING = 1e-11
"""A sum of some thousand products in another order: about 1e-16 × √1000 × cancellation of up to 1e3."""


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numpy path, whatever is installed."""
    monkeypatch.setattr(compiled, "_kernels", [compiled.PLAIN])


# --- the loops, three patients against explicit inverse covariances ----------------------------------------


def tiny(q: int) -> dict[str, Any]:
    """Three patients of 3, 2 and 1 rows, uneven gaps, ``q`` random-effect columns and two more."""
    rng = generator(2, "tiny", q)
    patient, time = np.array([0, 0, 0, 1, 1, 2]), np.array([0.0, 0.4, 2.0, 0.0, 1.3, 0.0])
    layout = Layout.of(patient, time)
    return {
        "layout": layout,
        "place": (np.array(layout.starts), layout.gaps, rng.normal(size=(q + 2, 6)), q, False),
        "factor": rng.normal(size=(q, q)) * np.tri(q),
    }


def residual_covariance(layout: Layout, patient: int, rate: float, nugget: float) -> tuple[Any, Any]:
    rows = np.flatnonzero(layout.position == patient)
    time = np.cumsum(layout.gaps[rows])
    wobble = np.exp(-rate * np.abs(time[:, None] - time[None, :]))
    return rows, (1 - nugget) * wobble + nugget * np.eye(rows.size)


@pytest.mark.parametrize("products", [compiled_rows.products_loops, mixed_sums.products])
@pytest.mark.parametrize("q", [0, 1, 2])
def test_products_are_the_sums_they_are_named_for(q: int, products: Any) -> None:
    case, rate, nugget = tiny(q), 0.7, 0.3
    packed = case["place"][2]
    a, b, c, log_det = products(*case["place"], rate, nugget)
    total, cross = 0.0, np.zeros_like(c)
    for i in range(3):
        rows, r = residual_covariance(case["layout"], i, rate, nugget)
        inner = packed[:, rows] @ np.linalg.solve(r, packed[:, rows].T)
        np.testing.assert_allclose(a[:, i], inner[:q, :q][np.tril_indices(q)], rtol=ROUNDING)
        np.testing.assert_allclose(b[:, :, i], inner[:q, q:], rtol=ROUNDING)
        cross += inner[q:, q:]
        total += np.linalg.slogdet(r)[1]
    np.testing.assert_allclose(c, cross, rtol=ROUNDING)
    assert log_det == pytest.approx(total, rel=ROUNDING)


@pytest.mark.parametrize("tangents", [compiled_rows.tangents_loops, mixed_sums.tangents])
@pytest.mark.parametrize("q", [0, 1, 2])
def test_tangents_are_central_differences(q: int, tangents: Any) -> None:
    """Derivatives in (rate, nugget) of ``sum_c w_c r_c'V^{-1}r_c + log|V|``, ``V = ZDZ' + R`` written out."""
    case, rate, nugget, step = tiny(q), 0.7, 0.3, 1e-5
    packed, factor = case["place"][2], case["factor"]
    columns, weights = np.array([[-0.4, 1.0], [0.7, 0.0]]), np.array([1.9, 1.0])

    def each(rate: float, nugget: float) -> np.ndarray:
        out = []
        for i in range(3):
            rows, r = residual_covariance(case["layout"], i, rate, nugget)
            v = packed[:q, rows].T @ factor @ factor.T @ packed[:q, rows] + r
            made = columns @ packed[q:, rows]
            out.append(weights @ (made * np.linalg.solve(v, made.T).T).sum(axis=1) + np.linalg.slogdet(v)[1])
        return np.array(out)

    a, *_ = mixed_sums.products(*case["place"], rate, nugget)
    lower = factor[np.tril_indices(q)]
    gradient, scores = tangents(*case["place"], rate, nugget, a, lower, columns, weights)
    by_rate = (each(rate + step, nugget) - each(rate - step, nugget)) / (2 * step)
    by_nugget = (each(rate, nugget + step) - each(rate, nugget - step)) / (2 * step)
    np.testing.assert_allclose(gradient, [by_rate.sum(), by_nugget.sum()], rtol=1e-7)
    moves = np.array([by_rate, by_nugget])
    np.testing.assert_allclose(scores[:2, :2], moves @ moves.T, rtol=1e-6)


@pytest.mark.parametrize("rate", [np.inf, 1e3])
def test_no_correlation_is_a_number_like_any_other(rate: float) -> None:
    case = tiny(1)
    *sums, log_det = compiled_rows.products_loops(*case["place"], rate, 0.2)
    *direct, _ = mixed_sums.products(*case["place"], np.inf, 0.0)
    for one, other in zip(sums, direct, strict=True):
        np.testing.assert_allclose(one, other, rtol=ROUNDING)  # R = I
    assert log_det == pytest.approx(0.0, abs=1e-15)
    at = case["factor"].ravel(), np.array([[0.5, 1.0]]), np.array([1.0])
    for part in compiled_rows.tangents_loops(*case["place"], 1e3, 0.2, sums[0], *at):
        assert np.isfinite(part).all()


def test_no_root_is_said() -> None:
    singular = np.array([[1.0, 1.0], [1.0, 1.0]])
    for cholesky in (compiled_patients.cholesky_loops, mixed_sums.cholesky):
        assert not cholesky(singular)[0]
        fine, root = cholesky(singular + np.eye(2))
        assert fine
        np.testing.assert_allclose(root @ root.T, singular + np.eye(2), rtol=1e-15)


# --- numpy, loops and compiled loops: the same numbers ----------------------------------------------------


def rows_of(seed: int, patients: int) -> dict[str, Any]:
    """More patients than a block holds, up to 20 rows each, in any order."""
    rng = generator(seed, "rows", patients)
    counts = rng.integers(1, 21, patients)
    patient = np.repeat(np.arange(patients), counts)
    time = np.concatenate([np.cumsum(rng.uniform(0.2, 2.0, k)) for k in counts])
    x = np.column_stack([np.ones(time.size), time, rng.gamma(2.0, 3.0, time.size)])
    y = x @ [5.0, -0.1, 0.05] + rng.normal(size=patients)[patient] + rng.normal(size=time.size)
    shuffle = rng.permutation(time.size)
    z = np.column_stack([np.ones(time.size), np.log1p(time)])[shuffle]
    return {"y": y[shuffle], "x": x[shuffle], "patient": patient[shuffle], "time": time[shuffle], "z": z}


MAKERS = {"loops": compiled.PLAIN._replace(
    products=compiled_rows.products_loops, tangents=compiled_rows.tangents_loops,
    evaluate=compiled_patients.evaluate_loops, arrange=compiled_rows.arrange_loops,
    pack=compiled_rows.pack_loops,
), "compiled": None}  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("q", [0, 1, 2])
def test_every_formula_number_by_number(
    q: int, shared: bool, maker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three blocks of patients in compiled code; as plain Python, whose loops are slow, one."""
    if maker == "compiled":
        pytest.importorskip("numba")
    d = rows_of(3, 300 if maker == "compiled" else 30)
    z = d["x"][:, :q] if shared else d["z"][:, :q]
    kernels = MAKERS[maker] or compiled.kernels()
    monkeypatch.setattr(compiled, "_kernels", [compiled.PLAIN])
    rows = MixedData.of(d["x"], d["patient"], z=z, time=d["time"])
    rows.outcome(d["y"])
    monkeypatch.setattr(compiled, "_kernels", [kernels])
    same = MixedData.of(d["x"], d["patient"], z=z, time=d["time"])
    same.outcome(d["y"])
    np.testing.assert_array_equal(same.starts, rows.starts)
    np.testing.assert_array_equal(same.gaps, rows.gaps)
    np.testing.assert_allclose(same.packed, rows.packed, rtol=1e-9, atol=1e-10)
    place = rows.starts, rows.gaps, rows.packed, q, rows.shared
    factor = np.array([0.8, -0.3, 0.5])[: q * (q + 1) // 2]
    for rate, nugget in ((np.inf, 0.0), (0.4, 0.0), (0.4, 0.3), (1e-7, 1e-9)):
        # 1 - rho² cancels to 2 * rate * gap: one bit of rho is 1e-16 / (rate * gap) of it; gaps are ≥ 0.2.
        close = max(1e-9, 1e-15 / (rate * 0.2))
        ours, numpys = kernels.products(*place, rate, nugget), mixed_sums.products(*place, rate, nugget)
        for one, other in zip(ours, numpys, strict=True):
            np.testing.assert_allclose(one, other, rtol=close, atol=close * np.abs(other).max(initial=0.0))
        a, b, c, _ = numpys
        inverse, beta = np.eye(3), np.zeros(3)
        for reml in (False, True):
            dof, weight = rows.x.shape[0] - 3 * reml, np.linspace(0.5, 1.5, a.shape[1])
            for many in (np.empty(0), weight)[: 1 + (q == 1)]:
                numpys = mixed_sums.evaluate(a, b, c, many, factor, dof, reml)
                ours = kernels.evaluate(a, b, c, many, factor, dof, reml)
                for one, other in zip(ours, numpys, strict=True):
                    size = np.abs(np.asarray(other, dtype=float)).max(initial=0.0)
                    np.testing.assert_allclose(one, other, rtol=close, atol=close * size)
            inverse, beta = numpys[6], numpys[5]
        if np.isfinite(rate):
            columns = np.array([[*-beta, 1.0], *np.column_stack([inverse, np.zeros(3)])])
            at = a, factor, columns, np.array([2.0, 1.0, 1.0, 1.0])
            ours = kernels.tangents(*place, rate, nugget, *at)
            numpys = mixed_sums.tangents(*place, rate, nugget, *at)
            for one, other in zip(ours, numpys, strict=True):
                np.testing.assert_allclose(one, other, rtol=100 * close, atol=close * np.abs(other).max())


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("rivals", [0, 4])
def test_largest_scores_bit_by_bit(maker: str, rivals: int) -> None:
    """Two blocks of draws and a bit: the same bits, so that an interval never hangs on a compiler."""
    if maker == "compiled":
        pytest.importorskip("numba")
    rng = generator(4, "largest", rivals)
    given = (
        rng.normal(size=(6 + rivals, 300)),
        rng.normal(size=300),
        rng.uniform(-1.0, 1.0, 6 + rivals),
        2.5,
        rng.uniform(0.5, 2.0, 300),
        np.repeat([0.0, 6.0], 3),
        rng.uniform(0.0, 5.0, rivals),
    )
    loops = drawn_scores.largest_loops if maker == "loops" else compiled.kernels().largest
    for one, other in zip(loops(*given), drawn_scores.largest(*given), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_whole_fits(case: Case, plain: None) -> None:
    """R's likelihood is reached without compiled code as well (with it: test_mixed.py)."""
    assert compiled.kernels() is compiled.PLAIN
    found = case.fit()
    assert found.log_likelihood == pytest.approx(case.expected["log_likelihood"], abs=1e-6)


RICH = Case("nlme", "car1_nugget", "intercept_slope_car1_nugget", "ML")
SCRIPT = """
import sys
import numpy as np
from tpr_outcomes.models import compiled, mixed
at = dict(np.load(sys.argv[1]))
fit = mixed.fit_mixed(**at, residual="car1+nugget")
plain = compiled.kernels() is compiled.PLAIN
print(plain, repr(float(fit.log_likelihood)), repr(float(fit.beta[2])), fit.status)
"""


@pytest.mark.parametrize("switch", ["0", "1"])
def test_the_environment_decides(switch: str, root: Path, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    np.savez(
        tmp_path / "case.npz", **{k: v for k, v in RICH.arguments().items() if isinstance(v, np.ndarray)}
    )
    environment = os.environ | {"TPR_OUTCOMES_COMPILED": switch, "PYTHONPATH": str(root / "src")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "case.npz")],
        env=environment, capture_output=True, text=True, check=True, cwd=root,
    )  # fmt: skip
    without, log_likelihood, slope, status = done.stdout.split()
    assert without == str(switch == "0")
    assert float(log_likelihood) == pytest.approx(RICH.expected["log_likelihood"], abs=1e-6)
    assert float(slope) == pytest.approx(RICH.expected["beta_dose"], abs=1e-5 * RICH.expected["se_dose"])
    assert status == "converged"


UPGRADE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from tpr_outcomes.models import compiled
k = compiled.kernels()
one = np.ones((1, 2)), np.ones((1, 2, 2)), 9.0 * np.eye(2), np.empty(0), np.array([0.5])
print(k.factor_search(*one, 4, False)[-1])
"""


def test_a_changed_loop_is_compiled_anew_where_it_is_called(root: Path, tmp_path: Path) -> None:
    """``evaluate`` lives in another file than the search that calls it."""
    pytest.importorskip("numba")
    copy = tmp_path / "tpr_outcomes"
    shutil.copytree(root / "src" / "tpr_outcomes", copy, ignore=shutil.ignore_patterns("__pycache__"))
    loops = copy / "models" / "compiled_patients.py"
    as_it_was = loops.read_text(encoding="utf-8")

    def evaluations() -> int:
        done = subprocess.run(
            [sys.executable, "-c", UPGRADE, str(tmp_path)],
            capture_output=True, text=True, check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""},
        )  # fmt: skip
        return int(done.stdout)

    assert evaluations() > 1
    found = "    regular, root = cholesky_loops(s[:p, :p])\n"
    assert as_it_was.count(found) == 1
    loops.write_text(as_it_was.replace(found, f"{found}    regular = False\n"), encoding="utf-8")
    assert evaluations() == 1  # no root at the first point: the search ends there


def test_without_numba_it_is_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_kernels", [])
    monkeypatch.delenv("TPR_OUTCOMES_COMPILED", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)  # makes the import fail
    assert compiled.kernels() is compiled.PLAIN
    assert compiled.kernels() is compiled.PLAIN  # decided once


def test_switched_off_it_is_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_kernels", [])
    monkeypatch.setenv("TPR_OUTCOMES_COMPILED", "0")
    assert compiled.kernels() is compiled.PLAIN
    assert fit_mixed(**RICH.arguments()).status == "converged"
