"""What stands behind the answers: every claim has its estimand, rule and numbers, linked and legible."""

from __future__ import annotations

import re

from tests.unit.test_claims_tables import evaluation

from tpr_outcomes.reporting.claim_details import NONE, claim_details
from tpr_outcomes.reporting.claim_rows import BY_ID
from tpr_outcomes.reporting.report import linked_page


def test_every_claim_has_its_details_with_every_number_once() -> None:
    made = evaluation()
    details = claim_details(made.claims)
    assert [detail.claim for detail in details] == list(BY_ID)
    for detail, finding in zip(details, made.claims, strict=True):
        assert detail.asked == BY_ID[detail.claim].estimand
        assert len(detail.rows) == len(finding.rows)
        for cells in detail.rows:
            assert len(cells) == 6
            assert not re.search(r"\bnan\b|\binf\b", " ".join(cells))
    by_claim = {detail.claim: detail for detail in details}
    infection = next(cells for cells in by_claim["C29"].rows if cells[0] == "infection")
    assert infection[1] == "0"
    assert infection[2].startswith("0 to 0.00")
    assert any(cells[2] == NONE for cells in by_claim["C4"].rows)  # a quantile without an interval


def test_they_are_on_the_page_with_what_is_published() -> None:
    page = linked_page(evaluation(), {})
    assert page.unlinked == ()
    for claim in BY_ID:
        assert f'id="behind-{claim}"' in page.html
    assert "doi:10.1179/2042618613Y.0000000044" in page.html
    assert re.search(r'data-ref="claims:C7:sore"', page.html)
