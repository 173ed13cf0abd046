"""Rubin's rules: one estimate and interval from several completed data sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.errors import PlanError

Array = NDArray[np.float64]

_SMALLEST_SHARE = 1e-4
"""Least share of variance taken to be due to missing ratings when degrees of freedom are computed."""


@dataclass(frozen=True)
class Pooled:
    """One number from several completed data sets.

    Attributes
    ----------
    estimate, std_error : float
        Mean of the estimates; root of the total variance.
    df : float
        Degrees of freedom (Barnard & Rubin 1999).
    conf_low, conf_high, p_value, level : float
        From the t distribution; the p-value is two-sided against 0.
    within, between : float
        Mean of the variances; variance of the estimates.
    missing_information : float
        Fraction of information missing because ratings are, 0 to 1.
    imputations : int
    """

    estimate: float
    std_error: float
    df: float
    conf_low: float
    conf_high: float
    p_value: float
    level: float
    within: float
    between: float
    missing_information: float
    imputations: int

    def to_frame(self, term: str = "estimate") -> pd.DataFrame:
        """Return one tidy row: ``term, estimate, std_error, conf_low, conf_high, p_value``, and the rest."""
        names = ("estimate", "std_error", "conf_low", "conf_high", "p_value", "df", "missing_information")
        return pd.DataFrame([{"term": term} | {name: getattr(self, name) for name in names}])


def pool(estimates: Array, variances: Array, *, complete_df: float = np.inf, level: float = 0.95) -> Pooled:
    r"""Pool estimates from M completed data sets by Rubin's rules.

    Parameters
    ----------
    estimates, variances : ndarray, shape (M,)
        Estimate and squared standard error from each.
    complete_df : float, default inf
        Degrees of freedom the estimate would have had with nothing missing.
    level : float, default 0.95
        Level of the confidence interval.

    Notes
    -----
    :math:`T=\bar U+(1+1/M)B`, :math:`\lambda=(1+1/M)B/T`, :math:`\nu_{m}=(M-1)/\lambda^2`,
    :math:`\nu_{o}=\frac{\nu_c+1}{\nu_c+3}\nu_c(1-\lambda)`, :math:`\nu=\nu_m\nu_o/(\nu_m+\nu_o)` (Barnard &
    Rubin 1999, doi:10.1093/biomet/86.4.948); fraction of missing information
    :math:`(r+2/(\nu+3))/(r+1)`, :math:`r=(1+1/M)B/\bar U`. :math:`\lambda` is held at 1e-4 or more.
    """
    m = estimates.size
    if m < 2 or variances.size != m or not (variances > 0).all():
        raise PlanError(
            f"{m} estimates with {variances.size} variances were given; give 2 or more of each, with "
            "variances above 0."
        )
    within, between = float(variances.mean()), float(estimates.var(ddof=1))
    extra = (1.0 + 1.0 / m) * between
    share = max(extra / (within + extra), _SMALLEST_SHARE)
    df = (m - 1) / share**2
    if np.isfinite(complete_df):
        observed = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
        df = df * observed / (df + observed)
    estimate, std_error = float(estimates.mean()), float(np.sqrt(within + extra))
    half = float(stats.t.ppf(0.5 + level / 2, df)) * std_error
    ratio = extra / within
    return Pooled(
        estimate=estimate,
        std_error=std_error,
        df=df,
        conf_low=estimate - half,
        conf_high=estimate + half,
        p_value=float(2 * stats.t.sf(abs(estimate) / std_error, df)),
        level=level,
        within=within,
        between=between,
        missing_information=(ratio + 2 / (df + 3)) / (ratio + 1),
        imputations=m,
    )
