r"""The loops of a mixed-model fit and of a threshold's interval, compiled when numba is at hand.

The searches of :mod:`tpr_outcomes.models.mixed_newton` are written once: as plain Python they call the numpy
formulas of :mod:`tpr_outcomes.models.mixed_sums`, compiled they call the loops of
:mod:`tpr_outcomes.models.compiled_rows` and :mod:`tpr_outcomes.models.compiled_patients`. Both give the same
numbers to rounding (``tests/unit/test_compiled.py``). Set ``TPR_OUTCOMES_COMPILED=0`` to do without.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tpr_outcomes.models import compiled_patients, compiled_rows, drawn_scores, mixed_newton, mixed_sums


class Kernels(NamedTuple):
    """What may be compiled, or else is the numpy of the same name."""

    products: Callable[..., Any]
    tangents: Callable[..., Any]
    evaluate: Callable[..., Any]
    factor_search: Callable[..., Any]
    first_curvature: Callable[..., Any]
    propose: Callable[..., Any]
    largest: Callable[..., Any]
    arrange: Callable[..., Any] | None = None
    pack: Callable[..., Any] | None = None


PLAIN = Kernels(
    mixed_sums.products,
    mixed_sums.tangents,
    mixed_sums.evaluate,
    mixed_newton.factor_search,
    mixed_newton.first_curvature,
    mixed_newton.propose,
    drawn_scores.largest,
)

_OPTIONS: dict[str, Any] = {"error_model": "numpy"}
"""No fast-math: where sums may be taken in any order, code compiled anew and code loaded from the cache
differ in the last digits, and the same record would not give the same bytes."""


def _compile() -> Kernels | None:
    """Compiled kernels, or None when numba is absent or switched off."""
    if os.environ.get("TPR_OUTCOMES_COMPILED", "1") == "0":
        return None
    try:
        from numba import njit
        from numba.extending import overload, register_jitable
    except ImportError:
        return None

    def stands_for(plain: Callable[..., Any], loops: Callable[..., Any]) -> None:
        """In compiled code, a call of ``plain`` is one of ``loops``."""

        @overload(plain, strict=False, jit_options=_OPTIONS)  # type: ignore[arg-type]
        def _choose(*_: Any) -> Callable[..., Any]:
            return loops

    for helper in (*compiled_patients.HELPERS, *mixed_newton.HELPERS):
        register_jitable(**_OPTIONS)(helper)
    stands_for(mixed_sums.evaluate, compiled_patients.evaluate_loops)
    sealed = _seal()

    def compiled(loops: Callable[..., Any]) -> Any:
        """Compile, or load what was compiled from this very source."""
        dispatcher = njit(cache=True, **_OPTIONS)(loops)
        file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)  # numba has no public way
        if file is not None:
            file._source_stamp = (file._source_stamp, sealed)  # noqa: SLF001
        return dispatcher

    return Kernels(
        compiled(compiled_rows.products_loops),
        compiled(compiled_rows.tangents_loops),
        compiled(compiled_patients.evaluate_loops),
        compiled(mixed_newton.factor_search),
        compiled(mixed_newton.first_curvature),
        compiled(mixed_newton.propose),
        compiled(drawn_scores.largest_loops),
        compiled(compiled_rows.arrange_loops),
        compiled(compiled_rows.pack_loops),
    )


def _seal() -> str:
    """Hash of all that is compiled.

    numba keeps compiled code as long as the file of the *calling* function is unchanged, while a search calls
    loops of other files: without this, code of an earlier version could be loaded after an upgrade.
    """
    found = hashlib.sha256()
    for module in (compiled_patients, compiled_rows, drawn_scores, mixed_newton):
        found.update(Path(str(module.__file__)).read_bytes())
    return found.hexdigest()


_kernels: list[Kernels] = []


def kernels() -> Kernels:
    """Compiled, or :data:`PLAIN` where numba is absent or switched off; decided once per process."""
    if not _kernels:
        _kernels.append(_compile() or PLAIN)
    return _kernels[0]
