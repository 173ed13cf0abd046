"""What can be wrong with a clinic's record: one function per rule, one row per problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing found in the user's file.

    Attributes
    ----------
    rule : str
        Id of the rule.
    severity : {"error", "warning"}
        Errors stop the reading; warnings stay with the data.
    address : str
        Place in the user's own file, for example ``"line 14, column pain"``.
    column : str
        The user's name of the column, or an empty string.
    seen : str
        A number or short token; never an identifier and never free text.
    message : str
        What was seen and what was wanted.
    remedy : str
        What to do.
    """

    rule: str
    severity: Literal["error", "warning"]
    address: str
    column: str
    seen: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One row that was not used, and why.

    Attributes
    ----------
    address : str
        Place of the row in the source or in the visits table.
    reason : str
        Sentence from a fixed vocabulary.
    rule : str
        Id of the rule that left the row out.
    """

    address: str
    reason: str
    rule: str
