"""What a simulated clinic writes down beside its visits: sites, diary, events and patients, truth known."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tpr_outcomes.cohort.diary import DIARY_HOURS
from tpr_outcomes.errors import PlanError
from tpr_outcomes.inference.resample import generator

Array = NDArray[np.float64]

MUSCLES = ("trapezius", "levator scapulae", "infraspinatus", "multifidus", "gluteus medius", "piriformis")
FEELINGS = ("electrical shock", "cramping", "ache", "pressure", "nothing")
TREATMENTS = ("exercise", "manual therapy", "acupuncture")
MEDICINES = ("paracetamol", "nsaid")


@dataclass(frozen=True)
class Beside:
    """What is true of everything beside the visits. All shares and rates are made up.

    Attributes
    ----------
    sore, sore_sd : float
        Mean and spread between patients, on the probit scale, of being sore after a visit.
    sore_median, sore_patient_sd, sore_within_sd : float
        Hours that soreness lasts (median), and its spread on the log scale between and within patients.
    sore_per_twitch : float
        Points of soreness for each twitch of the visit.
    local, referred : float
        Share of sore visits with soreness where treated; with soreness elsewhere.
    diary_kept, entry_missing : float
        Share of visits with a diary; share of its entries left out, whatever they would have said.
    felt, felt_sd : float
        Mean and spread between patients, probit scale, of feeling an insertion.
    twitch_seconds, twitch_seconds_sd : float
        Median seconds of the pain of a twitch; spread on the log scale.
    feelings : tuple of float
        Shares of :data:`FEELINGS`.
    asked : float
        Share of visits at which events were asked for.
    infection, bruise, fainting : float
        Chance of each at a visit.
    medicine, medicine_per_visit, medicine_sd : float
        Probit of taking pain medicine at the first visit, its change per visit, spread between patients.
    treatment_before, treatment_after : float
        Chance at each visit of taking up another treatment, before and after a first improvement by 30%.
    advice, advice_per_point : float
        Logit of being told to use heat, ice or rest after a visit without soreness; change per point of the
        highest soreness in the diary of the visit before.
    gap_growth : float
        Growth of the gap from each visit to the next; 0: weekly throughout.
    """

    sore: float = 1.1
    sore_sd: float = 1.0
    sore_median: float = 16.0
    sore_patient_sd: float = 0.5
    sore_within_sd: float = 0.7
    sore_per_twitch: float = 0.1
    local: float = 0.95
    referred: float = 0.35
    diary_kept: float = 0.8
    entry_missing: float = 0.1
    felt: float = -0.6
    felt_sd: float = 0.5
    twitch_seconds: float = 0.6
    twitch_seconds_sd: float = 0.6
    feelings: tuple[float, ...] = (0.5, 0.3, 0.1, 0.05, 0.05)
    asked: float = 0.9
    infection: float = 0.0
    bruise: float = 0.1
    fainting: float = 0.01
    medicine: float = 0.0
    medicine_per_visit: float = -0.15
    medicine_sd: float = 1.0
    treatment_before: float = 0.01
    treatment_after: float = 0.15
    advice: float = -1.5
    advice_per_point: float = 0.5
    gap_growth: float = 0.0

    def over(self, hours: float) -> float:
        """True share of visits still sore so many hours after the needling."""
        sore = float(stats.norm.cdf(self.sore / math.hypot(1.0, self.sore_sd)))
        spread = math.hypot(self.sore_patient_sd, self.sore_within_sd)
        return sore * float(stats.norm.sf(math.log(hours / self.sore_median) / spread))

    def to_dict(self) -> dict[str, Any]:
        """Every parameter by name, for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


TABLES = ("sites", "diary", "events", "patients")


