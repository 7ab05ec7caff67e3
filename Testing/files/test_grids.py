"""Whether two volumes share their voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MetaSegmentLib.files.grids import Grid

GRID = Grid((30, 20, 10), (10.0, -20.0, 30.0), (0.5, 0.75, 3.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))


def test_a_grid_is_its_matrix() -> None:
    again = Grid.from_matrix(GRID.size, GRID.matrix)
    assert np.allclose(again.matrix, GRID.matrix)
    assert np.allclose(again.spacing, GRID.spacing)
    assert GRID.array_shape == (10, 20, 30)
    assert GRID.array_spacing == (3.0, 0.75, 0.5)


@pytest.mark.parametrize("offset", [(0, 0, 0), (3, 4, 5), (-2, 1, 0)])
def test_a_part_of_a_grid_is_found_in_it(offset: tuple[int, int, int]) -> None:
    corner = (GRID.matrix @ [*offset, 1])[:3]
    part = replace(GRID, size=(5, 5, 5), origin=tuple(corner + 1e-4))
    assert part.offset_in(GRID) == offset


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"origin": (10.2, -20.0, 30.0)}, "first voxel is 0.2 mm"),
        ({"spacing": (0.5, 0.75, 3.1)}, "its spacing is 0.5 × 0.75 × 3.1 mm, the image's 0.5 × 0.75 × 3 mm"),
        ({"direction": tuple(np.eye(3).ravel())}, "other directions"),
    ],
)
def test_another_grid_is_told_from_it(changed: dict, words: str) -> None:
    other = replace(GRID, **changed)
    assert other.offset_in(GRID) is None
    assert words in other.difference_from(GRID)


def test_rounded_headers_are_no_other_grid() -> None:
    rounded = replace(GRID, spacing=tuple(np.float32(GRID.spacing)), direction=tuple(np.float32(GRID.direction)))
    assert rounded.offset_in(GRID) == (0, 0, 0)


def test_rounding_that_adds_up_over_the_volume_is_another_grid() -> None:
    assert replace(GRID, spacing=(0.502, 0.75, 3.0)).offset_in(GRID) is None


def a_sheared_grid(millimetres: float) -> Grid:
    """Each slice lies so many mm further along j than the one before."""
    matrix = GRID.matrix
    matrix[:3, 2] += matrix[:3, 1] / 0.75 * millimetres
    return Grid.from_matrix(GRID.size, matrix)


@pytest.mark.parametrize("shear", [0.0, 1.0, -2.5])
def test_a_voxel_is_as_large_as_its_steps_span(shear: float) -> None:
    assert a_sheared_grid(shear).voxel_ml == pytest.approx(0.5 * 0.75 * 3 / 1000)


@pytest.mark.parametrize(("shear", "sheared"), [(0.0, False), (1e-4, False), (0.02, True), (-1.0, True)])
def test_a_shear_is_one_when_it_moves_voxels(shear: float, sheared: bool) -> None:
    assert a_sheared_grid(shear).sheared is sheared


def test_a_grid_that_passed_over_a_tilt_is_told_from_it() -> None:
    assert "sheared" in GRID.difference_from(a_sheared_grid(1.0))
    assert "sheared" not in a_sheared_grid(1.0).difference_from(GRID)


def test_what_differs_at_the_far_end_only_is_told() -> None:
    other = replace(GRID, spacing=(0.5004, 0.75, 3.0), size=(400, 20, 10))
    words = other.difference_from(replace(GRID, size=(400, 20, 10)))
    assert "last voxel is 0.16 mm" in words
