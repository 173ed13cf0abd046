"""Everything the package can refuse, and the exit code each refusal has on the command line.

Every message says what was seen, what was wanted and what to do next. No message carries an
identifier or a free-text cell: a place in the user's own file (sheet and cell, or line and column)
is enough to find it.
"""

from __future__ import annotations

EXIT_OK = 0
"""The command did what it was asked."""

EXIT_USAGE = 2
"""The command line itself could not be understood (raised by the option parser)."""


class TprError(Exception):
    """Base of every error this package raises on purpose.

    Attributes
    ----------
    exit_code : int
        Exit status of the ``tpr`` command when this error ends it.
    """

    exit_code = 1


class SourceError(TprError):
    """The file is not there, cannot be opened, or is not of a kind we read."""

    exit_code = 3


class DataError(TprError):
    """The file was read, but what it holds cannot be analysed as it stands.

    Parameters
    ----------
    message : str
        Summary sentence.
    problems : tuple of Problem, optional
        Every problem found, in file order (see :mod:`tpr_outcomes.cohort.rules`).
    """

    exit_code = 4

    def __init__(self, message: str, problems: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class PlanError(TprError):
    """The plan, the column map or another setting is not valid."""

    exit_code = 5


class OutputError(TprError):
    """The output folder cannot be written."""

    exit_code = 6


class DatasetError(TprError):
    """A data set that is not shipped is neither at hand nor to be had."""

    exit_code = 7


class FitError(TprError):
    """A model could not be fitted at all (too few rows, no variation, not finite)."""

    exit_code = 8


class NotebookError(TprError):
    """A notebook stopped before its end, for a reason that is not the record's."""

    exit_code = 9


class DifferenceError(TprError):
    """A report was made again, and something came out otherwise."""

    exit_code = 10


class WorkersError(TprError):
    """Those who should do the work cannot be reached, are not alike, or were lost."""

    exit_code = 11


class SomeFailedError(TprError):
    """Of several clinics some could not be judged; the others were, and the list says why."""

    exit_code = 12


class TprWarning(UserWarning):
    """Base of the package's warnings."""


class DataWarning(TprWarning):
    """Something in the record deserves a look but does not stop the analysis."""


class FitWarning(TprWarning):
    """A fit ended somewhere the user should know about."""
