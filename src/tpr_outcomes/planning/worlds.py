"""The named worlds: clinics in which we know what the twitches do.

A world is ``N4`` (twitches do nothing; people come on a bad day, recover, are needled more when in
pain, stop when better) changed by one or more named modifiers, joined with ``+``: ``N4+thr40`` is the
clinic with a threshold at 40, ``irregular+thr40`` the same with irregular visits. Any such name can be
given to :func:`get_world`; :data:`WORLDS` holds those used in the design and in the tests.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tpr_outcomes.errors import PlanError
from tpr_outcomes.planning.truth import Truth

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Modifier:
    """One named change of a world.

    Attributes
    ----------
    text : str
        What it adds, in plain language, to follow a semicolon.
    changes : mapping or callable
        New parameter values, or a function of the world that gives them.
    """

    text: str
    changes: Changes | Callable[[Truth], Changes]

    def applied(self, truth: Truth) -> Truth:
        """Return ``truth`` with this change."""
        changes = self.changes(truth) if callable(self.changes) else self.changes
        return replace(truth, **changes)


def _hinge(threshold: float) -> Modifier:
    text = f"each twitch after the first {threshold:g} takes 0.05 points off for good, none before"
    return Modifier(text, {"response": "hinge", "slope": -0.05, "threshold": threshold})


def _halved(truth: Truth) -> Changes:
    names = ("slope", "early_slope", "maximum", "jump", "visit_slope")
    return {name: getattr(truth, name) / 2.0 for name in names}


_RECORDED_INSERTIONS: Changes = {"insertions_mean": 12.0}
_THERAPISTS: Changes = {"therapists_low": 5, "therapists_high": 12}

MODIFIERS: Mapping[str, Modifier] = MappingProxyType({
    # What the twitches do.
    "thr20": _hinge(20.0),
    "thr30": _hinge(30.0),
    "thr40": _hinge(40.0),
    "thr60": _hinge(60.0),
    "lin": Modifier(
        "every twitch takes 0.025 points off for good", {"response": "linear", "slope": -0.025}
    ),
    "emax": Modifier(
        "twitches help less and less: 2.5 points at most, half of it after 25",
        {"response": "emax", "maximum": -2.5, "half_dose": 25.0},
    ),
    "step": Modifier(
        "pain falls by 1.5 points once more than 40 twitches are reached",
        {"response": "step", "jump": -1.5, "threshold": 40.0},
    ),
    "het": Modifier(
        "every patient has a threshold of their own, about 40",
        {"response": "hinge_patient", "slope": -0.05, "threshold": 40.0, "threshold_sd": 0.35},
    ),
    "kink": Modifier(
        "each twitch takes 0.02 points off up to 40 twitches and 0.05 after",
        {"response": "kink", "early_slope": -0.02, "slope": -0.05, "threshold": 40.0},
    ),
    # What else could look like it.
    "N5": Modifier("therapists react to true pain as well as to the score", {"driver": "mixed"}),
    "N5s": Modifier("therapists react to true pain, not to the score", {"driver": "latent"}),
    "N5neg": Modifier("patients truly better than their score are needled more", {"driver": "contrary"}),
    "N4mnar": Modifier("patients stop by true pain, not by the score", {"stopping": "latent"}),
    "N6": Modifier(
        "every visit helps, whatever is needled",
        {"response": "per_visit", "visit_slope": -0.15, "visit_slope_sd": 0.4},
    ),
    "N7": Modifier("twitchy patients recover faster by nature", {"recovery_dose_corr": -0.6}),
    "N8": Modifier(
        "each twitch takes 0.08 points off until the next visit only",
        {"response": "last_dose", "slope": -0.08},
    ),
    "N9": Modifier("everybody recovers suddenly, at a time of their own", {"course": "sigmoid"}),
    "insertions": Modifier("insertions are recorded and go with the twitches", _RECORDED_INSERTIONS),
    "ins-lin": Modifier(
        "insertions work, each the same, and twitches only go with them",
        {**_RECORDED_INSERTIONS, "acting": "insertions", "response": "linear", "slope": -0.017},
    ),
    "ins-thr": Modifier(
        "insertions work after the first 60, and twitches only go with them",
        {
            **_RECORDED_INSERTIONS, "acting": "insertions", "response": "hinge",
            "slope": -0.033, "threshold": 60.0,
        },
    ),
    "therapists": Modifier(
        "five to twelve therapists differ in how much they needle and in how patients do",
        {**_THERAPISTS, "therapist_style_sd": 0.3, "therapist_result_sd": 0.1},
    ),
    "therapists-conf": Modifier(
        "therapists who needle more have better results for other reasons",
        {**_THERAPISTS, "therapist_style_sd": 0.3, "therapist_result_sd": 0.1, "therapist_corr": 0.8},
    ),
    "cotreat": Modifier(
        "a second treatment that works is started when pain stays high", {"cotreatment_prob": 0.3}
    ),
    "convex": Modifier(
        "an unmeasured trait raises twitches and, past a point, speeds recovery: made to look like a "
        "threshold",
        {"trait_relief": -0.05, "trait_from": 40.0, "trait_dose_corr": 0.8},
    ),
    "convex-worst": Modifier(
        "as convex, with a trait that is twitchiness itself and twice as strong",
        {"trait_relief": -0.1, "trait_from": 40.0, "trait_dose_corr": 1.0},
    ),
    "flare": Modifier(
        "people come in a flare; flares are sudden, sometimes severe, and fade by themselves",
        {"flare_prob": 0.1, "flare_entry": 0.6, "flare_scale": 1.2, "flare_decay": 0.5},
    ),
    # How the clinic works and what it writes down.
    "half": Modifier("effects halved", _halved),
    "little": Modifier("doses hardly vary between patients", {"dose_sd": 0.1, "dose_size": 50.0}),
    "fixed": Modifier(
        "the dose is fixed by protocol",
        {"dose_sd": 0.0, "dose_size": float("inf"), "dose_pain_slope": 0.0},
    ),
    "mild": Modifier("three in ten stop at half pain, not eight", {"stop_prob": 0.3}),
    "count70": Modifier("seven twitches in ten are counted", {"count_share": 0.7}),
    "irregular": Modifier(
        "visits come at irregular gaps and one in seven is missed", {"gap_sd": 0.5, "missed_prob": 0.15}
    ),
    "informative": Modifier(
        "visits come at irregular gaps and are missed when pain is low",
        {"gap_sd": 0.5, "missed_prob": 0.15, "missed_pain_slope": -0.4},
    ),
    "undercount-depth": Modifier(
        "fewer twitches are noticed in deep muscles", {"count_share": 0.95, "count_depth": 2.5}
    ),
    "undercount-pain": Modifier(
        "fewer twitches are noticed when pain is high", {"count_share": 0.75, "count_pain": 0.3}
    ),
    "digits": Modifier(
        "favourite digits in pain and counts, and one therapist who writes only tens",
        {**_THERAPISTS, "digit_pain": 0.3, "digit_twitches": 0.3, "round_therapist": 1},
    ),
    "scale100": Modifier("pain is rated from 0 to 100", {"scale": "vas"}),
    "blanks": Modifier(
        "one rating in ten and one count in twenty are left blank",
        {"pain_blank": 0.1, "twitches_blank": 0.05},
    ),
    "randomised": Modifier(
        "a twitch target of 0 or 8 is drawn by lot, with the same insertions",
        {**_RECORDED_INSERTIONS, "assignment": "randomised", "target": 8},
    ),
})  # fmt: skip
"""Named changes that can be joined with ``+``."""


def _bases() -> dict[str, Truth]:
    """Build the ladder of worlds in which twitches do nothing, each adding one way to be fooled."""
    n4 = Truth("N4", "Twitches do nothing; as N3, and patients stop when better")
    n3 = replace(
        n4, world="N3", stopping="none",
        description="Twitches do nothing; as N2, and more pain is needled more",
    )  # fmt: skip
    n2 = replace(
        n3, world="N2", driver="none",
        description="Twitches do nothing; as N1, and people come on a bad day",
    )  # fmt: skip
    n1 = replace(n2, world="N1", entry_sd=0.0, description="Twitches do nothing; pain recovers by itself")
    n0 = replace(n1, world="N0", course="flat", description="Twitches do nothing; pain stays as it is")
    return {truth.world: truth for truth in (n0, n1, n2, n3, n4)}


_BASES = _bases()


def compose(name: str, base: str = "N4") -> Truth:
    """Build the world of a composed name.

    Parameters
    ----------
    name : str
        Base or modifiers joined with ``+``, e.g. ``"N3"``, ``"thr40"``, ``"N7+thr40"``,
        ``"irregular+mild+thr40"``. ``A-`` before a modifier is read past.
    base : str
        The world that is modified when the name does not begin with one.

    Returns
    -------
    Truth
        The world, under that name.

    Raises
    ------
    PlanError
        When a part is not known; the message gives the nearest names.
    """
    parts = [_part(part, name) for part in name.split("+")]
    truth = _BASES[base]
    if parts[0] in _BASES:
        truth = _BASES[parts.pop(0)]
    for part in parts:
        if part not in MODIFIERS:
            raise PlanError(f"In world {name!r}, {part!r} is not a change. Put it first.")
        truth = MODIFIERS[part].applied(truth)
    if not parts:
        return truth
    start = "Twitches work" if truth.twitches_work else "Twitches do nothing"
    texts = [MODIFIERS[part].text for part in parts]
    return replace(truth, world=name, description="; ".join([start, *texts]))


def _part(part: str, name: str) -> str:
    """Find the exact spelling of one part of a name."""
    known = {key.lower(): key for key in (*_BASES, *MODIFIERS)}
    key = part.strip().lower().removeprefix("a-")
    if key in known:
        return known[key]
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    hint = f" Nearest: {', '.join(known[item] for item in near)}." if near else ""
    raise PlanError(
        f"There is no world {name!r}: {part.strip()!r} is not known.{hint} "
        f"Bases: {', '.join(_BASES)}; changes joined with '+': {', '.join(MODIFIERS)}."
    )


_RESPONSES = ("lin", "emax", "thr20", "thr30", "thr40", "thr60", "step", "het", "kink")
_NEW = (
    "irregular", "informative", "therapists", "therapists-conf", "insertions", "cotreat",
    "undercount-depth", "undercount-pain", "digits", "convex", "convex-worst", "flare", "scale100",
    "blanks", "randomised",
)  # fmt: skip
_VARIANTS = {
    "half": ("A-lin", "A-thr30", "A-thr40"),
    "little": ("N4", "A-lin", "A-thr30", "A-thr40"),
    "fixed": ("N4", "A-thr30", "A-thr40"),
    "mild": ("N4", "N7", "A-lin", "A-thr40", "A-thr60"),
    "count70": ("N4", "A-lin", "A-emax", "A-thr30", "A-thr40"),
}


def _named() -> dict[str, Truth]:
    names = [*_BASES, "N5", "N5s", "N5neg", "N6", "N7", "N8", "N9", "N4mnar"]
    names += [f"A-{response}" for response in _RESPONSES]
    names += [f"thr40+{null}" for null in ("N7", "N5s", "N5neg")]
    names += [f"{world}+{variant}" for variant, worlds in _VARIANTS.items() for world in worlds]
    names += [*_NEW, *(f"{new}+thr40" for new in _NEW), "ins-lin", "ins-thr"]
    worlds = {name: compose(name) for name in names}
    worlds["N9neg"] = replace(compose("N9+N5neg"), world="N9neg")
    return worlds


WORLDS: Mapping[str, Truth] = MappingProxyType(_named())
"""The worlds of the design document and those added since, by name."""


def get_world(name: str) -> Truth:
    """Return a named or composed world.

    Parameters
    ----------
    name : str
        A key of :data:`WORLDS` (case does not matter) or any name :func:`compose` can build.

    Returns
    -------
    Truth
        The world.

    Raises
    ------
    PlanError
        When there is no such world; the message gives the nearest names.

    Examples
    --------
    >>> get_world("A-thr40").true_threshold
    40.0
    >>> get_world("A-thr40+count70").true_threshold
    28.0
    """
    key = name.strip().lower()
    for world, truth in WORLDS.items():
        if world.lower() == key:
            return truth
    return compose(name.strip())
