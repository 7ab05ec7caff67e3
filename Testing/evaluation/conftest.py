"""What the tests of the evaluation share with those of data, and its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from data.cases import a_data_set, blobs, real_structures, reference
from MetaSegmentLib.evaluation import command

__all__ = ["a_data_set", "arguments", "blobs", "real_structures", "reference"]


@pytest.fixture
def arguments() -> Callable[..., argparse.Namespace]:
    """Parses words as ``metasegment evaluate`` does."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return lambda *words: parser.parse_args([str(word) for word in words])
