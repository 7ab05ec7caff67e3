"""Paint stays where it is, whatever the formats and the geometry: forty draws of the benchmark of that name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import geometry_matrix
from MetaSegmentLib.files.grids import Grid


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_painted_voxels_lie_where_they_were_painted(tmp_path: Path, seed: int) -> None:
    scene = geometry_matrix.open_scene()
    combination = geometry_matrix.draw(seed, scene is not None)
    outcome = geometry_matrix.check(combination, tmp_path, scene)
    assert not outcome.startswith("wrong"), combination
    assert outcome == "exact" or combination.may_be_refused, combination


def test_the_check_notices_what_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Grid.of
    monkeypatch.setattr(Grid, "of", lambda image: replace(whole(image), origin=(0.0, 0.0, 0.0)))
    combination = geometry_matrix.Combination("nrrd", "nrrd", "nrrd", "turned", "none", False, 1, "none", 8)
    assert geometry_matrix.check(combination, tmp_path) == "wrong: voxels moved for SimpleITK"
