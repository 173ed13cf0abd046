"""Does a clinic's own record support a cumulative twitch threshold: yes, no, or it cannot tell.

Every public name is a door to a function or class further down; a door opens (imports its room) when first
used, so that ``import tpr_outcomes`` costs next to nothing.

>>> import tpr_outcomes as tpr
>>> tpr.SCALES["nrs"].maximum
10.0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_PUBLIC = {
    # what happened to whom
    "read_visits": "tpr_outcomes.cohort.visits",
    "read_record": "tpr_outcomes.cohort.tables",
    "check_record": "tpr_outcomes.cohort.tables",
    "Record": "tpr_outcomes.cohort.record",
    "check_visits": "tpr_outcomes.cohort.visits",
    "Visits": "tpr_outcomes.cohort.visits",
    "Columns": "tpr_outcomes.cohort.columns",
    "Scale": "tpr_outcomes.cohort.instruments",
    "SCALES": "tpr_outcomes.cohort.scales",
    "Problem": "tpr_outcomes.cohort.problems",
    "ratings": "tpr_outcomes.cohort.derive",
    "load_example": "tpr_outcomes.datasets",
    "load_vickers": "tpr_outcomes.datasets",
    # what might explain it
    "Candidate": "tpr_outcomes.models.candidates",
    "CandidateSet": "tpr_outcomes.models.candidates",
    "fit": "tpr_outcomes.models.fitting",
    "fit_all": "tpr_outcomes.models.fitting",
    "compare": "tpr_outcomes.models.fitting",
    "fit_mixed": "tpr_outcomes.models.mixed",
    # what survives a test
    "threshold_test": "tpr_outcomes.inference.threshold",
    # what the next study needs
    "simulate": "tpr_outcomes.planning.simulate",
    "Truth": "tpr_outcomes.planning.truth",
    "WORLDS": "tpr_outcomes.planning.simulate",
    "self_check": "tpr_outcomes.planning.self_check",
    "power_grid": "tpr_outcomes.planning.power",
    # what we may say
    "judge": "tpr_outcomes.reporting.verdict",
    "Finding": "tpr_outcomes.reporting.verdict",
    "Evaluation": "tpr_outcomes.reporting.results",
    "write_report": "tpr_outcomes.reporting.bundle",
    "plot": "tpr_outcomes.reporting.plots_axes",
    "plot_alt": "tpr_outcomes.reporting.plots_axes",
    # the whole flow
    "AnalysisPlan": "tpr_outcomes.analysis",
    "evaluate": "tpr_outcomes.analysis",
    # what can go wrong
    "TprError": "tpr_outcomes.errors",
    "TprWarning": "tpr_outcomes.errors",
}
_SUBMODULES = ("datasets",)

if TYPE_CHECKING:  # the same table again, for type checkers and editors; a test compares the two
    from tpr_outcomes import datasets as datasets
    from tpr_outcomes.analysis import AnalysisPlan as AnalysisPlan
    from tpr_outcomes.analysis import evaluate as evaluate
    from tpr_outcomes.cohort.columns import Columns as Columns
    from tpr_outcomes.cohort.derive import ratings as ratings
    from tpr_outcomes.cohort.instruments import Scale as Scale
    from tpr_outcomes.cohort.problems import Problem as Problem
    from tpr_outcomes.cohort.record import Record as Record
    from tpr_outcomes.cohort.scales import SCALES as SCALES
    from tpr_outcomes.cohort.tables import check_record as check_record
    from tpr_outcomes.cohort.tables import read_record as read_record
    from tpr_outcomes.cohort.visits import Visits as Visits
    from tpr_outcomes.cohort.visits import check_visits as check_visits
    from tpr_outcomes.cohort.visits import read_visits as read_visits
    from tpr_outcomes.datasets import load_example as load_example
    from tpr_outcomes.datasets import load_vickers as load_vickers
    from tpr_outcomes.errors import TprError as TprError
    from tpr_outcomes.errors import TprWarning as TprWarning
    from tpr_outcomes.inference.threshold import threshold_test as threshold_test
    from tpr_outcomes.models.candidates import Candidate as Candidate
    from tpr_outcomes.models.candidates import CandidateSet as CandidateSet
    from tpr_outcomes.models.fitting import compare as compare
    from tpr_outcomes.models.fitting import fit as fit
    from tpr_outcomes.models.fitting import fit_all as fit_all
    from tpr_outcomes.models.mixed import fit_mixed as fit_mixed
    from tpr_outcomes.planning.power import power_grid as power_grid
    from tpr_outcomes.planning.self_check import self_check as self_check
    from tpr_outcomes.planning.simulate import WORLDS as WORLDS
    from tpr_outcomes.planning.simulate import simulate as simulate
    from tpr_outcomes.planning.truth import Truth as Truth
    from tpr_outcomes.reporting.bundle import write_report as write_report
    from tpr_outcomes.reporting.plots_axes import plot as plot
    from tpr_outcomes.reporting.plots_axes import plot_alt as plot_alt
    from tpr_outcomes.reporting.results import Evaluation as Evaluation
    from tpr_outcomes.reporting.verdict import Finding as Finding
    from tpr_outcomes.reporting.verdict import judge as judge

else:  # hidden from type checkers, which would otherwise take any misspelt name for a public one

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for (PEP 562)."""
        if name in _PUBLIC:
            value: object = getattr(import_module(_PUBLIC[name]), name)
        elif name in _SUBMODULES:
            value = import_module(f"{__name__}.{name}")
        else:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Every public name, whether or not it has been used yet."""
    return sorted({*globals(), *_PUBLIC, *_SUBMODULES})