def tables_beside(
    visits: pd.DataFrame, truth: Beside, *, seed: int, only: tuple[str, ...] = TABLES
) -> dict[str, pd.DataFrame]:
    """Write the optional tables of a clinic whose visits are given.

    Parameters
    ----------
    visits : DataFrame
        One row per visit, sorted: ``patient`` (any labels), ``visit``, ``pain``, ``twitches``.
    truth : Beside
    seed : int
    only : tuple of str, optional
        Tables to write; each is the same whichever others are.

    Returns
    -------
    dict of str to DataFrame
        ``sites``, ``diary``, ``events`` and ``patients``, as a clinic would keep them.

    Raises
    ------
    PlanError
        When a column is missing.
    """
    missing = [name for name in ("patient", "visit", "pain", "twitches") if name not in visits]
    if missing:
        raise PlanError(f"The visits lack {', '.join(missing)}; tables beside them need these columns.")
    base = visits[["patient", "visit", "pain", "twitches"]].astype({"pain": float, "twitches": float})
    base = base.assign(code=pd.factorize(base["patient"])[0]).reset_index(drop=True)
    levels = _soreness(base, truth, seed)
    write = {
        "sites": lambda: _sites(base, truth, seed),
        "diary": lambda: _diary(base, levels, truth, seed),
        "events": lambda: _events(base, levels, truth, seed),
        "patients": lambda: _patients(base, seed),
    }
    return {name: write[name]() for name in only}


def weeks_beside(visit: NDArray[np.int64], truth: Beside, *, seed: int) -> Array:
    """Weeks of each visit when gaps grow from visit to visit; a day early or late now and then."""
    k = visit.astype(np.float64) - 1.0
    days = np.round(7.0 * (k + truth.gap_growth * k * (k - 1.0) / 2.0))
    late = generator(seed, "beside", "weeks").integers(-1, 2, visit.size)
    return np.asarray(np.round((days + np.where(k > 0, late, 0)) / 7.0, 3))


def _traits(base: pd.DataFrame, name: str, spread: float, seed: int) -> Array:
    """One normal draw per patient, laid out by visit."""
    people = int(base["code"].max()) + 1
    drawn = generator(seed, "beside", "trait", name).normal(0.0, spread, people)
    return np.asarray(drawn[base["code"].to_numpy()])


def _soreness(base: pd.DataFrame, truth: Beside, seed: int) -> Array:
    """Soreness of every visit at every planned hour, whether or not anybody wrote it down; shape (n, 6)."""
    rng = generator(seed, "beside", "soreness")
    n = len(base)
    sore = rng.random(n) < stats.norm.cdf(truth.sore + _traits(base, "sore", truth.sore_sd, seed))
    lasting = _traits(base, "lasting", truth.sore_patient_sd, seed) + rng.normal(0, truth.sore_within_sd, n)
    hours = np.where(sore, truth.sore_median * np.exp(lasting), 0.0)
    strength = 3.0 + truth.sore_per_twitch * base["twitches"].fillna(0.0) + rng.normal(0.0, 1.0, n)
    level = np.clip(np.round(strength.to_numpy()), 1.0, 10.0)
    return np.where(hours[:, None] > np.array(DIARY_HOURS), level[:, None], 0.0)


def _diary(base: pd.DataFrame, levels: Array, truth: Beside, seed: int) -> pd.DataFrame:
    rng = generator(seed, "beside", "diary")
    n = len(base)
    kept = (rng.random(n) < truth.diary_kept)[:, None] & (rng.random(levels.shape) >= truth.entry_missing)
    local, referred = rng.random(n) < truth.local, rng.random(n) < truth.referred
    area = np.where(referred, np.where(local, "both", "referred"), "local")
    row, column = np.nonzero(kept)
    soreness = levels[row, column]
    return pd.DataFrame(
        {
            "patient": base["patient"].to_numpy()[row],
            "visit": base["visit"].to_numpy()[row],
            "hours": np.array(DIARY_HOURS)[column].astype(int),
            "soreness": soreness.astype(int),
            "area": np.where(soreness > 0, area[row], ""),
            "reported_by": "patient",
        }
    )


