"""A volume stored along other axes is the same volume."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk

from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.orientation import Turn, along
from MetaSegmentLib.files.segmentations import plain_segment, read_painted, write_segmentation
from MetaSegmentLib.settings import Result


@pytest.fixture
def a_scan():
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32))
    image.SetSpacing((1.0, 2.0, 3.0))
    turned = sitk.Euler3DTransform((0, 0, 0), 0.2, -0.1, 0.3)
    image.SetDirection(turned.GetMatrix())
    return image


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_any_storage_order_is_turned_onto_any_other_and_back(a_scan, order, flips):
    stored = sitk.Flip(sitk.PermuteAxes(a_scan, order), flips)
    turn = Turn.onto(Grid.of(stored), Grid.of(a_scan))
    array = sitk.GetArrayFromImage(stored)
    assert np.array_equal(turn.apply(array), sitk.GetArrayFromImage(a_scan))
    assert np.array_equal(turn.undo(turn.apply(array)), array)
    assert np.array_equal(turn.undo(np.stack([turn.apply(array)] * 2)), np.stack([array] * 2))


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_every_voxel_stays_in_place(a_scan, order, flips):
    stored = sitk.Flip(sitk.PermuteAxes(a_scan, order), flips)
    array, grid = along(sitk.GetArrayFromImage(stored), Grid.of(stored), Grid.of(a_scan))
    assert np.array_equal(array, sitk.GetArrayFromImage(a_scan))
    assert grid.size == a_scan.GetSize() and np.allclose(grid.matrix, Grid.of(a_scan).matrix)


def test_paint_stored_the_other_way_round_is_paint_on_the_image(tmp_path, a_scan):
    """As Slicer stores what is painted on a left-handed volume."""
    painted = sitk.Cast(a_scan > 0.5, sitk.sitkUInt8)
    other = sitk.Flip(painted, (False, False, True))[1:, :, :3]
    sitk.WriteImage(sitk.Flip(painted, (False, False, True)), str(tmp_path / "p.nrrd"))
    write_segmentation(tmp_path / "p.seg.nrrd", [sitk.GetArrayFromImage(other)], [plain_segment(1)], Grid.of(other))
    whole = read_painted(tmp_path / "p.nrrd", Grid.of(a_scan)).layers[0]
    part = read_painted(tmp_path / "p.seg.nrrd", Grid.of(a_scan)).layers[0]
    assert np.array_equal(whole, sitk.GetArrayFromImage(painted))
    assert np.array_equal(part[1:, :, 1:], whole[1:, :, 1:]) and not part[0].any() and not part[:, :, 0].any()


def test_suggested_slices_point_at_the_same_place():
    turn = Turn((2, 0, 1), (0,))
    volume = np.zeros((4, 5, 6), np.uint8)
    volume[:, :, 1] = 1
    turned = turn.apply(volume)
    assert turned[4].all()
    suggestion = {"axis": 0, "index": 4, "score": 1.0}
    there = Result(turned, turned / 2, {1: None}, [suggestion], {"axis": 0}, lambda: np.stack([1 - turned, turned]))
    result = turn.undo_result(there)
    assert result.suggested_slices == [{"axis": 2, "index": 1, "score": 1.0}] == result.report["suggested_slices"]
    assert np.array_equal(result.labels, volume) and np.array_equal(result.uncertainty, volume / 2)
    assert "probabilities" not in vars(there), "nobody asked for them"
    assert np.array_equal(result.probabilities, [1 - volume, volume])
