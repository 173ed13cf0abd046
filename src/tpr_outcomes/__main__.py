"""``python -m tpr_outcomes`` is the ``tpr`` command."""

from __future__ import annotations

from tpr_outcomes.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
