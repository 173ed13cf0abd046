"""Flesch–Kincaid school grade of a text, with a plain rule for syllables.

Grade = 0.39 words/sentences + 11.8 syllables/words - 15.59 (Kincaid, Fishburne, Rogers and Chissom 1975,
Navy Research Branch Report 8-75). Syllables are counted as groups of vowels, a silent final e left out; a
number counts as one.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*|\d[\d,.]*%?")
_SENTENCE = re.compile(r"[.!?](?:\s|$)")


def syllables(word: str) -> int:
    """Syllables of a word.

    Examples
    --------
    >>> [syllables(word) for word in ("twitch", "relief", "recorded", "time", "people", "1,000")]
    [1, 2, 3, 1, 2, 1]
    """
    word = word.lower()
    if not word[0].isalpha():
        return 1
    count = len(re.findall(r"[aeiouy]+", word))
    silent = re.search(r"[^aeiouyl]e$|[^aeiouydt]ed$|[aeiouy][^aeiouysxz]es$", word)
    return max(count - bool(silent), 1)


def grade(text: str) -> float:
    """School grade a text is written for."""
    words = _WORD.findall(text)
    sentences = max(len(_SENTENCE.findall(text)), 1)
    return 0.39 * len(words) / sentences + 11.8 * sum(map(syllables, words)) / len(words) - 15.59
