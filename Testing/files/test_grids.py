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
