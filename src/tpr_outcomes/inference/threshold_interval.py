r"""An interval for a threshold that keeps its level whether the slope is steep or hardly there.

The deviance of a threshold falls within a fixed limit of its minimum with a chance that depends on how
steep the slope is, on how the doses lie and on the shape: a fixed limit covers too little when the slope
is small and too much when it is large. Here every threshold has a limit of its own, from the law of
the very statistic given what was seen at that threshold (conditional likelihood ratio; Siegmund 1988,
doi:10.2307/1403360; Knowles, Siegmund and Zhang 1991, doi:10.1093/biomet/78.1.15).

Let :math:`u_k` be the whitened columns of all hinges and steps, background projected out, scaled to
length one, and :math:`z_k=u_k'y`. Shapes compete by

.. math:: M=\max\Big(\max_{hinges} z_k^2,\;\max_{steps} z_k^2-c\Big),

where :math:`c` is the lead a step must have before it is taken for the shape. Were shape and threshold
:math:`j` true, :math:`y=\beta u_j+e`, then given :math:`z_j` and the residual length
:math:`r^2=\lVert y\rVert^2-z_j^2` the rest of :math:`y` points in a direction that is uniform on the sphere
orthogonal to :math:`u_j`, whatever :math:`\beta` and the residual variance are. So the law of

.. math:: T_j = M-(z_j^2-c_j)

is known without any parameter, and can be drawn: with :math:`g_k=u_k'q` for a standard normal
:math:`q`,

.. math:: z_k^*=R_{kj}z_j+\rho\,(g_k-R_{kj}g_j),\qquad R=U'U,\quad
          \rho^2=\frac{r^2}{\lVert q\rVert^2-g_j^2}.

Threshold :math:`j` stays in the set when :math:`T_j` is no larger than the 95% point of its draws. The
interval is the hull of the set over both shapes. Exact for Gaussian ratings whose correlation is known;
measured coverage with an estimated one: docs/methods/operating-characteristics.md.

A threshold is printed only where it beat its rivals, and where slopes are small only lucky clinics get
that far: their interval must be right among the lucky. So where the information criterion has favoured a
threshold by the margin the verdict asks for, the limit of a hinge is taken over those draws alone in which
it would have done so too (a conditional law again: all rivals are among the columns). Steps, which are
found easily or not at all, are not given this allowance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpr_outcomes.inference.resample import generator
from tpr_outcomes.models import compiled

Array = NDArray[np.float64]

LEVEL = 0.95
DRAWS = 999
"""Draws behind every limit; not a setting, so that measured coverage is that of everybody's interval."""
FEWEST_DRAWS = 19
"""Draws below which no 5% point can be read off."""
FAR = 30.0
"""Residual variances of deviance beyond which a threshold is out without drawing: 5.5 standard errors."""
_NEGLIGIBLE = 1e-6
_NONE = np.empty(0)


@dataclass(frozen=True)
class Directions:
    """What the interval needs of the ratings: inner products only, never rows.

    Attributes
    ----------
    gram : ndarray, shape (k, k)
        Inner products of the unit columns; rows and columns of zeros where the background spans one.
    scores : ndarray, shape (k,)
        Inner products with the outcome.
    square : float
        Squared length of the outcome.
    df : int
        Dimension of the space orthogonal to the background.
    """

    gram: Array
    scores: Array
    square: float
    df: int

    @classmethod
    def of(cls, y: Array, columns: Array, *, sizes: Array, df: int) -> Directions:
        """Reduce an outcome (n,) and columns (n, k), both cleared of the background.

        Parameters
        ----------
        sizes : ndarray, shape (k,)
            Lengths of the columns before they were cleared.
        df : int
            Rows less the rank of the background.
        """
        lengths = np.linalg.norm(columns, axis=0)
        seen = lengths > _NEGLIGIBLE * np.maximum(sizes, 1e-300)
        scale = np.where(seen, 1.0 / np.where(seen, lengths, 1.0), 0.0)
        gram = (columns.T @ columns) * scale[:, None] * scale
        return cls(gram=gram, scores=(columns.T @ y) * scale, square=float(y @ y), df=df)


@dataclass(frozen=True)
class Selection:
    """What a clinic must show before its threshold is printed: an information criterion won by a margin.

    Attributes
    ----------
    rival_penalties : ndarray, shape (r,)
        Penalty of each rival column, which stand behind hinges and steps in :class:`Directions`.
    shape_penalty : float
        Penalty of a threshold.
    margin : float
        By how much the threshold must win.
    """

    rival_penalties: Array
    shape_penalty: float
    margin: float

    def holds(self, shapes: Array, rivals: Array) -> NDArray[np.bool_]:
        """Whether a threshold wins, by draw, from the largest squared scores (B,), rivals' less penalties."""
        return np.asarray(shapes - self.shape_penalty - rivals > self.margin)


