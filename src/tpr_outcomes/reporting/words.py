"""Every sentence a verdict may say: one catalogue of templates.

Templates name the numbers they take; which template applies is decided in
:mod:`tpr_outcomes.reporting.verdict` and :mod:`tpr_outcomes.reporting.claims`. A translation is another file
like this one.

House rules for a sentence, each of them tested: short words (school grade 9 or below); twitches are
*recorded* twitches; a threshold is threshold-*shaped*; no p-value without saying what it means; "cause"
only in "not evidence that … cause …" or beside an experiment; every association verdict ends with the
former.
"""

from __future__ import annotations

from dataclasses import dataclass

# --- the seven verdicts ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    """Templates of one verdict.

    Attributes
    ----------
    headline : str
        A few words for a badge.
    sentence, paragraph : str
        The verdict in one sentence, and why.
    change : str
        What would change it.
    step : str
        What to do next.
    """

    headline: str
    sentence: str
    paragraph: str
    change: str
    step: str


EARLIER = {True: "earlier {outcome}", False: "the earlier {outcome}"}
"""An earlier rating, of pain and of any other score."""
SUBJECT = {True: "{capital}", False: "The {outcome}"}
"""The outcome at the beginning of a sentence."""
NOT_EVIDENCE = "not evidence that {many} cause {better}"
"""How every verdict of association ends."""

VERDICTS: dict[str, Words] = {
    "not_identifiable": Words(
        headline="The record cannot tell",
        sentence="This record cannot answer the question, whatever the truth is: {reason}.",
        paragraph=(
            "We first ask what such a record could show at best. {findings} It "
            "can miss a link that matters, so finding none would mean little."
        ),
        change="{help}",
        step=(
            "Plan the record before the next patients come: the same visits for all, and a rating at each. "
            "At any one visit, {many} should differ between patients."
        ),
    ),
    "threshold_supported": Words(
        headline="Threshold-shaped",
        sentence=(
            "This record shows a threshold-shaped link: {better} shows up only past about {estimate} "
            "{recorded} ({interval})."
        ),
        paragraph=(
            "We pitted this shape against {rivals} other ways to explain the ratings: time alone, each "
            "{one} counting the same, early ones counting most, only the last visit counting, and the "
            "like. It beat them all. If the best of them ({hardest}) were the truth, a picture this clear "
            "would turn up {chances}. {relief} {shape} {before} {checks}"
        ),
        change=(
            "It would fall if new patients, judged by the same plan, did not show the same shape. It would "
            "also fall if something not in the record drives both the {many} and the {better}. {tipping}"
        ),
        step=(
            "Fix this plan in writing and repeat it in new patients. Only a study that lets chance decide "
            "how many {many} are sought, with equal needling, can show that they bring the {better}."
        ),
    ),
    "threshold_shape_confounding_alarm": Words(
        headline="Shape seen, check failed",
        sentence=(
            "The link has a threshold shape near {estimate} {recorded}, but {failed}, so it counts as not "
            "supported: this is " + NOT_EVIDENCE + "."
        ),
        paragraph=(
            "The threshold shape beat all {rivals} rival explanations. {checks} A failed check means that "
            "something outside the record may have drawn this shape. The place of the threshold is then "
            "not to be relied on either."
        ),
        change="It could rise to supported if the record held what guided the needle, and the checks passed.",
        step=(
            "Write down at each visit why more or less was done: how tender the muscle was, what the "
            "patient asked for, how pain had been since the last visit."
        ),
    ),
    "cumulative_association": Words(
        headline="A link with the sum",
        sentence=(
            "In this record {better} goes with the running total of {recorded}, but no threshold was shown; "
            "this is " + NOT_EVIDENCE + "."
        ),
        paragraph=(
            "The link is there beyond time, beyond the last visit alone and beyond a sum that fades by half "
            "from visit to visit. {line} But a threshold did not beat every rival. The closest "
            "one says: {hardest}. {checks}"
        ),
        change=(
            "More patients past the higher doses could show a threshold, or show that there is none. "
            "A patient trait that was not recorded could explain the whole link."
        ),
        step=(
            "Keep patients rated after they are well, so that more high totals are seen, and repeat the "
            "same plan in new patients."
        ),
    ),
    "dose_association": Words(
        headline="A link with the dose",
        sentence=(
            "In this record {better} goes with {recorded}, but neither a lasting sum nor a threshold was "
            "shown; this is " + NOT_EVIDENCE + "."
        ),
        paragraph=(
            "{better_capital} and {many} go together beyond what time explains: with no link at all, a "
            "picture this clear would turn up {chances_dose}. {line} {lasting} {checks} "
            "Simulated clinics where {many} do nothing show "
            "such a link often: when those with more {many} also recover faster, or when those who feel "
            "better than their score get more needling."
        ),
        change=(
            "It would rise if the link lasted over several visits and passed every check. It would fall if a "
            "trait of the patients explains it."
        ),
        step=(
            "Record what could drive both {many} and {better}: how long the pain has lasted, sleep, other "
            "treatments. Rate patients for longer."
        ),
    ),
    "no_relevant_effect": Words(
        headline="No link that matters",
        sentence=(
            "In this record any {better} that goes with {recorded} is small: at most {bound} at {top} "
            "{many}, below the {relevant} set as worth noticing."
        ),
        paragraph=(
            "The record could have shown more, and did not. The limit holds for a steady gain and for a "
            "threshold at any place we searched. {checks}"
        ),
        change=(
            "A larger record could find a smaller link. A hidden reason that sent more {many} to patients "
            "who were about to do badly could have masked one."
        ),
        step="Look for what else sets apart the patients who got better, or test a higher dose on purpose.",
    ),
    "inconclusive": Words(
        headline="Not settled",
        sentence=(
            "This record does not settle it: it neither shows a link between {recorded} and {better} nor "
            "rules out one that matters."
        ),
        paragraph=(
            "{why} With no link at all, a picture as clear as this one would turn up {chances_dose}. {checks}"
        ),
        change="{help}",
        step="Go on recording by the same plan. Settle now when to look again, and do not look before.",
    ),
}
"""One entry per label of :data:`tpr_outcomes.inference.evidence.LABELS`."""

# --- parts of the paragraphs ----------------------------------------------------------------------

INTERVAL = {
    "closed": "{percent} interval {low} to {high}",
    "open_high": "{percent} interval from {low} up past the most {many} seen",
    "open_low": "{percent} interval from the fewest {many} seen up to {high}",
    "open": "{percent} interval as wide as the record",
}
OPEN_END = {
    "open_high": (
        "The threshold may lie past the most {many} seen here: the record has no upper end for it. Longer "
        "courses would show one."
    ),
    "open_low": (
        "The threshold may lie below the fewest {many} seen here: the record has no lower end for it. More "
        "ratings after low totals would show one."
    ),
    "open": (
        "The record puts no end to where the threshold may lie, on either side. More patients, rated after "
        "low totals and high ones, would."
    ),
}

REASONS = {
    "not_fitted": "there is too little in it",
    "no_dose": "the number of {many} does not differ between ratings",
    "threshold_mdr": (
        "{better} past a threshold would have to reach {best_mdr} to be seen, more than the {limit} allowed"
    ),
    "threshold_hidden": "{many} rise in step with visits, so a threshold cannot be told from time",
    "linear_mdr": (
        "even a steady gain would have to reach {linear_mdr} to be seen, more than the {linear_limit} allowed"
    ),
    "linear_hidden": "{many} rise in step with visits, so they cannot be told from time",
    "patients_past": "fewer than {fewest} patients were rated past any threshold we could search for",
}
"""Why a record cannot tell, by rule id of :class:`~tpr_outcomes.inference.identifiability.Design`."""

FINDINGS = {
    "obstacle": "{obstacle}",
    "also": "Also, {reason}.",
    "share": (
        "Of all the differences in {many} between ratings, {share} lie between patients at the same visit; "
        "the rest goes with time, and so cannot be told from getting better with time."
    ),
    "one_dose": (
        "Each patient has one total that does not change between ratings: the record shows who had more "
        "{many}, not what more {many} did."
    ),
    "past": "Patients rated past the best searched place: {past}.",
}

HELP = {
    "patients": (
        "About {patients} patients with the same visits and doses (there are {n} now) could bring the answer."
    ),
    "spread": (
        "More patients alone will not do it: {many} must differ between patients who are at the same visit."
    ),
    "past": (
        "Ratings past higher totals would do it: at least {fewest} patients seen on, also after they are "
        "well."
    ),
    "one_dose": "The {many} of each visit and a rating at each would do it; one total per patient cannot.",
    "ratings": (
        "It would take more patients with a first rating and two or more later ones. It would also take the "
        "{many} of each visit between them."
    ),
    "more": "More patients, or more ratings of each, would narrow it down.",
}
"""What record would help."""

CHECKS = {
    "passed": "Both checks for hidden reasons passed.",
    "mundlak_failed": "the link does not hold once we take into account how {trait} each patient is",
    "lead_failed": "{earlier} predicts later {many}",
    "mundlak_what": "taking into account how {trait} each patient is",
    "lead_what": "whether something not recorded guided the needle",
    "one_passed": "The check for hidden reasons passed.",
    "one": "a check failed",
    "both": "both checks failed",
    "undone": "a check could not be done",
    "some_failed": "A check failed: {what}.",
    "some_undone": "A check could not be done: {what}.",
    "only_passed": "The other check passed.",
}
TRAITS = {"twitches": "twitchy"}
ANY_TRAIT = "heavily treated"

RELIEF = (
    "At {top} {recorded}, near the most that was seen, the {better} past the threshold comes to about "
    "{relief}."
)
BEFORE = {
    "bounded": "Up to the threshold, {better} that goes with {many} was at most {before}.",
    "none": "Up to the threshold, no {better} went with {many}.",
    "unbounded": "What went with {many} up to the threshold could not be bounded.",
}
STEP_SHAPE = "One step at the threshold fits clearly better than a slope past it."
TIPPING = "A hidden pull of {tipping} at {top} {many}, bent in the same way, would be enough."
LASTING = {
    "not_shown": "The record does not show that the link lasts beyond the next visit or two.",
    "check_failed": "The link looks as if it lasts, but as a check failed we do not say so.",
}

RIVALS = {
    "none": "time alone",
    "linear": "each {one} counts the same",
    "log": "each further {one} counts less",
    "emax": "the first {many} do nearly all",
    "saturating": "the first {many} do nearly all",
    "last": "only the last visit counts",
    "fading_half": "what was gained fades by half from visit to visit",
    "fading_fifth": "what was gained fades by a fifth from visit to visit",
    "insertions": "needle insertions count, not {many}",
    "insertions_hinge": "needle insertions have a threshold, not {many}",
    "sites": "treated sites count, not {many}",
    "sites_hinge": "treated sites have a threshold, not {many}",
}
"""Rival explanations in plain words, by candidate name."""

LINE = (
    "If each {one} counts the same, the {better} that goes with {top} {recorded} is about {relief} "
    "(95% interval {low} to {high})."
)

WHY = {
    "wide": (
        "{better_capital} of up to {bound} at {top} {many} fits the ratings, and {relevant} would matter."
    ),
    "lead": (
        "The ratings leave room for at most {bound} at {top} {many}, but {earlier} predicts later "
        "{many}. Something not recorded guided the needle and may mask a link, so we do not call it small."
    ),
}

# --- warnings -------------------------------------------------------------------------------------

WARNINGS = {
    "trait": (
        "Could a trait of the patient raise both {many} and recovery? A record cannot rule that out; only "
        "letting chance decide the number of {many} would. {mundlak}"
    ),
    "trait_held": "Here the link held once we took into account how {trait} each patient is.",
    "trait_lost": "Here the link did not hold once we took into account how {trait} each patient is.",
    "trait_unknown": "Here it could not be taken into account: {reason}.",
    "lead": (
        "{outcome_capital} one visit earlier predicts the number of {many} beyond the {outcome} rated at "
        "the visit itself; by chance that turns up {chances}. The needling used information that is not in "
        "the record, so the numbers may be off in either direction. From now on, write down at each visit "
        "why more or less was done."
    ),
    "lead_undone": (
        "Whether something hidden guided the needle could not be checked: {reason}. Go on recording."
    ),
    "weak_design": (
        "A record of this design could not promise an answer: it would have missed most thresholds. Where "
        "one is found all the same, its size is likely to be overstated: judge more patients before you rely "
        "on it."
    ),
    "step_shape": (
        "A step cannot be told from a steep slope past the threshold, and one threshold for all is hard to "
        "tell from one for each patient: read the number as a rough place."
    ),
    "undercount": (
        "The threshold is in {recorded}. If only half, 70% or 90% of all {many} were written down, the true "
        "number is {half}, {seventy} or {ninety}. Let a second person count now and then."
    ),
    "rare": (
        "{past} of {n} patients have ratings past the threshold. Patients who stop once they are well are "
        "just the ones who could have told us more: ask everybody for a rating after the last visit."
    ),
    "shape": (
        "A sharp threshold cannot be told from a smooth curve that bends upward, nor a slope past it from a "
        "single step. One threshold for all is hard to tell from one for each patient. Read the number as a "
        "rough place, not as a line."
    ),
    "fading": (
        "A record of a few visits cannot tell a link that lasts from one that fades over two or three "
        "visits; ratings after the last visit would."
    ),
    "insertions": (
        "The table of visits holds no needle insertions, so {many} cannot be told from the needling itself. "
        "From now on, write down their number at every visit."
    ),
    "bound": (
        "This limit is on what goes together. A hidden reason pulling the other way could mask a benefit: "
        "write down at each visit why more or less was done."
    ),
    "few": (
        "With fewer than {few} patients a link with the dose is called more often than it should be, as "
        "simulated clinics without any link show: judge it again with more patients."
    ),
    "therapists": (
        "Differences between the {therapists} therapists could not be taken into account: there are too "
        "many of them for this number of patients, or too few patients of each. More patients of each would "
        "change that."
    ),
    "one_dose": (
        "Each patient has one total that does not change between ratings, so the link is between patients "
        "only: who had more {many}, not what more {many} did. Write down a count and a rating at every visit."
    ),
    "open_scale": (
        "The scale has no upper end. The mean first rating, {span}, stood in for its width, and what "
        "counts as worth noticing hangs on that; say beforehand what change would matter to a patient."
    ),
    "stopping": (
        "Patients who stop are taken to go on as their recorded {outcome} would suggest. Ask everybody for "
        "one more rating some weeks after the last visit."
    ),
}
"""What to print beside a verdict (docs/methods/threshold-verdict.md, known failure modes)."""

ASSUMPTIONS = (
    "Ratings after a patient stopped would have gone on as the recorded ones suggest.",
    (
        "All that guided the needling and also bears on {outcome} is in the record: visit, {outcome} so far "
        "and {many} so far."
    ),
    "{many_capital} were counted in the same way throughout.",
    "One patient's course says nothing of another's.",
)
ESTIMAND = (
    "How {outcome} goes with the total of {recorded} before it, at the same visit and after the same first "
    "rating. And whether that sets in only past a threshold."
)

# --- in the clinic's own design -------------------------------------------------------------------

SELF_CHECK = {
    "false": (
        "In clinics like yours where {many} do nothing, it would have said “threshold” {share} "
        "(± {mcse}) of the time: {count} of {clinics} simulated clinics. The true rate could be up to "
        "{high}."
    ),
    "power": (
        "With a threshold at {at} {many} that brings {relief} of {better} by {top}, it would have said so "
        "{share} (± {mcse}) of the time."
    ),
    "undone": "How often this test is wrong in clinics like yours could not be worked out: {reason}",
    "limits": (
        "Clinics like yours means: the same first ratings, course, spread, needling, leaving and gaps as in "
        "the record. What was not recorded is not in them, so a hidden trait of the patients could make the "
        "test wrong more often than this."
    ),
}
"""What the self-check says; ± goes with one Monte Carlo standard error."""

ANSWERS = {
    "supported": "supported",
    "contradicted": "contradicted",
    "inconclusive": "inconclusive",
    "not identifiable": "not identifiable",
    "not recorded": "not recorded",
    "not testable": "not testable",
}
"""Answers to the claims, by the word in verdict.json."""

# --- the thirty claims ----------------------------------------------------------------------------

ABOUT = {
    "not recorded": "Not in this record: {holds}.",
    "not identifiable": "A record like this one cannot tell. {why}",
    "not testable": "This cannot be tested with a clinic's record. {why}",
    "not analysed": "The record may hold what is needed, but this version does not analyse it yet.",
    "not fitted": "The record holds what is needed, but too little or too uniform: {problem}",
    "to be mended": ("The table of {table} was not used: {count} to be mended first. {problems}"),
    "cannot tell": "This record cannot tell: {reason}.",
    "too few to tell": (
        "The answer rests on numbers that would tell of so few patients that they are not shown."
    ),
}
"""Answers that do not depend on numbers."""

WITHHELD = {
    "count": "a withheld number of",
    "share": "a withheld share",
    "number": "a withheld number",
    "interval": "interval withheld",
}
"""In place of what would tell of a few people."""
SPAN = "95% interval {low} to {high}"
"""How sentences write an interval."""

ASK = "Asked: {estimand}"
NEEDED = "To answer it, record {needs}."
REFUTED = "It would be refuted if: {refuted_if}"

C2 = {
    "supported": (
        "In this record {better} goes with {recorded} beyond time and beyond needle insertions; this is "
        + NOT_EVIDENCE
        + "."
    ),
    "no_insertions": (
        "In this record {better} goes with {recorded}, but the table of visits holds no needle insertions, "
        "so the {one} cannot be told from the needle; this is " + NOT_EVIDENCE + "."
    ),
    "insertions_as_well": (
        "In this record {better} goes with {recorded}, but needle insertions explain it as well; this is "
        + NOT_EVIDENCE
        + "."
    ),
    "weak": (
        "In this record {better} goes with {recorded}, but the link did not pass every test; this is "
        + NOT_EVIDENCE
        + "."
    ),
    "contradicted": (
        "Any {better} that goes with {recorded}, from the last visit or in all, is smaller than {relevant} "
        "here."
    ),
    "open": "This record neither shows a link between {recorded} and {better} nor rules one out.",
    "other_dose": (
        "The plan made {recorded} the dose. With twitches as the dose, this claim can be looked at."
    ),
}
C12 = {
    "supported": (
        "In this record {better} goes with the running total of {recorded}, and more than with the last "
        "visit alone. {carry}This is " + NOT_EVIDENCE + "."
    ),
    "weak": (
        "In this record {better} goes with {recorded}, but it was not shown to add up over visits. "
        "{carry}This is " + NOT_EVIDENCE + "."
    ),
    "contradicted": (
        "Any {better} that goes with the running total of {recorded} is smaller than {relevant} here."
    ),
    "open": "This record does not settle whether {recorded} add up over visits.",
}
C13 = {
    "supported": (
        "The link is threshold-shaped in this record, near {estimate} {recorded} ({interval}); this is "
        + NOT_EVIDENCE
        + "."
    ),
    "weak": "A threshold did not beat every other way to explain the same ratings.",
    "alarm": (
        "The link has a threshold shape in this record, but {failed}, so it counts as not supported; this is "
        + NOT_EVIDENCE
        + "."
    ),
    "contradicted": (
        "At every place searched, any {better} that goes with {recorded} past a threshold is smaller than "
        "{relevant} here."
    ),
    "open": "This record neither shows a threshold nor rules one out.",
}
C15 = {
    "supported": (
        "Gaps between visits grew: later ones were {ratio} times as long as early ones (95% interval {low} "
        "to {high}; {n} patients). This says how visits were booked, not that more were needed."
    ),
    "contradicted": (
        "Visits were not closer together at the start: later gaps were {ratio} times as long as early ones "
        "(95% interval {low} to {high}; {n} patients)."
    ),
    "open": (
        "Whether visits were closer together at the start is not settled: later gaps were {ratio} times as "
        "long as early ones (95% interval {low} to {high}; {n} patients)."
    ),
}
