"""The data check: what is not good says what to do, on the first screen, too."""

from __future__ import annotations

import tpr_outcomes as tpr
from tpr_outcomes.reporting import blocks
from tpr_outcomes.reporting import words_notebook as say
from tpr_outcomes.reporting.lights import data_lights


def test_what_is_not_good_says_what_to_do_on_the_first_screen() -> None:
    visits = tpr.Visits.from_arrays(
        patient=[0, 0, 1, 1, 2], visit=[1, 2, 1, 2, 1], pain=[5.0, 4, 6, 5, 7], twitches=[3.0, 4, 0, 2, 1]
    )
    lights = data_lights(tpr.evaluate(visits))
    shown = blocks.light_list(lights).text
    states = {light.rule: light.state for light in lights}
    assert states["insertions"] == "look"
    assert states["used"] == "problem"
    for light in lights:
        assert ((light.short or light.remedy) in shown) == (light.state != "good"), light.rule
        assert light.remedy


def test_no_reason_at_all_is_not_called_a_share() -> None:
    visits = tpr.Visits.from_arrays(patient=[0, 0], visit=[1, 2], pain=[5.0, 4], twitches=[3.0, 4])
    (light,) = [light for light in data_lights(tpr.evaluate(visits)) if light.rule == "stopping"]
    assert light.seen == say.NO_REASONS
    assert light.state == "look"
