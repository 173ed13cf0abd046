"""Compiled and plain code of the likelihood say the same, number by number and fit by fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.mixed_reference import CORRELATED, Case

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models import compiled, mixed_deviance, mixed_search
from tpr_outcomes.models.mixed import Layout

ROUNDING = 1e-11
"""A sum of some thousand products in another order: about 1e-16 × √1000 × cancellation of up to 1e3."""
MANY = [c for c in CORRELATED if c.method == "ML" and c.dataset in ("irregular", "days", "car1_nugget")]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numpy path, whatever is installed."""
    monkeypatch.setattr(compiled, "_kernels", [None])


def tiny(q: int) -> dict[str, Any]:
    """Three patients of 3, 2 and 1 rows, uneven gaps, ``q`` random-effect columns and two more."""
    rng = generator(2, "tiny", q)
    patient, time = np.array([0, 0, 0, 1, 1, 2]), np.array([0.0, 0.4, 2.0, 0.0, 1.3, 0.0])
    layout = Layout.of(patient, time)
    return {
        "layout": layout,
        "starts": np.array(layout.starts),
        "raw": rng.normal(size=(6, q + 2)),
        "w": np.array([m @ m.T for m in rng.normal(size=(3, q, q))]).reshape(3, q, q),
    }


def residual_covariance(layout: Layout, patient: int, phi: float, nugget: float) -> tuple[Any, Any]:
    rows = np.flatnonzero(layout.position == patient)
    time = np.cumsum(layout.gaps[rows])
    wobble = phi ** np.abs(time[:, None] - time[None, :])
    return rows, (1 - nugget) * wobble + nugget * np.eye(rows.size)


@pytest.mark.parametrize("q", [0, 1, 2])
def test_products_are_the_sums_they_are_named_for(q: int) -> None:
    """Without numba: explicit inverse covariance of three patients."""
    case, phi, nugget = tiny(q), 0.5, 0.3
    raw = case["raw"]
    white, a, b, log_det = compiled._products(case["starts"], case["layout"].gaps, raw, q, phi, nugget)
    total = 0.0
    for i in range(3):
        rows, r = residual_covariance(case["layout"], i, phi, nugget)
        inner = raw[rows].T @ np.linalg.solve(r, raw[rows])
        np.testing.assert_allclose(white[rows].T @ white[rows], inner, rtol=ROUNDING)
        np.testing.assert_allclose(a[i], inner[:q, :q], rtol=ROUNDING)
        np.testing.assert_allclose(b[i], inner[:q, q:], rtol=ROUNDING)
        total += np.linalg.slogdet(r)[1]
    assert log_det == pytest.approx(total, rel=ROUNDING)


