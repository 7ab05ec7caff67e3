"""DICOM series and multi-frame files: every slice where the scanner says, or one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from files.dicom_objects import a_matrix, saved, write_frames, write_slices
from MetaSegmentLib import InputError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.parts import clash

OBLIQUE = np.linalg.qr(np.array([[0.9, 0.2, 0.4], [-0.3, 0.8, 0.5], [0.1, -0.4, 0.9]]))[0]
OBLIQUE[:, 2] *= np.linalg.det(OBLIQUE)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, (9, 12, 15)).astype(np.int16)


def assert_read(path: Path, array: np.ndarray, matrix: np.ndarray) -> Grid:
    found, grid = read_image(path)
    np.testing.assert_array_equal(found, array)
    np.testing.assert_allclose(grid.matrix, matrix, atol=1e-5)
    return grid


@pytest.mark.parametrize("directions", [np.eye(3), OBLIQUE], ids=["upright", "oblique"])
@pytest.mark.parametrize("shear", [0.0, 0.7, -1.9])
@pytest.mark.parametrize("frames", [False, True], ids=["series", "multi-frame"])
def test_slices_lie_where_the_scanner_says(
    tmp_path: Path, noise: np.ndarray, directions: np.ndarray, shear: float, frames: bool
) -> None:
    matrix = a_matrix(directions, shear=shear)
    if frames:
        path = write_frames(tmp_path / "f.dcm", noise, matrix, order=[3, 8, 0, 1, 7, 2, 6, 5, 4])
    else:
        path = tmp_path / "s"
        write_slices(path, noise, matrix, names=[f"{n}" for n in (5, 8, 0, 1, 7, 2, 6, 3, 4)])
    grid = assert_read(path, noise, matrix)
    assert grid.sheared == (shear != 0)
    write_image(tmp_path / "o.nrrd", noise, grid)
    last = sitk.ReadImage(str(tmp_path / "o.nrrd")).TransformIndexToPhysicalPoint((14, 11, 8))
    np.testing.assert_allclose(last, (matrix @ [14, 11, 8, 1])[:3], atol=1e-4)


def test_an_upright_series_is_read_as_itk_reads_it(tmp_path: Path, noise: np.ndarray) -> None:
    write_slices(tmp_path / "s", noise, a_matrix(OBLIQUE))
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "s"))
    image = sitk.ReadImage(names)
    array, grid = read_image(tmp_path / "s")
    np.testing.assert_array_equal(array, sitk.GetArrayFromImage(image))
    assert grid.offset_in(Grid.of(image)) == (0, 0, 0)


def test_rounded_positions_are_no_tilt(tmp_path: Path, noise: np.ndarray) -> None:
    def rounded(k: int, data: Dataset) -> None:
        data.ImagePositionPatient = [round(float(x), 2) for x in data.ImagePositionPatient]

    write_slices(tmp_path / "s", noise, a_matrix(OBLIQUE), change=rounded)
    axes = np.reshape(read_image(tmp_path / "s")[1].direction, (3, 3))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)


def test_other_files_beside_a_series_are_passed_over(tmp_path: Path, noise: np.ndarray) -> None:
    folder = tmp_path / "s"
    *_, last = write_slices(folder, noise, a_matrix(), names=[f"IM{k}" for k in range(9)])
    for name, sop_class in {"RS": "481.3", "SEG": "66.4", "SR": "88.33", "PR": "11.1", "DICOMDIR": "dir"}.items():
        data = pydicom.dcmread(last)
        for element in ("PixelData", "Rows", "ImagePositionPatient"):
            delattr(data, element)
        uid = "1.2.840.10008.1.3.10" if sop_class == "dir" else f"1.2.840.10008.5.1.4.1.1.{sop_class}"
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = uid
        data.SeriesInstanceUID = f"1.2.9.{len(name)}"
        data.save_as(folder / name)
    (folder / "README").write_text("from the archive\n")
    (folder / "notes.txt").write_text("")
    (folder / "preview.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(64))
    (folder / "._IM3").write_bytes(bytes(200))
    assert_read(folder, noise, a_matrix())


@pytest.mark.parametrize("kept", [0, 100, 131, 200, 700, -300, -1])
@pytest.mark.parametrize("name", ["x.dcm", "x", "1.2.840.17"])
def test_a_file_cut_short_is_not_passed_over(tmp_path: Path, noise: np.ndarray, kept: int, name: str) -> None:
    names = [name.replace("x", f"{k}x").replace("17", f"{k}") for k in range(9)]
    paths = write_slices(tmp_path / "s", noise, a_matrix(), names)
    content = paths[4].read_bytes()
    for which in (paths[4], paths[8]):  # a gap, and an end that nobody would miss
        whole = which.read_bytes()
        which.write_bytes(content[:kept])
        with pytest.raises(InputError, match="damaged or cut short"):
            read_image(tmp_path / "s")
        which.write_bytes(whole)


@pytest.mark.parametrize("syntax", [pydicom.uid.RLELossless, pydicom.uid.DeflatedExplicitVRLittleEndian])
def test_packed_slices_are_read_and_cut_short_ones_are_not(tmp_path: Path, noise: np.ndarray, syntax: str) -> None:
    paths = write_slices(tmp_path / "s", noise, a_matrix())

    def packed(data: Dataset) -> None:
        if syntax == pydicom.uid.RLELossless:
            data.compress(syntax, generate_instance_uid=False)
        else:
            data.file_meta.TransferSyntaxUID = syntax

    for path in paths:
        saved(path, packed)
    assert_read(tmp_path / "s", noise, a_matrix())
    content = paths[-1].read_bytes()
    for kept in (0.3, 0.6, 0.9, 0.99):
        paths[-1].write_bytes(content[: int(kept * len(content))])
        with pytest.raises(InputError, match="damaged or cut short"):
            read_image(tmp_path / "s")


def without(*names: str) -> Callable[[int, Dataset], None]:
    def change(k: int, data: Dataset) -> None:
        for name in names:
            if k == 5 or len(names) > 1:
                delattr(data, name)

    return change


def turned(k: int, data: Dataset) -> None:
    if k == 0:  # a localizer in the same series
        data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def zoomed(k: int, data: Dataset) -> None:
    if k > 5:
        data.PixelSpacing = [0.5, 0.5]


def smaller(k: int, data: Dataset) -> None:
    if k == 8:
        data.Rows = 11
        data.PixelData = data.PixelData[: 11 * 15 * 2]


def again(k: int, data: Dataset) -> None:
    if k > 4:  # a second time point of the same places
        data.ImagePositionPatient = [-30, 12, 55 + 2.5 * (k - 5)]


def farther(k: int, data: Dataset) -> None:
    if k == 8:
        data.ImagePositionPatient = [-30, 12, 55 + 2.5 * 9]


def creeping(k: int, data: Dataset) -> None:  # no gap is 10 % larger than the one before
    data.ImagePositionPatient = [-30, 12, 55 + 2.5 * k + 0.05 * k * k]


def sideways(k: int, data: Dataset) -> None:
    if k == 4:
        data.ImagePositionPatient = [-29, 12, 55 + 2.5 * 4]


def skewed(k: int, data: Dataset) -> None:
    data.ImageOrientationPatient = [1, 0, 0, 0.2, 0.98, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("ImagePositionPatient"), "without position"),
        (without("ImageOrientationPatient"), "without position"),
        (without("PixelSpacing"), "without position"),
        (without("ImagePositionPatient", "ImageOrientationPatient"), "without position"),
        (turned, "different directions"),
        (zoomed, "differ in size or pixel spacing"),
        (smaller, "differ in size or pixel spacing"),
        (again, "several times at the same place"),
        (farther, "not evenly spaced"),
        (creeping, "not evenly spaced"),
        (sideways, "not evenly spaced"),
        (skewed, "without position"),
    ],
)
@pytest.mark.parametrize("frames", [False, True], ids=["series", "multi-frame"])
def test_what_is_no_even_stack_is_refused(
    tmp_path: Path, noise: np.ndarray, change: Callable[[int, Dataset], None], words: str, frames: bool
) -> None:
    if not frames:
        write_slices(tmp_path / "s", noise, a_matrix(), change=change)
        with pytest.raises(InputError, match=words):
            read_image(tmp_path / "s")
        return
    if change is smaller:
        pytest.skip("frames of a file have one size")

    def groups(data: Dataset, shared: Dataset, frames: list[Dataset]) -> None:
        places = {
            "ImagePositionPatient": "PlanePositionSequence",
            "ImageOrientationPatient": "PlaneOrientationSequence",
            "PixelSpacing": "PixelMeasuresSequence",
        }
        for k, frame in enumerate(frames):
            flat = Dataset()
            for name, sequence in places.items():
                setattr(flat, name, (frame if sequence in frame else shared)[sequence][0][name].value)
            change(k, flat)
            for name, sequence in places.items():
                item = Dataset()
                if name in flat:
                    setattr(item, name, flat[name].value)
                setattr(frame, sequence, [item])

    path = write_frames(tmp_path / "f.dcm", noise, a_matrix(), change=groups)
    with pytest.raises(InputError, match=words):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PixelSpacing", [0.7, 0.8004], "differ in size or pixel spacing"),
        ("ImageOrientationPatient", [1, 0.0005, 0, -0.0005, 1, 0], "different directions"),
    ],
)
def test_what_adds_up_over_a_wide_slice_is_noticed(tmp_path: Path, name: str, value: list[float], words: str) -> None:
    def changed(k: int, data: Dataset) -> None:
        if k == 2:
            setattr(data, name, value)

    write_slices(tmp_path / "narrow", np.zeros((4, 9, 9)), a_matrix(spacing=(0.8, 0.7, 2.5)), change=changed)
    assert read_image(tmp_path / "narrow")[0].shape == (4, 9, 9)
    write_slices(tmp_path / "wide", np.zeros((4, 9, 400)), a_matrix(spacing=(0.8, 0.7, 2.5)), change=changed)
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / "wide")


def test_frames_without_places_are_refused(tmp_path: Path, noise: np.ndarray) -> None:
    def gone(data: Dataset, shared: Dataset, frames: list[Dataset]) -> None:
        frames.clear()

    path = write_frames(tmp_path / "f.dcm", noise, a_matrix(), change=gone)
    with pytest.raises(InputError, match="without position"):
        read_image(path)


def test_a_multi_frame_file_in_a_folder_is_read_as_it_is_alone(tmp_path: Path, noise: np.ndarray) -> None:
    write_frames(tmp_path / "f.dcm", noise, a_matrix(shear=0.5), order=range(8, -1, -1))
    assert_read(tmp_path, noise, a_matrix(shear=0.5))


def test_a_multi_frame_file_cut_short_is_refused(tmp_path: Path, noise: np.ndarray) -> None:
    path = write_frames(tmp_path / "f.dcm", noise, a_matrix())
    content = path.read_bytes()
    for kept in (0, 131, 200, 400, len(content) // 2, -1):
        (tmp_path / "cut.dcm").write_bytes(content[:kept])
        with pytest.raises(InputError, match=r"cut short|empty"):
            read_image(tmp_path / "cut.dcm")


def test_each_slice_has_its_own_rescale(tmp_path: Path, noise: np.ndarray) -> None:
    """As in PET; the first one's whole numbers must not cut off the others' fractions."""
    slopes = np.array([1, 0.5, 0.25, 2, 1, 1, 0.125, 3, 1.5])

    def scaled(k: int, data: Dataset) -> None:
        data.RescaleSlope, data.RescaleIntercept = slopes[k], -k

    write_slices(tmp_path / "s", noise, a_matrix(), change=scaled)
    expected = noise * slopes[:, None, None] - np.arange(9)[:, None, None]
    np.testing.assert_allclose(read_image(tmp_path / "s")[0], expected, rtol=1e-6)


def test_each_frame_has_its_own_rescale(tmp_path: Path, noise: np.ndarray) -> None:
    slopes = np.array([1, 0.5, 0.25, 2, 1, 1, 0.125, 3, 1.5])
    order = [3, 8, 0, 1, 7, 2, 6, 5, 4]

    def scaled(data: Dataset, shared: Dataset, frames: list[Dataset]) -> None:
        for k, frame in zip(order, frames, strict=True):
            item = Dataset()
            item.RescaleSlope, item.RescaleIntercept = slopes[k], -k
            frame.PixelValueTransformationSequence = [item]

    path = write_frames(tmp_path / "f.dcm", noise, a_matrix(), order, change=scaled)
    expected = noise * slopes[:, None, None] - np.arange(9)[:, None, None]
    np.testing.assert_allclose(read_image(path)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
@pytest.mark.parametrize("kind", ["enhanced CT", "another"])
def test_compressed_frames_are_decoded_with_their_rescale_or_refused(
    tmp_path: Path, noise: np.ndarray, compressor: str, kind: str
) -> None:
    """pydicom alone has no decoder for lossless JPEG."""
    order = [3, 8, 0, 1, 7, 2, 6, 5, 4]
    positive = (noise + 1000).astype(np.uint16)
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.SetFileName(str(tmp_path / "packed.dcm"))
    writer.Execute(sitk.GetImageFromArray(positive[order]))
    packed = pydicom.dcmread(tmp_path / "packed.dcm")

    def changed(data: Dataset, shared: Dataset, frames: list[Dataset]) -> None:
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept = 2, -1000
        shared.PixelValueTransformationSequence = [item]
        data.PixelRepresentation, data.PixelData = 0, packed.PixelData
        data.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
        data["PixelData"].is_undefined_length = True
        if kind == "another":
            data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7.3"

    path = write_frames(tmp_path / "f.dcm", positive, a_matrix(), order, change=changed)
    try:
        array, grid = read_image(path)
    except InputError as error:
        assert "cannot be decoded" in str(error) and (compressor, kind) == ("JPEG", "another")
    else:
        np.testing.assert_array_equal(array, positive * 2.0 - 1000)
        np.testing.assert_allclose(grid.matrix, a_matrix(), atol=1e-5)


def test_whole_numbers_stay_whole(tmp_path: Path, noise: np.ndarray) -> None:
    def scaled(data: Dataset, shared: Dataset, frames: list[Dataset]) -> None:
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept = 1, -1024
        shared.PixelValueTransformationSequence = [item]

    array, _ = read_image(write_frames(tmp_path / "f.dcm", noise, a_matrix(), change=scaled))
    assert array.dtype.kind == "i"
    np.testing.assert_array_equal(array, noise.astype(int) - 1024)


def test_a_single_slice_is_refused_with_the_way_out(tmp_path: Path, noise: np.ndarray) -> None:
    path, *_ = write_slices(tmp_path / "s", noise, a_matrix())
    with pytest.raises(InputError, match="give the folder"):
        read_image(path)


def test_header_values_are_not_shown(tmp_path: Path, noise: np.ndarray, recwarn: pytest.WarningsRecorder) -> None:
    """Warnings of the parser quote them."""
    paths = write_slices(tmp_path / "s", noise, a_matrix(), series="Somebody^Private")
    recwarn.clear()
    read_image(tmp_path / "s")
    assert pydicom.dcmread(paths[0]).SeriesInstanceUID == "Somebody^Private"
    assert [str(warning.message) for warning in recwarn if warning.filename.endswith("dicom.py")] == []
    assert len(recwarn) == 1, "reading it without care warns"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_name_that_is_no_text_does_not_matter(tmp_path: Path, noise: np.ndarray) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    write_slices(folder, noise, a_matrix())
    np.testing.assert_array_equal(read_image(folder)[0], noise)


def test_a_file_that_must_not_be_read_is_not_called_damaged(
    tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_slices(tmp_path / "s", noise, a_matrix())

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("MetaSegmentLib.files.dicom.is_dicom", refuse)
    with pytest.raises(InputError, match="permissions"):
        read_image(tmp_path / "s")


def test_the_only_folder_in_a_folder_is_the_one_that_is_meant(tmp_path: Path, noise: np.ndarray) -> None:
    inner = tmp_path / "export" / "PAT0" / "ST0"
    inner.mkdir(parents=True)
    names = [f"IM{k}" for k in range(9)]
    write_slices(inner / "SE0", noise, a_matrix(), names)
    (tmp_path / "export" / "DICOMDIR").write_bytes(b"index")
    (tmp_path / "export" / ".DS_Store").write_bytes(b"litter")
    assert_read(tmp_path / "export", noise, a_matrix())
    assert clash([inner / "SE0" / "IM3"], [tmp_path / "export"]), "a report may have any name"
    write_slices(inner / "SE1", noise, a_matrix(), names)
    with pytest.raises(InputError, match="folders and no DICOM images; choose the folder of one series"):
        read_image(tmp_path / "export")


def test_pixels_in_high_bits_are_refused(tmp_path: Path, noise: np.ndarray) -> None:
    """ITK cuts them off, pydicom does not."""

    def change(k: int, data: Dataset) -> None:
        data.BitsStored, data.HighBit = 12, 15

    write_slices(tmp_path / "s", noise, a_matrix(), change=change)
    with pytest.raises(InputError, match="other bits"):
        read_image(tmp_path / "s")


def test_a_segmentation_in_dicom_is_called_that(tmp_path: Path, noise: np.ndarray) -> None:
    def change(data: Dataset, shared: Dataset, frames: list[Dataset]) -> None:
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"

    path = write_frames(tmp_path / "seg.dcm", noise, a_matrix(), change=change)
    with pytest.raises(InputError, match=r"load it in Slicer and save it as \.seg\.nrrd"):
        read_image(path, "support")


def test_a_file_that_is_there_twice_counts_once(tmp_path: Path, noise: np.ndarray) -> None:
    paths = write_slices(tmp_path / "s", noise, a_matrix())
    (tmp_path / "s" / "copy of a slice.dcm").write_bytes(paths[3].read_bytes())
    assert_read(tmp_path / "s", noise, a_matrix())

    def changed(data: Dataset) -> None:
        data.PixelData = bytes(len(data.PixelData))

    saved(tmp_path / "s" / "copy of a slice.dcm", changed)
    with pytest.raises(InputError, match="several times at the same place"):
        read_image(tmp_path / "s")
