"""What is said of many clinics: failures and what to do, and what was pooled. Nothing but words."""

from __future__ import annotations

FAILURES = {
    "unexpected": "Something unexpected went wrong ({kind}); this should not happen.",
    "unexpected_remedy": "To see where: tpr --debug evaluate, on this clinic alone (it may quote the data).",
    "remedy": "See what the message says, then run the same command again: only this clinic is run.",
    "several": "{first} and {more} more places",
}
SUMMARY = "{failed} of {all} clinics could not be judged; {file} says why. The others were: see {index}."
DONE = "{all} clinics: {ran} judged now, {kept} unchanged since an earlier run, {failed} failed."
NO_PAGE = "There is no page of the clinics side by side. {why}"
NOT_OURS = (
    "{folder} holds files that this command did not write, and is not added to. Name another folder, or "
    "empty it."
)

POOLED = {
    "quantity": "Change of the outcome that goes with 10 more {dose}, each alike; negative is better.",
    "reading": (
        "Each clinic is pulled towards the mean of all by as much as its noise is large beside the true "
        "differences. It tells what goes together: what the verdict of a clinic says of its "
        "gates and checks holds here too. The verdicts themselves are not pooled."
    ),
    "too_few": "{k} clinics have this number; partial pooling needs {fewest}.",
}