@pytest.mark.parametrize("q", [0, 1, 2])
def test_tangents_are_central_differences(q: int) -> None:
    """Without numba: derivatives in (rate, nugget) of the three sums, ``W`` and the coefficients held.

    The squares are ``r'R⁻¹r - b'Wb`` with ``b = Z'R⁻¹r``, the trace is ``tr(W Z'R⁻¹Z)``.
    """
    case, rate, nugget, step = tiny(q), 0.7, 0.3, 1e-5
    columns = case["raw"][:, [*range(q), -1]]

    def sums(rate: float, nugget: float, wb: list[Any] | None = None) -> Any:
        squares, trace, log_det, kept = 0.0, 0.0, 0.0, []
        for i in range(3):
            rows, r = residual_covariance(case["layout"], i, np.exp(-rate), nugget)
            inner = columns[rows].T @ np.linalg.solve(r, columns[rows])
            w, bi = case["w"][i], inner[:q, q]
            kept.append(w @ bi)
            # The coefficients W b stay where they are (envelope theorem): r - Z W b in place of r.
            c = kept[i] if wb is None else wb[i]
            squares += inner[q, q] - 2 * c @ bi + c @ inner[:q, :q] @ c
            trace += (w * inner[:q, :q]).sum()
            log_det += np.linalg.slogdet(r)[1]
        return np.array([squares, trace, log_det]), kept

    found = compiled._tangents(case["starts"], case["layout"].gaps, columns, case["w"], np.exp(-rate), nugget)
    _, held = sums(rate, nugget)
    for which, (dr, dn) in enumerate([(step, 0.0), (0.0, step)]):
        up, down = sums(rate + dr, nugget + dn, held)[0], sums(rate - dr, nugget - dn, held)[0]
        # Truncation of order step² = 1e-10, rounding 1e-16 / step = 1e-11.
        np.testing.assert_allclose([f[which] for f in found], (up - down) / (2 * step), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("phi", [0.0, 1e-30])
def test_no_correlation_is_a_number_like_any_other(phi: float) -> None:
    case = tiny(1)
    white, *_, log_det = compiled._products(case["starts"], case["layout"].gaps, case["raw"], 1, phi, 0.2)
    np.testing.assert_allclose(white, case["raw"], rtol=ROUNDING)  # R = I
    assert log_det == pytest.approx(0.0, abs=1e-15)
    columns = case["raw"][:, [0, -1]]
    for part in compiled._tangents(case["starts"], case["layout"].gaps, columns, case["w"], phi, 0.2):
        assert np.isfinite(part).all()


def deviances(case: Case) -> tuple[Any, Any]:
    at = case.arguments()
    p = mixed_search.prepare(at["y"], at["x"], at["patient"], at["z"], at["time"], at["residual"])
    make = {"residual": at["residual"], "method": at["method"], "unit": p.unit}
    fast = mixed_deviance.Deviance(p.layout, p.y, p.x, p.z, **make)
    slow = mixed_deviance.Deviance(p.layout, p.y, p.x, p.z, **make)
    assert fast.kernels is not None
    slow.kernels = None
    return fast, slow


@pytest.mark.parametrize("case", CORRELATED, ids=str)
@pytest.mark.parametrize("extra", [(0.0, 0.0), (-2.0, 3.0), (1.5, -30.0), (0.5, 30.0)])
def test_deviance_and_gradient(case: Case, extra: tuple[float, float]) -> None:
    pytest.importorskip("numba")
    fast, slow = deviances(case)
    k = fast.lower[0].size
    factor = np.array([[0.7, 0.0], [0.2, 0.3]])[: fast.q, : fast.q][fast.lower]
    point = np.array([*factor, *extra[: len(fast.bounds) - k]])
    (value, gradient), (plain_value, plain_gradient) = fast(point), slow(point)
    assert value == pytest.approx(plain_value, rel=ROUNDING)
    # Components can cancel to near 0, so rounding is of the size of the deviance.
    np.testing.assert_allclose(gradient, plain_gradient, rtol=1e-9, atol=ROUNDING * abs(value))


@pytest.mark.parametrize("case", MANY, ids=str)
def test_whole_fits(case: Case, plain: None) -> None:
    """R's likelihood is reached without compiled code as well (with it: test_mixed.py)."""
    assert compiled.kernels() is None
    found = case.fit()
    assert found.log_likelihood == pytest.approx(case.expected["log_likelihood"], abs=1e-6)


RICH = Case("nlme", "car1_nugget", "intercept_slope_car1_nugget", "ML")
SCRIPT = """
import sys
import numpy as np
from tpr_outcomes.models import compiled, mixed
at = dict(np.load(sys.argv[1]))
fit = mixed.fit_mixed(**at, residual="car1+nugget")
print(compiled.kernels() is None, repr(float(fit.log_likelihood)), repr(float(fit.beta[2])), fit.status)
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


def test_without_numba_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_kernels", [])
    monkeypatch.delenv("TPR_OUTCOMES_COMPILED", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)  # makes the import fail
    assert compiled.kernels() is None
    assert compiled.kernels() is None  # decided once


def test_switched_off_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_kernels", [])
    monkeypatch.setenv("TPR_OUTCOMES_COMPILED", "0")
    assert compiled.kernels() is None