def _sites(base: pd.DataFrame, truth: Beside, seed: int) -> pd.DataFrame:
    """One to three muscles a visit; the visit's twitches fall on them evenly by lot."""
    rng = generator(seed, "beside", "sites")
    trait = _traits(base, "felt", truth.felt_sd, seed)
    felt = np.asarray(stats.norm.cdf(truth.felt + trait))
    rows: list[list[Any]] = []
    counts = base["twitches"].tolist()
    for i, (patient, visit) in enumerate(zip(base["patient"], base["visit"], strict=True)):
        muscles = rng.choice(len(MUSCLES), size=int(rng.integers(1, 4)), replace=False)
        known = math.isfinite(counts[i])
        split = rng.multinomial(int(counts[i]) if known else 0, np.full(muscles.size, 1 / muscles.size))
        for muscle, count in zip(np.sort(muscles), split, strict=True):
            insertions = 1 + int(rng.poisson(2.0))
            seconds = truth.twitch_seconds * math.exp(rng.normal(0.0, truth.twitch_seconds_sd))
            feeling = FEELINGS[int(rng.choice(len(FEELINGS), p=truth.feelings))]
            came = known and count > 0
            row = [patient, visit, MUSCLES[muscle], "left" if rng.random() < 0.5 else "right", insertions]
            row += [int(rng.binomial(insertions, felt[i])), "yes", int(count) if known else ""]
            row += [round(seconds, 2) if came else "", feeling if came else ""]
            rows.append([*row, "0.30x40", int(rng.integers(10, 40)), "patient"])
    names = "patient visit muscle side insertions insertions_felt sought twitches twitch_pain_seconds"
    return pd.DataFrame(rows, columns=[*names.split(), "twitch_feeling", "needle", "depth", "reported_by"])


def _events(base: pd.DataFrame, levels: Array, truth: Beside, seed: int) -> pd.DataFrame:
    rng = generator(seed, "beside", "events")
    highest = levels.max(axis=1)
    first = base.groupby("code")["pain"].transform("first")
    improved = (base["pain"] <= 0.7 * first) & (base["visit"] > 1)
    after = improved.groupby(base["code"]).cummax().to_numpy()
    opens = (~base["code"].duplicated()).to_numpy()
    takes = stats.norm.cdf(
        truth.medicine
        + truth.medicine_per_visit * (base["visit"].to_numpy() - 1.0)
        + _traits(base, "medicine", truth.medicine_sd, seed)
    )
    rows: list[tuple[Any, ...]] = []
    treated = False
    for i, (patient, visit) in enumerate(zip(base["patient"], base["visit"], strict=True)):
        treated = treated and not opens[i]
        chance, asked = rng.random(6), rng.random() < truth.asked
        if not treated and chance[0] < (truth.treatment_after if after[i] else truth.treatment_before):
            treated = True
            rows.append((patient, "treatment", TREATMENTS[int(rng.integers(3))], visit, "patient"))
        elif asked and not treated:
            rows.append((patient, "treatment", "none", visit, "patient"))
        if not asked:
            continue
        harm = _first_of(chance[1], infection=truth.infection, bruise=truth.bruise, fainting=truth.fainting)
        rows.append((patient, "adverse_event", harm, visit, "clinician"))
        taken = MEDICINES[int(rng.integers(2))] if chance[2] < takes[i] else "none"
        rows.append((patient, "analgesic", taken, visit, "patient"))
        if not opens[i]:
            told = 1.0 / (1.0 + math.exp(-truth.advice - truth.advice_per_point * highest[i - 1]))
            advice = ("heat", "ice", "rest")[int(rng.integers(3))] if chance[3] < told else "none"
            rows.append((patient, "advice", advice, visit, "clinician"))
    return pd.DataFrame(rows, columns=["patient", "kind", "what", "visit", "reported_by"])


def _first_of(chance: float, **shares: float) -> str:
    """The event a uniform draw falls on; "none" beyond all of them."""
    total = 0.0
    for name, share in shares.items():
        total += share
        if chance < total:
            return name
    return "none"


def _patients(base: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = generator(seed, "beside", "patients")
    labels = base["patient"].drop_duplicates().to_numpy()
    n = labels.size
    return pd.DataFrame(
        {
            "patient": labels,
            "symptom_weeks": np.round(np.exp(rng.normal(3.0, 1.0, n))).astype(int),
            "sleep": rng.integers(0, 11, n),
            "expectation": rng.integers(3, 11, n),
            "prior_needling": np.where(rng.random(n) < 0.3, "yes", "no"),
            "exercise": rng.integers(0, 8, n),
        }
    )
