"""A file whose name does not say what it is: read where that does not matter, else called what it is."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from files.dicom_objects import a_matrix, write_slices
from MetaSegmentLib import InputError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image

GRID = Grid((6, 5, 4), (1.0, 2.0, 3.0), (0.5, 0.75, 2.0), tuple(np.eye(3).ravel()))
NOISE = np.random.default_rng(0).integers(0, 255, (4, 5, 6)).astype(np.uint8)


def a_file(folder: Path, ending: str) -> Path:
    path = folder / f"own{ending}"
    if ending == ".dcm":
        return write_slices(folder / "series", NOISE, a_matrix())[0]
    if ending == ".nrrd.gz":
        path.write_bytes(gzip.compress(a_file(folder, ".nrrd").read_bytes()))
    else:
        write_image(path, NOISE, GRID)
    return path


@pytest.mark.parametrize(
    ("own", "name", "words"),
    [
        (".nrrd", "a.nii.gz", "an NRRD file, which its name does not say; let its name end in .nrrd"),
        (".nrrd", "a", "an NRRD file, .* end in .nrrd"),
        (".nrrd", "a.nrrd ", "an NRRD file, .* end in .nrrd"),
        (".nii", "a.nrrd", "a NIfTI file, .* end in .nii"),
        (".nii.gz", "a.nii", "a NIfTI file, .* end in .nii.gz"),
        (".nii.gz", "a.img", "a NIfTI file, .* end in .nii.gz"),
        (".mha", "a.nrrd", "a MetaImage, .* end in .mha"),
        (".dcm", "a.nii", "a DICOM file, .* end in .dcm"),
        (".nrrd.gz", "a.nrrd.gz", "packed with gzip; unpack it and let its name end in .nrrd"),
    ],
)
def test_the_ending_that_it_needs_is_named(tmp_path: Path, own: str, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(a_file(tmp_path, own).read_bytes())
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / name)


def test_a_nifti_that_was_unpacked_under_its_name_is_read(tmp_path: Path) -> None:
    """As browsers do while they download."""
    (tmp_path / "a.nii.gz").write_bytes(a_file(tmp_path, ".nii").read_bytes())
    array, grid = read_image(tmp_path / "a.nii.gz")
    assert np.array_equal(array, NOISE)
    np.testing.assert_allclose(grid.matrix, GRID.matrix, atol=1e-5)


@pytest.mark.parametrize("name", ["a.mgz", "a.stl", "a.mif"])
def test_a_format_that_is_not_read_is_not_called_damaged_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)) * 9)
    with pytest.raises(InputError, match=r"format is not read here; save it as \.nrrd or \.nii\.gz"):
        read_image(tmp_path / name)


def test_a_packing_that_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: bzip2\n\nBZh91AY")
    with pytest.raises(InputError, match="packed with bzip2"):
        read_image(tmp_path / "a.nrrd")


@pytest.mark.parametrize("name", ["IM0001", "1.2.840.5"])
def test_a_damaged_dicom_file_is_not_told_to_change_its_name(tmp_path: Path, name: str) -> None:
    """Whatever it is called, it is read by what it is."""
    (tmp_path / name).write_bytes(a_file(tmp_path, ".dcm").read_bytes()[:-40])
    with pytest.raises(InputError, match="damaged"):
        read_image(tmp_path / name)


def test_the_index_of_a_dicom_export_is_called_that(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(a_file(tmp_path, ".dcm").read_bytes())
    with pytest.raises(InputError, match="index of DICOM files; give the folder"):
        read_image(tmp_path / "DICOMDIR")
