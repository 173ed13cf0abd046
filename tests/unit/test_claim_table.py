"""The claim table against the review of evidence it was made from: quotes, classes, numbers and instruments.

``data/page_claims.csv`` is the review's claim table, cut to its first columns. Where the review itself lies
beside the repository, both are held against it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from tpr_outcomes.cohort.scales import SCALES
from tpr_outcomes.reporting.claim_rows import BY_ID, CLAIMS

ROOT = Path(__file__).resolve().parents[2]
PAGE = pd.read_csv(Path(__file__).parent / "data/page_claims.csv", dtype=str).set_index("claim")
REVIEW = ROOT.parent / "shared/evidence/clinical.md"
UNCHECKED = r"\[M-[HML]\]"
"""The review's mark of a value that is from memory and may not be printed."""


def plain(quote: str) -> str:
    """A quote without its quotation marks, which are set differently in the two places."""
    return re.sub(r"[\"“”]", "", quote)


def letters(kind: str) -> list[str]:
    """Every class a claim is put in: ``A (B for "needed")`` is A and B; ``C (B weakly)`` stays C."""
    return re.findall(r"\b[ABCD]\b", kind.replace("(B weakly)", ""))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_quote_and_class_are_those_of_the_page(claim: object) -> None:
    row = BY_ID[claim.id]  # type: ignore[attr-defined]
    assert plain(row.quote) == plain(PAGE.loc[row.id, "quote"])
    assert row.kind.split("/") == letters(PAGE.loc[row.id, "class"])


def test_the_page_has_thirty() -> None:
    assert list(PAGE.index) == list(BY_ID)


@pytest.mark.skipif(not REVIEW.exists(), reason="the review of evidence does not lie beside the repository")
class TestAgainstTheReview:
    """What may be printed has to be in the review, and not as something from memory."""

    @staticmethod
    def review() -> str:
        return REVIEW.read_text(encoding="utf-8").replace("−", "-")

    def test_the_committed_table_is_the_reviews(self) -> None:
        text = self.review()
        table = text[text.index("## 5. Claim table") : text.index("## 6.")]
        rows = [line.strip().strip("|").split(" | ") for line in table.splitlines() if line.startswith("| C")]
        rows = [[cell.strip() for cell in row] for row in rows]
        assert {row[0]: (row[2], row[1]) for row in rows} == {
            name: (str(row["class"]), str(row["quote"])) for name, row in PAGE.iterrows()
        }

    def test_every_number_of_the_published_evidence_is_there_and_not_from_memory(self) -> None:
        found = re.sub(r"[^|.;]*" + UNCHECKED, "", self.review()).replace(",", "")
        for claim in CLAIMS:
            for known in claim.known:
                for value in re.findall(
                    r"\d+(?:\.\d+)?|(?<==)\.\d+|(?<=<)\.\d+", known.text.replace(",", "")
                ):
                    assert re.search(rf"(?<![\d.]){re.escape(value)}(?![\d])", found), (claim.id, value)
                assert not known.doi or known.doi.lower() in self.review().lower(), known.doi

    def test_every_important_difference_is_in_the_row_of_its_instrument_and_not_from_memory(self) -> None:
        text = self.review()
        table = text[text.index("## 2. Outcome instruments") : text.index("## 3.")]
        rows = re.sub(r"[^|.;,]*" + UNCHECKED, "", table)
        for scale in SCALES.values():
            for item in (*scale.important_differences, *scale.detectable_changes):
                if getattr(item, "kind", "") == "level" or scale.name == "ndi50":
                    continue  # words of an anchor; half of the percentage, by arithmetic
                value = f"{item.value:g}"
                assert re.search(rf"(?<![\d.]){re.escape(value)}(?![\d])", rows), (scale.name, value)
