"""What all tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Before anything imports slicer or SimpleITK: with ITK's own thread pool the interpreter may crash at exit.
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

# Side by side, every process with as many threads as there are cores would take the cores from the others.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every program they start would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

try:
    from hypothesis import HealthCheck, Phase, settings
except ImportError:  # tests without properties run without it
    pass
else:
    # The same examples every time, so that a test that passed here passes everywhere; no long search for small ones.
    settings.register_profile(
        "repeatable",
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=20,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; tests that need it are skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the data sets of ../shared/data are not here")
    return folder
