"""What an outcome instrument is: range, direction, unit, and what is reported on how much change matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["primary", "secondary", "anchor"]


@dataclass(frozen=True)
class ImportantDifference:
    """One reported answer to "how much change matters?".

    Attributes
    ----------
    kind : {"absolute", "percent", "level"}
        Scale points of change, percent of the first rating, or, on an instrument that asks for the change
        itself, the rating that counts as important.
    value : float
        Size of the improvement, positive whatever the direction of the scale; for a level, the rating.
    label : str
        Who was asked and by which method.
    source : str
        Citation text.
    doi_or_pmid : str
        Identifier of the source; empty where the source list has none.
    """

    kind: Literal["absolute", "percent", "level"]
    value: float
    label: str
    source: str
    doi_or_pmid: str = ""


@dataclass(frozen=True)
class DetectableChange:
    """A reported change beyond which measurement error alone is unlikely.

    It says nothing on whether the change matters, and is often larger than an important difference.

    Attributes
    ----------
    value : float
        Scale points, positive.
    label, source, doi_or_pmid : str
        As in :class:`ImportantDifference`.
    """

    value: float
    label: str
    source: str
    doi_or_pmid: str = ""


@dataclass(frozen=True)
class Scale:
    """An outcome instrument.

    Attributes
    ----------
    name : str
        Key in :data:`tpr_outcomes.cohort.scales.SCALES`.
    label : str
        Name for people.
    minimum, maximum : float
        Ends of the range in scale points. ``maximum`` is infinite where no upper end has a checked source.
    unit : str
        What one step is called.
    higher_is_worse : bool
        True where a fall is an improvement.
    important_differences : tuple of ImportantDifference
        Reported cut-points; may be empty.
    detectable_changes : tuple of DetectableChange
        Reported sizes of measurement error; may be empty.
    role : {"primary", "secondary", "anchor"}
        What the instrument is fit for: an anchor asks patients for the change itself, and helps to judge
        other scales.
    caution : str
        What is known against relying on it, with its source; may be empty.
    """

    name: str
    label: str
    minimum: float
    maximum: float
    unit: str
    higher_is_worse: bool = True
    important_differences: tuple[ImportantDifference, ...] = ()
    detectable_changes: tuple[DetectableChange, ...] = ()
    role: Role = "primary"
    caution: str = ""

    @property
    def span(self) -> float:
        """Distance between the ends of the range, in scale points."""
        return self.maximum - self.minimum

    @property
    def best(self) -> float:
        """The end of the range that cannot be bettered; infinite where no end is known."""
        return self.minimum if self.higher_is_worse else self.maximum

    def percent_cut(self, value: float) -> ImportantDifference | None:
        """Return the cited percent cut-point of this size, or None where none is cited."""
        for item in self.important_differences:
            if item.kind == "percent" and item.value == value:
                return item
        return None

    def absolute_cuts(self) -> tuple[ImportantDifference, ...]:
        """Return the cited cut-points in scale points, smallest first."""
        found = [item for item in self.important_differences if item.kind == "absolute"]
        return tuple(sorted(found, key=lambda item: item.value))
