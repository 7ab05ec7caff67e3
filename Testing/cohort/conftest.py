"""A cohort of four that is made once, and a folder for results."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_cohort import SmallCohort

from MetaSegmentLib.cohort import work


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> SmallCohort:
    return SmallCohort(tmp_path_factory.mktemp("data") / "Mustermann^Max", 4)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture(autouse=True)
def no_supports_from_other_tests() -> Iterator[None]:
    work.forget()
    yield
    work.forget()


os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
