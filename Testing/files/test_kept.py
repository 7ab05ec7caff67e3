"""What was read from files is read again when any of them has changed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MetaSegmentLib.files.kept import Kept, state_of


@pytest.mark.parametrize(
    ("name", "data"), [("a.mhd", "a.raw"), ("a.nhdr", "a.raw"), ("a.hdr", "a.img"), ("a.img", "a.hdr")]
)
def test_data_beside_a_header_count(tmp_path: Path, name: str, data: str) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16)), str(tmp_path / name))
    before = state_of(tmp_path / name)
    newest = max(one.stat().st_mtime_ns for one in tmp_path.iterdir())
    os.utime(tmp_path / data, ns=(newest + 10**9, newest + 10**9))
    assert state_of(tmp_path / name) != before


def test_a_value_is_made_again_when_its_file_has_changed(tmp_path: Path) -> None:
    kept, made = Kept(2), []
    file = tmp_path / "a.nrrd"
    for text in ("one", "one", "three"):
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
        kept.get([file], "", lambda: made.append(file.read_text()))
    assert made == ["one", "three"]
