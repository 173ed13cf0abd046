"""The thirty claims of the clinic's page, one row each: what is said, what would test it, what is known.

Published evidence is quoted as reported in the abstract of the source named (the full papers were not read),
and only where the source was seen. Quotes are the clinic's own words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """One piece of published evidence.

    Attributes
    ----------
    text : str
        What was reported.
    source : str
        Where, for people.
    doi : str
        DOI, where the source list has one.
    """

    text: str
    source: str
    doi: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    id : str
        ``"C1"`` to ``"C30"``.
    quote : str
        The clinic's words.
    kind : str
        A: descriptive; B: only under causal assumptions; C: needs chance assignment or data from
        elsewhere; D: not a question for data. Two letters where the claim has two parts.
    estimand : str
        The quantity that would answer it.
    needs : tuple of str
        Tables and columns, as ``"table: column, column"``.
    holds : str
        The same in plain words, after "not in this record:".
    refuted_if : str
        What would refute it.
    known : tuple of Known
        Published evidence.
    why : str
        Why a clinic's record cannot settle it; empty where it can.
    """

    id: str
    quote: str
    kind: str
    estimand: str
    needs: tuple[str, ...]
    holds: str
    refuted_if: str
    known: tuple[Known, ...] = ()
    why: str = ""

    @property
    def testable(self) -> bool:
        """Whether a clinic's record, kept well enough, could answer it."""
        return self.kind[0] in "AB"


_LTR_META = "Acupuncture in Medicine 2021, meta-analysis of 6 trials in spinal pain"
_LTR_META_DOI = "10.1177/09645284211056346"
_NECK = "Navarro-Santana 2020, 28 trials (PubMed 33066556)"
_COUNT_TRIAL = "Martin-Pintado-Zugasti 2018, PM R 10:1311-20 (randomised, n=120)"
_COUNT_TRIAL_DOI = "10.1016/j.pmrj.2018.05.015"
_SAFETY = "Brady 2014 (7,629 treatments, reported by clinicians)"
_SAFETY_DOI = "10.1179/2042618613Y.0000000044"
_ONE_ARM = "Everyone in this record was needled, so there is nobody to compare with."

