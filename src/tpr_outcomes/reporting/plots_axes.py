"""Pictures for your own figures: a result goes in, the Axes come out, and words that say what they show.

Any picture can stand on any Axes, alone or among others (``plt.subplots``); one with two panels divides the
Axes it is given. What is drawn is what the report shows. Lines differ in dash or mark as well as in color.

>>> import tpr_outcomes as tpr
>>> result = tpr.evaluate(tpr.load_example("threshold"), replicates=99)
>>> ax = tpr.plot(result, "dose")
>>> ax.get_xlabel()
'Running total of recorded twitches'
>>> tpr.plot_alt(result, "flow").startswith("Rows read")
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference.regions import RegionRelief
from tpr_outcomes.reporting import plots, plots_regions
from tpr_outcomes.reporting.drawn import Courses, DesignPicture, DosePicture, Flow, ProfilePicture, Spread
from tpr_outcomes.reporting.pictures import Evaluated, Picture, pictures
from tpr_outcomes.reporting.plots_lesson import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMES = ("dose", "courses", "profile", "spread", "rivals", "design", "regions", "flow")
"""Pictures of an evaluation, in the order of the report; not every record carries every one."""


def plot(evaluation: Evaluated, name: str, ax: Axes | None = None) -> Axes:
    """Draw one picture of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
        What :func:`tpr_outcomes.analysis.evaluate` returned.
    name : str
        One of :data:`NAMES`.
    ax : Axes, optional
        Where to draw; by default the Axes of a new figure (``ax.figure``). A picture with two panels hides
        the frame of this one and puts its panels inside.

    Returns
    -------
    Axes

    Raises
    ------
    PlanError
        When there is no such picture, or this record does not carry it.
    """
    picture = _picture(evaluation, name)
    if ax is None:
        ax = new_figure(8.0, 4.5).subplots()
    d, called = picture.drawn, picture.called
    if isinstance(d, DosePicture):
        return plots.plot_dose(d, ax, called)
    if isinstance(d, Courses):
        return plots.plot_courses(d, ax, called)
    if isinstance(d, ProfilePicture):
        return plots.plot_profile(d, ax, called)
    if isinstance(d, Spread):
        return plots.plot_spread(d, ax, called)
    if isinstance(d, Flow):
        return plots.plot_flow(d, ax, called, narrow=_width(ax) < 6.0)
    if isinstance(d, RegionRelief):
        return plots_regions.plot_regions(d, ax, called)
    if isinstance(d, DesignPicture):
        return plots.plot_design(d, ax, called)
    return plots.plot_rivals(d, ax, called, narrow=_width(ax) < 6.0)


def plot_alt(evaluation: Evaluated, name: str) -> str:
    """What :func:`plot` shows, in words, from the very numbers it draws; parameters and errors as there."""
    return _picture(evaluation, name).alt


def _picture(evaluation: Evaluated, name: str) -> Picture:
    made = {picture.name: picture for picture in pictures(evaluation)}
    if name in made:
        return made[name]
    if name in NAMES:
        raise PlanError(
            f"This record does not carry the picture {name!r}; it has {', '.join(made)}. What is missing is "
            "said by the verdict."
        )
    raise PlanError(f"There is no picture called {name!r}; the pictures are {', '.join(NAMES)}.")


def _width(ax: Axes) -> float:
    """Width of an Axes in inches."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return float(np.asarray(ax.get_position().width) * figure.get_figwidth())
