"""Words with which numbers, counts and lists are written inside a sentence: nothing but words."""

from __future__ import annotations

DOSES = {
    "twitches": ("twitch", "twitches"),
    "insertions": ("needle insertion", "needle insertions"),
    "sites": ("treated site", "treated sites"),
    "sessions": ("session", "sessions"),
}
"""Singular and plural of each dose."""

TERMS = {
    "recorded": "recorded {many}",
    "pain": "pain",
    "score": "score",
    "relief": "relief",
    "improvement": "improvement",
}
"""What outcome and change for the better are called, for pain and for any other score."""

SHARES = {"under": "under 1%", "over": "over 99%", "nearly_all": "nearly all", "few": "a few"}
"""Shares that would be rounded to none or all."""

WITHHELD = "withheld"
"""In place of a count from which a small one would follow."""

NUMBERS = {"none": "no number", "any": "any number", "not_done": "not done", "and": "and", "or": "or"}

CHANCES = {
    "less": "less than once in {of} such records",
    "once": "about once in {of} such records",
    "times": "about {times} times in {of} such records",
}
"""A p-value as how often chance would do as much; the page looks for these forms when it links numbers."""

ENDS = {
    "closed": "{low} to {high}",
    "open_low": "up to {high}",
    "open_high": "from {low}",
    "open": "the whole range",
}
"""An interval, with an end that runs off the doses seen said in words."""
OPEN_MARK = " (open)"
PROFILE = "{estimate} {many}\n{percent} interval:\n{ends}"
"""The threshold beside its profile, in three lines."""
