"""DICOM Segmentation objects: every voxel where the series has it, and what others write is read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from files.dicom_objects import a_matrix, saved, write_slices
from files.dicom_results import PERSON, a_series, frames_in_world, some_labels, world, written
from MetaSegmentLib import InputError
from MetaSegmentLib.files.segmentations import read_painted
from MetaSegmentLib.files.segments import Painted, Segment, plain_segment
from MetaSegmentLib.task.history import RunNote
from MetaSegmentLib.task.parts import Part
from MetaSegmentLib.task.record import TAG, SliceRecord

highdicom = pytest.importorskip("highdicom")
OBLIQUE = np.linalg.qr(np.array([[0.9, 0.2, 0.4], [-0.3, 0.8, 0.5], [0.1, -0.4, 0.9]]))[0]
OBLIQUE[:, 2] *= np.linalg.det(OBLIQUE)
SAGITTAL, CORONAL = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]]), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
GEOMETRIES = {
    "upright": a_matrix(),
    "descending": a_matrix(np.diag([1, 1, -1])),
    "sagittal": a_matrix(SAGITTAL),
    "coronal": a_matrix(CORONAL),
    "oblique": a_matrix(OBLIQUE),
    "tilted": a_matrix(OBLIQUE, shear=0.7),
}
LIVER = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure~"
    "SCT^64033007^Kidney~SCT^7771000^Left~Anatomic codes - DICOM master list~SCT^818981001^Abdomen~^^"
)


def masks_of(painted: Painted) -> list[np.ndarray]:
    return [painted.layers[one.layer] == one.value for one in painted.segments]


@pytest.mark.parametrize("frames", [False, True], ids=["series", "multi-frame"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("count", [1, 2])
def test_every_voxel_lies_where_the_series_has_it(tmp_path: Path, geometry: str, frames: bool, count: int) -> None:
    series = a_series(tmp_path / "s", GEOMETRIES[geometry], frames)
    layers, segments = some_labels(layers=count)
    path = tmp_path / "r.seg.dcm"
    grid = written(path, series, layers, segments)
    painted = read_painted(path, grid, series)
    assert len(painted.segments) == 2 * count and painted.notes == ()
    for number, (segment, mask) in enumerate(zip(segments, masks_of(painted), strict=True), start=1):
        expected = layers[segment.layer] == segment.value
        np.testing.assert_array_equal(mask, expected)
        assert frames_in_world(path, number) == world(expected, grid) != frozenset()


@settings(max_examples=8, deadline=None)
@given(
    st.tuples(*[st.floats(-1, 1)] * 3),
    st.floats(0.3, 2),
    st.floats(0.5, 6),
    st.floats(-2, 2),
    st.tuples(*[st.floats(-900, 900)] * 3),
)
def test_any_geometry_survives(
    tmp_path_factory: Any, turn: Any, pixel: float, step: float, shear: float, at: Any
) -> None:
    folder = tmp_path_factory.mktemp("g")
    cross = np.array([[0, -turn[2], turn[1]], [turn[2], 0, -turn[0]], [-turn[1], turn[0], 0]])
    rotation = np.linalg.inv(np.eye(3) + cross) @ (np.eye(3) - cross)
    series = a_series(folder / "s", a_matrix(rotation, (pixel, 1.1 * pixel, step), at, shear))
    layers, segments = some_labels()
    for name in ("r.seg.dcm", "r.rtstruct.dcm"):
        grid = written(folder / name, series, layers, segments)
        for segment, mask in zip(segments, masks_of(read_painted(folder / name, grid, series)), strict=True):
            np.testing.assert_array_equal(mask, layers[0] == segment.value)


def test_highdicom_reads_it_instance_by_instance(tmp_path: Path) -> None:
    layers, segments = some_labels(layers=2)
    written(tmp_path / "r.seg.dcm", a_series(tmp_path / "s", GEOMETRIES["oblique"]), layers, segments)
    seg = highdicom.seg.segread(tmp_path / "r.seg.dcm")
    files = [pydicom.dcmread(one) for one in sorted((tmp_path / "s").iterdir())]
    uids = [one.SOPInstanceUID for one in files]
    found = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
    for number, segment in enumerate(segments):
        np.testing.assert_array_equal(found[..., number], layers[segment.layer] == segment.value)
    assert {uid for *_, uid in seg.get_source_image_uids()} == set(uids), "every instance, also those without paint"


def test_what_viewers_ask_for_is_there(tmp_path: Path) -> None:
    layers, segments = some_labels(layers=2)
    written(tmp_path / "r.seg.dcm", a_series(tmp_path / "s"), layers, segments)
    data = pydicom.dcmread(tmp_path / "r.seg.dcm")
    source = pydicom.dcmread(next((tmp_path / "s").iterdir()))
    assert data.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert data.FrameOfReferenceUID == source.FrameOfReferenceUID and data.SegmentsOverlap == "YES"
    assert (data.SegmentationType, data.Modality, data.Rows, data.Columns) == (
        "BINARY",
        "SEG",
        *source.pixel_array.shape,
    )
    assert data.pixel_array.any(axis=(1, 2)).all(), "no empty frames"
    order = [tuple(one.FrameContentSequence[0].DimensionIndexValues) for one in data.PerFrameFunctionalGroupsSequence]
    assert order == sorted(order)
    places = {
        one.SOPInstanceUID: one.ImagePositionPatient
        for one in (pydicom.dcmread(path) for path in (tmp_path / "s").iterdir())
    }
    for frame in data.PerFrameFunctionalGroupsSequence:
        (origin,) = frame.DerivationImageSequence[0].SourceImageSequence
        np.testing.assert_allclose(
            places[origin.ReferencedSOPInstanceUID], frame.PlanePositionSequence[0].ImagePositionPatient, atol=1e-6
        )


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_the_patient_is_in_the_file_and_nowhere_else(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def odd(k: int, data: Dataset) -> None:
        for key, value in PERSON.items():
            setattr(data, key, value)
        data.SpecificCharacterSet = "ISO_IR 100"
        with pytest.warns(UserWarning):  # as old archives hold them
            pydicom.config.settings.writing_validation_mode = pydicom.config.WARN
            data.PatientBirthDate, data.PatientSex = "17.1.1950", "X"
            data.StudyInstanceUID = "1.2.Somebody"

    mode = pydicom.config.settings.writing_validation_mode
    try:
        write_slices(tmp_path / "s", np.zeros((9, 13, 17), np.int16), a_matrix(), change=odd)
    finally:
        pydicom.config.settings.writing_validation_mode = mode
    capfd.readouterr()
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        grid = written(tmp_path / name, tmp_path / "s", *some_labels())
        read_painted(tmp_path / name, grid, tmp_path / "s")
    shown = caplog.text + "".join(capfd.readouterr())
    private = [value for value in PERSON.values() if len(value) > 3]
    assert not any(value in shown for value in (*private, "17.1.1950", "Somebody"))
    data = pydicom.dcmread(tmp_path / name)
    for key, value in PERSON.items():
        if key not in ("PatientBirthDate", "PatientSex"):
            assert str(data[key].value) == value
    assert (data.PatientBirthDate, data.PatientSex, data.StudyInstanceUID) == ("17.1.1950", "X", "1.2.Somebody")


def test_meaning_colour_names_and_the_log_of_runs_come_back(tmp_path: Path) -> None:
    series = a_series(tmp_path / "s")
    (labels,), (first, second) = some_labels()
    note = RunNote("fusion", "0.1.0", "20261126T2200Z", 3, 0.91)
    record = SliceRecord.take(Part.of(labels == 1), 0, [2, 5])
    text = replace(record, runs=(note,)).to_text()
    long = "a name that does not fit into the sixty-four characters that a label has in DICOM"
    first = replace(first, fields={**first.fields, "name": long, "tags": {"TerminologyEntry": LIVER, TAG: text}})
    second = replace(second, fields={**second.fields, "name": "Right_kidney", "color": (1.0, 0.25, 0.0)})
    for name in ("r.seg.dcm", "r.rtstruct.dcm"):
        grid = written(tmp_path / name, series, [labels], [first, second])
        one, two = read_painted(tmp_path / name, grid, series).segments
        assert (one.name, two.name) == (long, "Right_kidney")
        assert one.tags[TAG] == text and TAG not in two.tags
        assert one.tags["TerminologyEntry"].split("~")[1:4] == LIVER.split("~")[1:4]
        assert one.tags["TerminologyEntry"].split("~")[5:] == LIVER.split("~")[5:]
        assert two.tags["TerminologyEntry"].split("~")[2:4] == ["SCT^64033007^Kidney", "SCT^24028007^Right"]
        np.testing.assert_allclose(two.fields["color"], (1, 0.25, 0), atol=0.005)
    one, two = pydicom.dcmread(tmp_path / "r.seg.dcm").SegmentSequence
    assert (one.SegmentAlgorithmType, one.SegmentAlgorithmName) == ("SEMIAUTOMATIC", "MetaSegment fusion")
    assert two.SegmentAlgorithmType == "MANUAL"


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_how_a_segment_came_about(tmp_path: Path, name: str) -> None:
    """From paint on another scan alone it is automatic; a record that is too long as it is comes packed."""
    (labels,), (first, _) = some_labels()
    prints = {k: f"{k:012x}" for k in range(9)}
    record = SliceRecord(0, (900, 13, 17), {}, prints | {k: f"{k * k:012x}" for k in range(9, 900)})
    first = replace(first, fields={**first.fields, "tags": {TAG: record.to_text()}})
    series = a_series(tmp_path / "s")
    grid = written(tmp_path / name, series, [labels * (labels == 1)], [first])
    data = pydicom.dcmread(tmp_path / name)
    how = data.SegmentSequence[0].SegmentAlgorithmType if "SegmentSequence" in data else None
    assert (how or data.StructureSetROISequence[0].ROIGenerationAlgorithm) == "AUTOMATIC"
    assert len(record.to_text()) > 10240
    assert read_painted(tmp_path / name, grid).segments[0].tags[TAG] == record.to_text()


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_an_empty_segment_is_kept(tmp_path: Path, name: str) -> None:
    series = a_series(tmp_path / "s")
    (labels,), segments = some_labels()
    grid = written(tmp_path / name, series, [labels], [*segments, plain_segment(3, "nothing")])
    painted = read_painted(tmp_path / name, grid, series)
    assert [one.name for one in painted.segments] == ["Segment_1", "Segment_2", "nothing"]
    assert not masks_of(painted)[2].any() and masks_of(painted)[1].any()


def test_nothing_at_all_is_a_valid_file(tmp_path: Path) -> None:
    series = a_series(tmp_path / "s")
    grid = written(tmp_path / "r.seg.dcm", series, [np.zeros((9, 13, 17), np.uint8)], [plain_segment(1)])
    assert not highdicom.seg.segread(tmp_path / "r.seg.dcm").pixel_array.any()
    assert not read_painted(tmp_path / "r.seg.dcm", grid, series).layers[0].any()


def test_labels_are_numbered_anew(tmp_path: Path) -> None:
    """Segments of DICOM are counted from 1; label values are not."""
    series = a_series(tmp_path / "s")
    (labels,), (first, second) = some_labels()
    wide = labels.astype(np.uint16) * 300
    segments = [replace(first, value=300), replace(second, value=600)]
    painted = read_painted(tmp_path / "r.seg.dcm", written(tmp_path / "r.seg.dcm", series, [wide], segments))
    np.testing.assert_array_equal(painted.layers[0], labels)


def by_highdicom(folder: Path, kind: str, pixels: np.ndarray, planes: Any = slice(None), **more: Any) -> Path:
    """What another program would write for the slices of a series."""
    files = [pydicom.dcmread(one) for one in sorted(folder.iterdir())]
    for one in files:
        one.SliceThickness = 1
    described = [
        highdicom.seg.SegmentDescription(
            n, f"S{n}", pydicom.sr.codedict.codes.SCT.Tissue, pydicom.sr.codedict.codes.SCT.Tissue, "MANUAL"
        )
        for n in range(1, 3)
    ]
    seg = highdicom.seg.Segmentation(
        files[planes], pixels, kind, described, highdicom.UID(), 1, highdicom.UID(), 1, "Another", "Program", "1", "1",
        **more,
    )  # fmt: skip
    seg.save_as(folder.parent / f"{kind}.dcm")
    return folder.parent / f"{kind}.dcm"


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP", "FRACTIONAL"])
@pytest.mark.parametrize("sparse", [False, True])
def test_what_other_programs_write_is_read(tmp_path: Path, kind: str, sparse: bool) -> None:
    """Sparse ones hold frames of a few slices only; fractions count from one half on."""
    series = a_series(tmp_path / "s")
    (labels,), _ = some_labels()
    planes = slice(2, 7, 2) if sparse else slice(None)
    pixels: np.ndarray = labels
    if kind == "FRACTIONAL":
        pixels = np.stack([np.where(labels == n, 0.6, 0.3) for n in (1, 2)], axis=-1)
    path = by_highdicom(series, kind, pixels[planes], planes)
    from MetaSegmentLib.files.images import read_image

    painted = read_painted(path, read_image(series)[1], series)
    expected = np.zeros_like(labels)
    expected[planes] = labels[planes]
    np.testing.assert_array_equal(painted.layers[0], expected)
    assert [one.name for one in painted.segments] == ["S1", "S2"]


def the_result(tmp_path: Path) -> tuple[Path, Path, np.ndarray, Any]:
    series, path = a_series(tmp_path / "s"), tmp_path / "r.seg.dcm"
    (labels,), segments = some_labels()
    return series, path, labels, written(path, series, [labels], segments)


def test_frames_may_stand_in_any_order(tmp_path: Path) -> None:
    series, path, labels, grid = the_result(tmp_path)

    def shuffled(data: Dataset) -> None:
        order = np.random.default_rng(0).permutation(len(data.PerFrameFunctionalGroupsSequence))
        bits = np.concatenate([data.pixel_array[n].ravel() for n in order])
        data.PerFrameFunctionalGroupsSequence = [data.PerFrameFunctionalGroupsSequence[n] for n in order]
        data.PixelData = np.packbits(bits, bitorder="little").tobytes() + b"\0" * (-(-len(bits) // 8) % 2)

    saved(path, shuffled)
    np.testing.assert_array_equal(read_painted(path, grid, series).layers[0], labels)


@pytest.mark.parametrize("inside", [True, False])
def test_a_part_of_the_slices_pixels_is_placed(tmp_path: Path, inside: bool) -> None:
    """Turned by a quarter too, as another program may store it."""
    series, path, labels, grid = the_result(tmp_path)
    shift = 0 if inside else -12

    def cut(data: Dataset) -> None:
        frames = np.rot90(data.pixel_array[:, 1:12, 2:17], axes=(1, 2))
        data.Rows, data.Columns = frames.shape[1:]
        shared = data.SharedFunctionalGroupsSequence[0]
        shared.PlaneOrientationSequence[0].ImageOrientationPatient = [0, 1, 0, -1, 0, 0]
        shared.PixelMeasuresSequence[0].PixelSpacing = shared.PixelMeasuresSequence[0].PixelSpacing[::-1]
        for frame in data.PerFrameFunctionalGroupsSequence:
            x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
            frame.PlanePositionSequence[0].ImagePositionPatient = [x + 0.8 * (16 + shift), y + 0.7, z]
        data.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()

    saved(path, cut)
    if not inside:
        with pytest.raises(InputError, match="outside the image"):
            read_painted(path, grid, series)
        return
    expected = labels.copy()
    expected[:, :1], expected[:, 12:], expected[:, :, :2] = 0, 0, 0
    np.testing.assert_array_equal(read_painted(path, grid, series).layers[0], expected)


def moved(data: Dataset) -> None:
    for frame in data.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        place[2] = float(place[2]) + 1.0


def coarser(data: Dataset) -> None:
    data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1.4, 1.6]


def turned(data: Dataset) -> None:
    data.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [
        0.6,
        0.8,
        0,
        -0.8,
        0.6,
        0,
    ]


def elsewhere(data: Dataset) -> None:
    data.FrameOfReferenceUID = "1.2.99"


def without_segments(data: Dataset) -> None:
    data.SegmentSequence = []


def without_places(data: Dataset) -> None:
    for frame in data.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence


def of_an_unknown_syntax(data: Dataset) -> None:
    data.file_meta.TransferSyntaxUID = "1.2.3.4.5"


def packed(data: Dataset) -> None:
    data.PixelData = pydicom.encaps.encapsulate([b"\1\2\3\4"] * data.NumberOfFrames)
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (moved, "between the image's slices"),
        (coarser, "pixels are 1.6 × 1.4 mm"),
        (turned, "turned against"),
        (elsewhere, "another frame of reference"),
        (without_segments, "no segments"),
        (without_places, "without position"),
        (of_an_unknown_syntax, "cannot be decoded|damaged"),
        (packed, "cannot be decoded"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    tmp_path: Path, change: Callable[[Dataset], None], words: str
) -> None:
    series, path, _, grid = the_result(tmp_path)
    saved(path, change)
    with pytest.raises(InputError, match=words) as caught:
        read_painted(path, grid, series)
    assert not any(value in str(caught.value) for value in ("1.2.", "Somebody", str(tmp_path)))


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
@pytest.mark.parametrize("kept", [131, 500, 0.4, 0.7, 0.99, -3])
def test_a_file_cut_short_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    series = a_series(tmp_path / "s")
    grid = written(tmp_path / name, series, *some_labels())
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(InputError, match=r"damaged|cut short"):
        read_painted(tmp_path / name, grid, series)


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_another_series_of_the_same_place_is_noted(tmp_path: Path, name: str) -> None:
    series = a_series(tmp_path / "s")
    grid = written(tmp_path / name, series, *some_labels())
    write_slices(tmp_path / "other", np.zeros((9, 13, 17), np.int16), a_matrix(), series="1.2.3.77")
    painted = read_painted(tmp_path / name, grid, tmp_path / "other")
    assert painted.layers[0].any() and len(painted.notes) == 1 and "another series" in painted.notes[0]
    assert painted.only(["1"]).notes == painted.notes


@pytest.mark.parametrize("name", ["r.seg.dcm", "r.rtstruct.dcm"])
def test_its_name_does_not_matter_nor_a_folder_around_it(tmp_path: Path, name: str) -> None:
    series = a_series(tmp_path / "s")
    grid = written(tmp_path / name, series, *some_labels())
    folder = tmp_path / "export" / "SE1"
    folder.mkdir(parents=True)
    (tmp_path / name).rename(folder / "1.2.840.99")
    assert read_painted(folder / "1.2.840.99", grid).layers[0].any()
    assert read_painted(tmp_path / "export", grid).layers[0].any()
    (folder / "1.2.840.98").write_bytes((folder / "1.2.840.99").read_bytes())
    with pytest.raises(InputError, match="several files"):
        read_painted(tmp_path / "export", grid)


def test_a_segment_without_a_colour_or_a_usable_name(tmp_path: Path) -> None:
    series = a_series(tmp_path / "s")
    (labels,), _ = some_labels()
    segments = [Segment(1, 0, {"name": "a\\b\tc"}), Segment(2, 0, {"name": " "})]
    grid = written(tmp_path / "r.seg.dcm", series, [labels], segments)
    assert [one.name for one in read_painted(tmp_path / "r.seg.dcm", grid).segments] == ["a/b c", "Segment_2"]
