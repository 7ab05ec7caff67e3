"""Volumes read and written: every format, damaged files, DICOM folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from files.dicom_series import write_series
from MetaSegmentLib import InputError, OutputError
from MetaSegmentLib.files import formats
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.run import Job, run

OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
FORMATS = ["nrrd", "nhdr", "nii", "nii.gz", "mha", "mhd", "hdr", "gipl", "gipl.gz", "vtk"]
# Formats that know no directions.
UPRIGHT_ONLY = ["gipl", "gipl.gz", "vtk"]


def a_grid(direction: tuple[float, ...] = OBLIQUE) -> Grid:
    return Grid((30, 20, 10), (10.0, -20.0, 30.0), (0.5, 0.75, 3.0), direction)


def upright() -> Grid:
    return a_grid(tuple(np.eye(3).ravel()))


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (10, 20, 30)).astype(np.uint8)


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_is_read_again_with_its_geometry(tmp_path: Path, noise: np.ndarray, ending: str) -> None:
    grid = upright() if ending in UPRIGHT_ONLY else a_grid()
    write_image(tmp_path / f"a.{ending}", noise, grid)
    array, found = read_image(tmp_path / f"a.{ending}")
    assert np.array_equal(array, noise)
    assert found.size == grid.size
    assert np.allclose(found.matrix, grid.matrix, atol=1e-4)


@pytest.mark.parametrize("ending", UPRIGHT_ONLY)
def test_formats_that_would_lose_the_orientation_are_refused(tmp_path: Path, noise: np.ndarray, ending: str) -> None:
    with pytest.raises(OutputError, match="orientation"):
        write_image(tmp_path / f"a.{ending}", noise, a_grid())


@pytest.mark.parametrize("ending", ["png", "xyz", "txt", "jpg"])
def test_formats_that_hold_no_volume_are_refused(tmp_path: Path, noise: np.ndarray, ending: str) -> None:
    with pytest.raises(OutputError):
        write_image(tmp_path / f"a.{ending}", noise, upright())


@pytest.mark.parametrize("ending", ["nrrd", "nii", "nii.gz", "mha", "gipl", "gipl.gz"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.6, 0.99])
def test_a_file_that_was_cut_short_is_refused(
    tmp_path: Path, noise: np.ndarray, capfd: pytest.CaptureFixture[str], ending: str, kept: float
) -> None:
    path = tmp_path / f"a.{ending}"
    write_image(path, noise, upright())
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match="cannot be read"):
        read_image(path)
    assert capfd.readouterr().err == "", "the libraries' own complaints must not be seen"


def test_probabilities_become_a_4d_file(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((2, 10, 20, 30)).astype(np.float16)
    write_image(tmp_path / "p.nrrd", array, a_grid())
    image = sitk.ReadImage(str(tmp_path / "p.nrrd"))
    assert image.GetDimension() == 4
    assert np.array_equal(sitk.GetArrayFromImage(image), array.astype(np.float32))
    assert np.allclose(image[..., 1].GetDirection(), OBLIQUE)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (sitk.Image(8, 8, sitk.sitkUInt8), "2 dimensions"),
        (sitk.Image([8, 8, 8, 3], sitk.sitkInt16), "4 dimensions"),
        (sitk.Image([8, 8, 8], sitk.sitkVectorUInt8, 3), "several numbers a voxel"),
        (sitk.Image([8, 8, 8], sitk.sitkComplexFloat32), "several numbers a voxel"),
    ],
    ids=["2D", "4D", "colour", "complex"],
)
def test_what_is_no_scalar_volume_is_refused(tmp_path: Path, image: sitk.Image, words: str) -> None:
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / "a.nrrd")


@pytest.mark.parametrize("size", [[8, 8, 8], [8, 8, 8, 3]], ids=["vectors", "4D"])
def test_whoever_has_several_volumes_is_told_how_to_take_one(tmp_path: Path, size: list[int]) -> None:
    image = sitk.Image(size, sitk.sitkInt16) if len(size) == 4 else sitk.Image(size, sitk.sitkVectorInt16, 3)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match=r"\(--channel 0\), .* \(--frame 0\)"):
        read_image(tmp_path / "a.nrrd")
    assert read_image(tmp_path / "a.nrrd", channel=0)[0].shape == (8, 8, 8)
    with pytest.raises(InputError, match="as a 3D file"):
        read_image(tmp_path / "a.nrrd", "support")


@pytest.mark.parametrize("size", [[8, 8], [8, 8, 8, 2, 2]])
def test_a_channel_of_what_is_no_volume_is_refused(tmp_path: Path, size: list[int]) -> None:
    sitk.WriteImage(sitk.Image(size, sitk.sitkInt16), str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="dimensions; give a single 3D volume"):
        read_image(tmp_path / "a.nrrd", channel=0)


def test_a_fourth_dimension_of_one_is_no_fourth_dimension(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image([8, 7, 6, 1], sitk.sitkInt16), str(tmp_path / "a.nrrd"))
    assert read_image(tmp_path / "a.nrrd")[0].shape == (6, 7, 8)


def test_a_dicom_series_is_read_in_the_order_of_its_slices(tmp_path: Path, noise: np.ndarray) -> None:
    write_series(tmp_path, noise, (0.5, 0.5, 2.0), (1.0, -2.0, 3.5))
    array, grid = read_image(tmp_path)
    assert np.array_equal(array, noise)
    assert np.allclose(grid.spacing, (0.5, 0.5, 2.0))
    assert np.allclose(grid.origin, (1.0, -2.0, 3.5))


def test_a_dicom_series_without_one_of_its_slices_is_refused(tmp_path: Path, noise: np.ndarray) -> None:
    write_series(tmp_path, noise, missing=[4])
    with pytest.raises(InputError, match="evenly spaced"):
        read_image(tmp_path)


def test_two_dicom_series_or_none_are_refused(tmp_path: Path, noise: np.ndarray) -> None:
    with pytest.raises(InputError, match="no DICOM"):
        read_image(tmp_path)
    for series in ("1.2.3.4", "1.2.3.5"):
        write_series(tmp_path, noise, series=series)
    with pytest.raises(InputError, match="2 DICOM series"):
        read_image(tmp_path)


@pytest.mark.parametrize("plain", ["a.nii", "a.NII"])
def test_a_compressed_file_keeps_its_voxels_beside_a_plain_one_of_its_name(
    tmp_path: Path, noise: np.ndarray, plain: str
) -> None:
    """ITK's reader would take the voxels of ``a.nii`` for those of ``a.nii.gz``."""
    write_image(tmp_path / "a.nii.gz", noise, a_grid())
    write_image(tmp_path / "b.nii", noise * 0, a_grid())
    (tmp_path / "b.nii").rename(tmp_path / plain)
    array, grid = read_image(tmp_path / "a.nii.gz")
    assert np.array_equal(array, noise) and grid.lies_at(a_grid().matrix)
    assert not read_image(tmp_path / plain)[0].any()
    job = Job(tmp_path / "image.nrrd", tmp_path / "painted.nrrd", tmp_path / "a.nii.gz")
    with pytest.raises(OutputError, match="programs would read that one"):
        run(job)


@pytest.mark.parametrize("form", [form for form in formats.FORMATS if form.writable], ids=lambda form: form.ending)
def test_a_format_without_a_fourth_dimension_says_so(tmp_path: Path, form: formats.Format) -> None:
    """The libraries of some end the process instead."""
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    path, grid = tmp_path / f"a{form.ending}", Grid((5, 4, 3), (0.0,) * 3, (1.0,) * 3, tuple(np.eye(3).ravel()))
    if form.four:
        write_image(path, array, grid)
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), array)
    else:
        with pytest.raises(OutputError, match="4D"):
            write_image(path, array, grid)
    assert path.exists() == form.four


def test_dimensions_of_one_beyond_the_third_do_not_count(tmp_path: Path) -> None:
    array = np.arange(2 * 1 * 3 * 4 * 5, dtype=np.int16).reshape(2, 1, 3, 4, 5)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(tmp_path / "a.nii"))
    found, _ = read_image(tmp_path / "a.nii", channel=1)
    assert np.array_equal(found, array[1, 0])