_VISITS = "visits: pain, twitches"
_SOUGHT = "visits: pain, twitches, insertions (or sites: insertions)"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C1",
        "essential to elicit … local twitch responses",
        "C",
        "Relief a week or more later with no twitch against at least one, at equal needling.",
        (_SOUGHT,),
        "visits at which twitches were sought and none came, and their insertions",
        "Patients without a twitch gain clearly more than the natural course would give, or the difference "
        "between twitch and no twitch lies inside a margin set beforehand.",
        (
            Known(
                "With against without twitches, pain at once: -2.03 points (95% CI -3.77 to -0.29; scale "
                "of 0 to 10 presumed); short term: -0.20 (-1.46 to 1.06). Low-level evidence.",
                _LTR_META,
                _LTR_META_DOI,
            ),
            Known(
                "One trial of 26 people found more relief of pain at 4 weeks in the group without twitches.",
                "Kamali Hakim 2019 (PubMed 30636729)",
                "10.3233/BMR-181286",
            ),
        ),
        "Whether a twitch comes is not left to chance here, so sites with and without one differ in other "
        "ways too. Only a trial that assigns twitches can tell.",
    ),
    Claim(
        "C2",
        "therapeutic response occurs with the elicitation",
        "B",
        "Change of the next ratings per twitch, at the same visit and with equal needle insertions.",
        (f"{_VISITS}, insertions",),
        "the twitches of each visit",
        "Any link is too small to matter, or no stronger than that with needle insertions.",
        (
            Known(
                "Two trials were found that assign the number of twitches (0, 4, 6 or until no more come), "
                "each with a single session. This one is on soreness.",
                _COUNT_TRIAL,
                _COUNT_TRIAL_DOI,
            ),
            Known(
                "The other is on pain; its results were not in any copy found.",
                "Fernandez-Carnero 2017, Am J Phys Med Rehabil 96:726-33 (randomised, n=84)",
                "10.1097/PHM.0000000000000733",
            ),
        ),
    ),
    Claim(
        "C3",
        "first step in breaking the pain cycle",
        "B",
        "Later relief of patients with early twitches (visits 1 and 2) against those without.",
        (_VISITS,),
        "the twitches of the first visits",
        "Early twitches make no difference after visit 2, or relief comes before any twitch as often as "
        "after.",
    ),
    Claim(
        "C4",
        "very brief (less than a second) painful response",
        "A",
        "Share of twitch pains that last less than one second.",
        ("sites: twitch_pain_seconds",),
        "how long the pain of a twitch lasts, timed by mark, muscle signal or film",
        "Fewer than half last under one second.",
    ),
    Claim(
        "C5",
        "electrical shock; others … cramping",
        "A",
        "How often each word is used for the feeling.",
        ("sites: twitch_feeling",),
        "the words patients use for the feeling of a twitch",
        "Other words are used more often.",
    ),
    Claim(
        "C6",
        "Most patients do not feel the insertion",
        "A",
        "Share of needle insertions that are not felt.",
        ("sites: insertions, insertions_felt",),
        "whether each needle insertion was felt",
        "Fewer than half are not felt.",
        (
            Known(
                "Pain during treatment was recorded in 3.01% of treatments; this is what clinicians noted, "
                "not what patients felt.",
                _SAFETY,
                _SAFETY_DOI,
            ),
        ),
    ),
    Claim(
        "C7",
        "Most patients report being sore",
        "A",
        "Share of patients sore within 72 hours of a visit.",
        ("diary: hours, soreness",),
        "how sore patients were in the days after a visit",
        "Fewer than half are sore.",
        (
            Known(
                "Soreness 2 to 8 hours later in 42% after lidocaine and in 100% after dry needling (15 "
                "people).",
                "Hong 1994, Am J Phys Med Rehabil 73:256-63",
                "10.1097/00002060-199407000-00006",
            ),
            Known("Soreness in 54.6% of patients.", "J Rehabil Med 2007;39:374-8"),
        ),
    ),
    Claim(
        "C8",
        "over the area treated and into … referred",
        "A",
        "Share of sore patients with soreness where treated, and elsewhere.",
        ("diary: hours, soreness, area",),
        "where patients were sore",
        "Soreness elsewhere is rare.",
    ),
    Claim(
        "C9",
        "few hours up to two days",
        "A",
        "How long soreness lasts, and the share over within 48 hours.",
        ("diary: hours, soreness",),
        "when soreness began and ended",
        "More than a tenth to a quarter are sore for longer than 48 hours.",
        (
            Known(
                "Mostly gone within 72 hours.",
                "J Clin Med 2021;10:5527 (introduction)",
                "10.3390/jcm10235527",
            ),
            Known(
                "34.8 of 100 mm at once and 3.8 at 48 hours, in volunteers without treatment of the "
                "soreness.",
                "a digest of a trial of ischaemic compression (second hand)",
            ),
        ),
    ),
    Claim(
        "C10",
        "(unsaid) more twitches, more soreness",
        "B",
        "Change of soreness per twitch at the same visit.",
        (_VISITS, "diary: hours, soreness"),
        "how sore patients were in the days after a visit",
        "Soreness does not rise with twitches.",
        (
            Known(
                "Over four assigned numbers of twitches, soreness over time differed by group (P=.001).",
                _COUNT_TRIAL,
                _COUNT_TRIAL_DOI,
            ),
        ),
    ),
    Claim(
        "C11",
        "several visits for a positive reaction",
        "A/B",
        "Visits up to a first lasting improvement of 30%, and the share who never get there.",
        ("visits: pain, stop_reason",),
        "why patients stopped coming",
        "One visit is the usual number, or the curve equals the natural course.",
        (
            Known(
                "3 to 6 sessions are usual for 82% of those who answered (350 people); this is practice, "
                "not effect.",
                "US survey (PubMed 32932050)",
            ),
        ),
    ),
    Claim(
        "C12",
        "cumulative response",
        "B",
        "Whether twitches at a visit still go with lower ratings two or more visits later.",
        (_VISITS,),
        "the twitches of each visit",
        "Only the latest visit counts, or nothing does, or counting visits alone does as well.",
    ),
    Claim(
        "C13",
        "achieve a certain threshold",
        "B",
        "The total of twitches past which relief sets in, and how sharply.",
        (_VISITS,),
        "the twitches of each visit",
        "A smooth curve or time alone does as well, or any link is too small to matter.",
    ),
    Claim(
        "C14",
        "after which the pain cycle is disturbed",
        "B",
        "How often pain comes back after the threshold was passed, against before.",
        ("visits: pain, twitches (and events: relapse)",),
        "ratings after the course ended",
        "Pain comes back as often on both sides.",
    ),
    Claim(
        "C15",
        "More frequently … needed in the beginning",
        "A/B",
        "Gap between visits late in a patient's course against early.",
        ("visits: date or weeks",),
        "dates of the visits",
        "Gaps stay the same.",
        (),
    ),
    Claim(
        "C16",
        "Once that is achieved, other treatment options",
        "A",
        "Order of improvement and other treatments.",
        ("visits: pain", "events: kind, what (treatment)"),
        "other treatments and their dates",
        "Other treatments begin before the improvement.",
    ),
    Claim(
        "C17",
        "If the pain comes back, tune-ups",
        "B",
        "Relief after a tune-up against the course of a flare left alone.",
        ("visits: pain, twitches, sought, insertions",),
        "ratings of flares, needled and left alone",
        "No more relief than flares show by themselves.",
    ),
    Claim(
        "C18",
        "tune-ups “prevent injuries”",
        "C",
        "Rate of new episodes with planned tune-ups against visits when it hurts.",
        ("visits: pain", "events: visit_reason, what (and relapse, injury)"),
        "why each visit took place, over a long time",
        "The interval of the rate ratio holds 1.",
        (
            Known(
                "Planned chiropractic care gave fewer days with pain, only in one subgroup (trial, n=319).",
                "PMC7171853",
            ),
            Known(
                "73% of people with a new back pain have another episode within a year.", "BMJ 2003;327:323"
            ),
        ),
        "Those who come for tune-ups differ from those who do not. Only a trial that assigns them can tell.",
    ),
    Claim(
        "C19",
        "regular exercise … good posture can prevent",
        "B/C",
        "Rate of new episodes by how much a patient exercises.",
        ("events: relapse", "patients: exercise, posture"),
        "exercise, posture and new episodes",
        "No link is left after adjustment.",
        (),
        "Those who keep exercising differ from those who do not in ways that bear on pain. Only a trial that "
        "assigns exercise can tell.",
    ),
    Claim(
        "C20",
        "neck, shoulder, back, pelvis, pelvic floor, buttocks and leg",
        "B/C",
        "Relief in each region beyond the natural course.",
        ("visits: region",),
        "the body region treated",
        "The interval of a region leaves out a useful benefit.",
        (
            Known(
                "Neck, short term, against sham and the like: -2.31 points (95% CI -3.64 to -0.99).", _NECK
            ),
            Known(
                "Low back: better than sham after treatment; risk of bias mostly high or unclear, “not "
                "robust”.",
                "Hu 2018, 16 trials (PMC6242300)",
            ),
        ),
        _ONE_ARM + " The natural course of each region would have to come from elsewhere.",
    ),
    Claim(
        "C21",
        "headaches (migraines and tension-type …)",
        "C",
        "Headache days with needling against without.",
        ("scores: instrument, score (headache_days, hit6)", "a comparison group"),
        "headache days of people who were not needled",
        "No fewer headache days.",
        (
            Known(
                "Tension-type headache: not better than comparators, very low quality (11 trials).",
                "Pourahmadi 2021",
                "10.1093/ptj/pzab068",
            ),
        ),
        _ONE_ARM,
    ),
    Claim(
        "C22",
        "fibromyalgia",
        "C",
        "Change of the fibromyalgia score with needling against without.",
        ("scores: instrument, score (fiqr, fiq)", "a comparison group"),
        "scores of people who were not needled",
        "The excess is below 14%.",
        (
            Known(
                "25 studies, of which 4 are on dry needling; gains in the short term.",
                "Valera-Calero 2022 (PMC9408486)",
            ),
        ),
        _ONE_ARM,
    ),
    Claim(
        "C23",
        "“modality of choice” / “greatest effect”",
        "C",
        "Relief against manual therapy, exercise or acupuncture.",
        ("an active comparison group",),
        "people who had another treatment",
        "The interval favours or equals the others.",
        (
            Known(
                "Against manual therapy, short term: -0.51 points (95% CI -0.95 to -0.06); against other "
                "physical therapy: no difference.",
                _NECK,
            ),
            Known(
                "Added to manual therapy and exercise, no difference from sham (n=77).",
                "Gattie 2021 (PEDro 63499)",
            ),
        ),
        "Nobody in this record had another treatment to compare with.",
    ),
    Claim(
        "C24",
        "alleviate musculoskeletal pain",
        "B/C",
        "Relief beyond the natural course and beyond sham.",
        ("scores: instrument, score", "two ratings before treatment", "a comparison group"),
        "the course of people who were not needled",
        "The interval holds 0, or lies below what matters.",
        (
            Known(
                "Neck, short term, against sham and the like: -2.31 points (95% CI -3.64 to -0.99).", _NECK
            ),
            Known(
                "Better than none or sham up to 12 weeks, very low to moderate quality; not at 6 to 12 "
                "months.",
                "Gattie 2017, 13 trials (PubMed 28158962)",
            ),
            Known(
                "Untreated back pain that lasts falls from 51 to 33 of 100 within 6 weeks.",
                "Costa 2012, CMAJ 184:E613",
            ),
        ),
        _ONE_ARM + " Pain that brings people to a clinic falls by itself.",
    ),
    Claim(
        "C25",
        "favorable biochemical changes",
        "C",
        "Change of substances in the muscle after a twitch.",
        ("laboratory measurements",),
        "measurements in the muscle",
        "No change after a twitch.",
        (
            Known(
                "Active points differ from latent and normal ones (P<.002), in 9 people, at one time.",
                "Shah 2008 (Arch Phys Med Rehabil, S0003-9993(07)01752-2)",
            ),
        ),
        "It is a question for a laboratory, not for a clinic's record.",
    ),
    Claim(
        "C26",
        "LTR “are spinal cord reflexes”",
        "C",
        "Whether a twitch needs the spinal cord.",
        ("laboratory measurements",),
        "measurements of the reflex",
        "Twitches go on without the cord.",
        (
            Known(
                "In 5 rabbits, twitches were lost when the cord was cut and largely back within 2.5 hours; "
                "cutting the nerve ended them.",
                "Hong 1994, J Musculoskelet Pain 3",
                "10.1300/J094v03n01_03",
            ),
        ),
        "It is a question for a laboratory, not for a clinic's record.",
    ),
    Claim(
        "C27",
        "without any pharmacological means",
        "A",
        "Use of pain medicine over the visits.",
        ("events: kind, what (analgesic)",),
        "the pain medicine patients took",
        "Use rises, or explains the relief.",
    ),
    Claim(
        "C28",
        "Recommendations vary depending on … soreness",
        "A",
        "How often heat, ice or rest is advised, given soreness.",
        ("events: kind, what (advice)", "diary: soreness"),
        "the advice given",
        "Advice does not depend on soreness.",
    ),
    Claim(
        "C29",
        "sterile disposable needles",
        "A",
        "Rate of infections, with an upper limit if there are none.",
        ("events: kind, what (adverse_event)",),
        "adverse events, or a note that there were none",
        "Infections occur.",
        (
            Known(
                "No serious event in 7,629 treatments: a rate of 0.04% or less.",
                _SAFETY,
                _SAFETY_DOI,
            ),
        ),
    ),
    Claim(
        "C30",
        "“NOT acupuncture”; “strictly … research”; “exact mechanisms … not known”; “multiple contraction "
        "knots”; “Muscles are thought to be a primary contributing factor”",
        "D",
        "Nothing to estimate: names, history and theory.",
        (),
        "",
        "Nothing that a record could show.",
        (),
        "It is about names and theory, not about something a record could show.",
    ),
)
"""In the order of the page's table."""

BY_ID: dict[str, Claim] = {claim.id: claim for claim in CLAIMS}
