"""NRRD and MetaImage headers: lengths in mm, and what scales the directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from MetaSegmentLib import InputError
from MetaSegmentLib.files.images import read_image

ARRAY = np.random.default_rng(0).integers(0, 99, (4, 5, 6)).astype(np.uint8)
PLACED = ("space: right-anterior-superior", "space directions: (2,0,0) (0.5,1,0) (0,0,-3)", "space origin: (1,2,3)")


def a_nrrd(path: Path, *lines: str, newline: str = "\n") -> Path:
    head = ["NRRD0004", "type: unsigned char", "dimension: 3", "sizes: 6 5 4", "encoding: raw", *lines]
    path.write_bytes(newline.join([*head, "", ""]).encode() + ARRAY.tobytes())
    return path


def a_meta(path: Path, **fields: str) -> Path:
    known = {"ObjectType": "Image", "NDims": "3", "BinaryData": "True", "DimSize": "6 5 4"} | fields
    lines = [f"{key} = {value}" for key, value in known.items()]
    head = "\n".join([*lines, "ElementType = MET_UCHAR", "ElementDataFile = LOCAL\n"])
    path.write_bytes(head.encode() + ARRAY.tobytes())
    return path


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_sheared_left_handed_nrrd_keeps_its_place(tmp_path: Path, newline: str) -> None:
    array, grid = read_image(a_nrrd(tmp_path / "a.nrrd", *PLACED, 'space units: "mm" "mm" "mm"', newline=newline))
    np.testing.assert_array_equal(array, ARRAY)
    expected = [[-2, -0.5, 0, -1], [0, -1, 0, -2], [0, 0, -3, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(grid.matrix, expected, atol=1e-6)
    assert grid.sheared and grid.voxel_ml == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((*PLACED, 'space units: "um" "um" "um"'), "another unit"),
        ((*PLACED, 'space units: "mm" "mm" "cm"'), "another unit"),
        (("spacings: 1 1 2", 'units: "m" "m" "m"'), "another unit"),
        (("axis mins: 0 0 0", "axis maxs: 12 10 8"), "no spacing"),
        (("spacings: 1 1 nan",), "where its voxels lie"),
        ((PLACED[0], "space directions: (2,0,0) (0.5,1,0) none", PLACED[2]), "where its voxels lie"),
        ((*PLACED[:2], "space origin: (nan,2,3)"), "where its voxels lie"),
    ],
)
def test_a_nrrd_whose_lengths_would_be_passed_over_is_refused(
    tmp_path: Path, lines: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_image(a_nrrd(tmp_path / "a.nrrd", *lines))


def test_a_meta_image_in_another_unit_is_refused(tmp_path: Path) -> None:
    assert read_image(a_meta(tmp_path / "a.mha", DistanceUnits="mm", ElementSpacing="1 2 3"))[1].spacing == (1, 2, 3)
    with pytest.raises(InputError, match="another unit"):
        read_image(a_meta(tmp_path / "a.mha", DistanceUnits="um", ElementSpacing="1 2 3"))


def test_directions_that_are_longer_than_one_lengthen_the_spacing(tmp_path: Path) -> None:
    path = a_meta(tmp_path / "a.mha", TransformMatrix="2 0 0 0 0 1 0 -1.5 0", ElementSpacing="1 1 2", Offset="4 5 6")
    grid = read_image(path)[1]
    np.testing.assert_allclose(grid.spacing, (2, 1, 3))
    np.testing.assert_allclose(grid.matrix @ [1, 1, 1, 1], (6, 2, 7, 1))


@pytest.mark.parametrize("field", ["Offset", "Position", "ElementSpacing", "TransformMatrix"])
def test_a_place_that_is_no_number_is_refused(tmp_path: Path, field: str) -> None:
    text = " ".join(["nan"] * (9 if field == "TransformMatrix" else 3))
    with pytest.raises(InputError, match="where its voxels lie"):
        read_image(a_meta(tmp_path / "a.mha", **{"ElementSpacing": "1 2 3", field: text}))
