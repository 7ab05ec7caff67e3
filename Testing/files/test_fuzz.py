"""Damaged files of every format: a volume or one sentence, no abort, no file changed, little memory."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.fuzz import FINE, KINDS, fuzz, make, read
from MetaSegmentLib import InputError
from MetaSegmentLib.files.images import read_image

NEEDS = {"nifti2": "nibabel"}
COUNT = 510
HERE = tuple(kind for kind in KINDS if kind not in NEEDS or find_spec(NEEDS[kind]))


@pytest.mark.parametrize("kind", [kind for kind in HERE if kind != "nifti2"])
def test_what_is_whole_is_read(tmp_path: Path, kind: str) -> None:
    assert read(kind, make(kind, tmp_path)) == "volume"


@pytest.mark.skipif("nifti2" not in HERE, reason="needs nibabel")
def test_a_nifti_of_the_second_version_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="NIfTI-2 file; save it as NIfTI-1"):
        read_image(make("nifti2", tmp_path))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="aborts are caught in forked children")
def test_damaged_files_lead_to_a_volume_or_a_sentence() -> None:
    counts, kept = fuzz(COUNT, HERE)
    assert sum(counts.values()) == COUNT
    assert not {key: number for key, number in counts.items() if key[1] not in FINE}, kept
    for kind in HERE:
        assert counts[kind, "sentence"], f"no {kind} was damaged enough to be refused"