@dataclass(frozen=True)
class Draws:
    """Standard normal directions: their products with every column, and their squared lengths."""

    products: Array  # (k, B)
    squares: Array  # (B,)

    @classmethod
    def of(cls, directions: Directions, *, seed: int, replicates: int = DRAWS) -> Draws:
        """Draw in the span of the columns; what is orthogonal to it matters by its length alone."""
        rng = generator(seed, "threshold interval")
        values, vectors = np.linalg.eigh(directions.gram)
        kept = values > 1e-10 * max(float(values[-1]), 1e-300)
        root = vectors[:, kept] * np.sqrt(values[kept])
        normal = rng.standard_normal((int(kept.sum()), replicates))
        rest = rng.chisquare(max(directions.df - int(kept.sum()), 1), replicates)
        return cls(products=root @ normal, squares=(normal**2).sum(axis=0) + rest)


@dataclass(frozen=True)
class ThresholdSet:
    """Thresholds of one shape that the ratings do not rule out.

    Attributes
    ----------
    low, high : float
        Hull, ends interpolated between grid points; nan when every threshold of this shape is ruled out.
    open_low, open_high : bool
        Whether it runs off the grid.
    """

    low: float
    high: float
    open_low: bool
    open_high: bool


def threshold_sets(
    directions: Directions,
    grid: Array,
    *,
    lead: float,
    seed: int,
    selection: Selection | None = None,
) -> tuple[ThresholdSet, ThresholdSet]:
    """Find the thresholds not ruled out, as a hinge and as a step (module notes).

    Parameters
    ----------
    directions : Directions
        Of the hinges at ``grid``, then the steps at ``grid``, then the rivals if there is a selection.
    grid : ndarray, shape (g,)
        Thresholds, ascending.
    lead : float
        Deviance by which a step must fit better than a hinge to be preferred.
    seed : int
        Analysis seed.
    selection : Selection, optional
        What this clinic has shown; limits of hinges are then those among clinics that show it.

    Returns
    -------
    hinge, step : ThresholdSet
        At least one is not empty: the preferred threshold is never ruled out.
    """
    draws = Draws.of(directions, seed=seed)
    handicap = np.repeat([0.0, lead], grid.size)
    merit = directions.scores[: handicap.size] ** 2 - handicap
    excess = merit.max() - merit
    far = FAR * directions.square / max(directions.df, 1)

    def inside(k: int, selected: Selection | None) -> float:
        """How far within its limit a threshold lies; negative is outside."""
        bound = far if excess[k] > far else limit(directions, draws, k, handicap=handicap, selection=selected)
        return bound - float(excess[k])

    return (
        _hull(grid, lambda k: inside(k, selection)),
        _hull(grid, lambda k: inside(k + grid.size, None)),
    )


def limit(
    directions: Directions, draws: Draws, k: int, *, handicap: Array, selection: Selection | None = None
) -> float:
    """95% point of the excess at threshold ``k``, given what was seen there, were it the true one.

    Notes
    -----
    Of the ``B`` draws (those that meet the selection) the value with rank ``floor(0.05 (B + 1))`` from
    above: an observed excess ``T`` up to it has ``p = (1 + #{T_b >= T}) / (B + 1) > 0.05``. With fewer
    than 19 selected draws (a clinic with this threshold and this score would hardly be seen) it is the
    largest of all draws. A shape the background spans stands for no shape at all.
    """
    penalties = _NONE if selection is None else selection.rival_penalties
    width = handicap.size + penalties.size
    own, score = draws.products[k], float(directions.scores[k])
    left = max(directions.square - score**2, 0.0)  # 0 where ratings have no noise
    merit, shapes, rivals = compiled.kernels().largest(
        draws.products[:width],
        own,
        np.ascontiguousarray(directions.gram[:width, k]),
        score,
        np.sqrt(left / np.maximum(draws.squares - own**2, 1e-300)),
        handicap,
        penalties,
    )
    excess = merit - (score**2 - handicap[k])
    if selection is not None:
        selected = excess[selection.holds(shapes, rivals)]
        if selected.size < FEWEST_DRAWS:
            return float(excess.max())
        excess = selected
    place = excess.size - int((1.0 - LEVEL) * (excess.size + 1) + 1e-9)
    return float(np.partition(excess, place)[place])


def _hull(grid: Array, inside: Callable[[int], float]) -> ThresholdSet:
    """Search from both ends for the first threshold that is not ruled out."""
    last = grid.size - 1
    first, before = _first(range(grid.size), inside)
    if first is None:
        return ThresholdSet(np.nan, np.nan, open_low=False, open_high=False)
    final, after = _first(range(last, -1, -1), inside)
    assert final is not None
    low = _between(grid, first, first - 1, before)
    high = _between(grid, final, final + 1, after)
    return ThresholdSet(low, high, open_low=first == 0, open_high=final == last)


def _first(order: range, inside: Callable[[int], float]) -> tuple[int | None, tuple[float, float]]:
    """First threshold inside, with the margins of the one before it (outside) and its own."""
    before = np.nan
    for k in order:
        margin = inside(k)
        if margin >= -1e-9:
            return k, (before, margin)
        before = margin
    return None, (before, np.nan)


def _between(grid: Array, within: int, without: int, margins: tuple[float, float]) -> float:
    """Where the margin crosses zero between a threshold inside and its neighbour outside."""
    outer, inner = margins
    if np.isnan(outer):
        return float(grid[within])
    share = max(inner, 0.0) / (max(inner, 0.0) - outer) if np.isfinite(inner) else 1.0
    return float(grid[within] + share * (grid[without] - grid[within]))
