"""The self-check in sentences and for machines: how often would this test be wrong in clinics like yours?"""

from __future__ import annotations

from tpr_outcomes.inference.evidence import LABELS, Evidence
from tpr_outcomes.planning.rates import Rate
from tpr_outcomes.planning.self_check import SelfCheck, Setting
from tpr_outcomes.reporting import words
from tpr_outcomes.reporting.spelling import amount, number, terms
from tpr_outcomes.reporting.told import told

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


def self_check_sentences(check: SelfCheck, evidence: Evidence) -> tuple[str, ...]:
    """Say what the self-check found.

    Parameters
    ----------
    check : SelfCheck
    evidence : Evidence
        Of the same record, for the names of dose and scale.

    Returns
    -------
    tuple of str
        The rate of false support, one sentence per threshold and relief, and what such clinics leave
        out; or the reason why it could not be done.
    """
    called = terms(evidence.ratings.dose, evidence.scale)
    rate = check.false_support
    if rate is None:
        return (words.SELF_CHECK["undone"].format(reason=told(check.reason)),)
    said = [
        words.SELF_CHECK["false"].format(
            many=called.many,
            count=rate.count,
            clinics=rate.trials,
            high=_share(rate.conf_high),
            **_rate(rate),
        )
    ]
    said += [
        words.SELF_CHECK["power"].format(
            many=called.many,
            better=called.better,
            at=number(setting.threshold or 0.0),
            relief=amount(setting.relief, called.unit),
            top=number(check.dose_95),
            **_rate(setting.rate()),
        )
        for setting in check.power
    ]
    return (*said, words.SELF_CHECK["limits"])


def self_check_json(check: SelfCheck, evidence: Evidence) -> dict[str, Json]:
    """Return the ``self_check`` part of ``verdict.json``; the same check gives the same content."""
    null = check.null
    labels: dict[str, Json] = {} if null is None else {label: null.counts[label] for label in LABELS}
    power: list[Json] = [_setting(setting) for setting in check.power]
    return {
        "sentences": list(self_check_sentences(check, evidence)),
        "false_support": None if null is None else _numbers(null.rate()),
        "labels": labels,
        "power": power,
        "bootstrap": check.bootstrap,
        "seed": check.seed,
        "reason": check.reason,
    }


def _setting(setting: Setting) -> Json:
    what: dict[str, Json] = {"threshold": setting.threshold, "relief": setting.relief, "slope": setting.slope}
    return what | _numbers(setting.rate())


def _numbers(rate: Rate) -> dict[str, Json]:
    return {
        "estimate": rate.share,
        "mcse": rate.mcse,
        "conf_low": rate.conf_low,
        "conf_high": rate.conf_high,
        "count": rate.count,
        "clinics": rate.trials,
    }


def _rate(rate: Rate) -> dict[str, str]:
    return {"share": _share(rate.share), "mcse": _share(rate.mcse)}


def _share(share: float) -> str:
    """Write a share as a percentage, with one digit below 10%.

    Examples
    --------
    >>> _share(0.0), _share(0.0153), _share(0.2), _share(0.0995), _share(1.0)
    ('0%', '1.5%', '20%', '10%', '100%')
    """
    percent = 100.0 * share
    return f"{percent:.1f}".removesuffix(".0") + "%" if percent < 9.95 else f"{percent:.0f}%"
