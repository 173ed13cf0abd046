"""What every test may rely on: one thread, no display, reproducible examples, the repository's own root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ["MPLBACKEND"] = "Agg"

import hypothesis  # noqa: E402  (the variables above count only if they come before numpy is loaded)
import pytest  # noqa: E402

# The same examples on every machine and at every run; no deadline, since two cores may be busy.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None, database=None, max_examples=60)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; skips where there is none, fails instead if TPR_REQUIRE_BROWSER is set."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        message = "no chromium on this machine (on Debian: apt-get install chromium)"
        if os.environ.get("TPR_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return found
