"""RT Structure Sets: contours where the mask ends, and masks from whatever contours there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from scipy.spatial import cKDTree

from files.dicom_objects import a_matrix, saved
from files.dicom_results import a_series, some_labels, written
from files.test_dicom_seg import GEOMETRIES, masks_of
from MetaSegmentLib import InputError
from MetaSegmentLib.files.images import read_image
from MetaSegmentLib.files.segmentations import read_painted


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


@pytest.mark.parametrize("frames", [False, True], ids=["series", "multi-frame"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("count", [1, 2])
def test_the_mask_comes_back(tmp_path: Path, geometry: str, frames: bool, count: int) -> None:
    """Bit for bit, which is more than a Dice of .98."""
    series = a_series(tmp_path / "s", GEOMETRIES[geometry], frames)
    layers, segments = some_labels(layers=count)
    grid = written(tmp_path / "r.rtstruct.dcm", series, layers, segments)
    painted = read_painted(tmp_path / "r.rtstruct.dcm", grid, series)
    assert painted.notes == () and [one.value for one in painted.segments] == [one.value for one in segments]
    for segment, mask in zip(segments, masks_of(painted), strict=True):
        assert dice(mask, layers[segment.layer] == segment.value) == 1


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("frames", [False, True], ids=["series", "multi-frame"])
def test_contours_lie_on_their_instances_within_half_a_pixel(tmp_path: Path, geometry: str, frames: bool) -> None:
    series = a_series(tmp_path / "s", GEOMETRIES[geometry], frames)
    (labels,), segments = some_labels()
    grid = written(tmp_path / "r.rtstruct.dcm", series, [labels], segments)
    data = pydicom.dcmread(tmp_path / "r.rtstruct.dcm")
    places = the_places(series)
    count = 0
    for region in data.ROIContourSequence:
        mask = np.pad(labels == region.ReferencedROINumber, ((0, 0), (1, 1), (1, 1)))
        for contour in region.ContourSequence:
            (image,) = contour.ContourImageSequence
            origin, row, column, spacing = places[image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber")]
            points = np.reshape([float(x) for x in contour.ContourData], (-1, 3))
            assert len(points) == contour.NumberOfContourPoints
            assert np.abs((points - origin) @ np.cross(row, column)).max() < 1e-4, "in the plane of the instance"
            i, j = (points - origin) @ row / spacing[1], (points - origin) @ column / spacing[0]
            k = round(float((np.linalg.inv(grid.matrix) @ [*points[0], 1])[2]))
            borders = borders_of(mask[k]) - 1
            distance, _ = cKDTree(borders).query(np.c_[i, j])
            assert distance.max() < 0.001, "half a pixel from the next centres, which is where the mask ends"
            count += 1
    assert count == 14


def borders_of(mask: np.ndarray) -> np.ndarray:
    """(N, 2) columns and rows half-way between neighbours of which one is inside."""
    down, along = np.argwhere(mask[1:] != mask[:-1]) + (0.5, 0), np.argwhere(mask[:, 1:] != mask[:, :-1]) + (0, 0.5)
    return np.concatenate([down, along])[:, ::-1]


def the_places(series: Path) -> dict[Any, Any]:
    """Origin, row, column and pixel spacing of each instance or frame."""
    found = {}
    for path in [series] if series.is_file() else series.iterdir():
        data = pydicom.dcmread(path)
        shared = data.SharedFunctionalGroupsSequence[0] if "NumberOfFrames" in data else None
        for n in range(int(data.get("NumberOfFrames", 1))):
            place, direction, measures = data, data, data
            if shared is not None:
                place = data.PerFrameFunctionalGroupsSequence[n].PlanePositionSequence[0]
                direction, measures = shared.PlaneOrientationSequence[0], shared.PixelMeasuresSequence[0]
            row, column = np.reshape([float(x) for x in direction.ImageOrientationPatient], (2, 3))
            origin, spacing = (
                [float(x) for x in values] for values in (place.ImagePositionPatient, measures.PixelSpacing)
            )
            number = n + 1 if shared is not None else None
            found[data.SOPInstanceUID, number] = np.array(origin), row, column, spacing
    return found


def test_it_refers_to_the_series_and_every_instance(tmp_path: Path) -> None:
    series = a_series(tmp_path / "s")
    written(tmp_path / "r.rtstruct.dcm", series, *some_labels())
    data = pydicom.dcmread(tmp_path / "r.rtstruct.dcm")
    source = [pydicom.dcmread(path) for path in series.iterdir()]
    (frame,) = data.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (found,) = study.RTReferencedSeriesSequence
    assert frame.FrameOfReferenceUID == source[0].FrameOfReferenceUID
    assert study.ReferencedSOPInstanceUID == source[0].StudyInstanceUID == data.StudyInstanceUID
    assert found.SeriesInstanceUID == source[0].SeriesInstanceUID
    assert {one.ReferencedSOPInstanceUID for one in found.ContourImageSequence} == {o.SOPInstanceUID for o in source}
    assert {len({d.ROINumber for d in data.StructureSetROISequence}), len(data.RTROIObservationsSequence)} == {2}


def a_square(
    k: float, left: float, size: float, kind: str = "CLOSED_PLANAR", matrix: np.ndarray | None = None
) -> Dataset:
    """A contour on slice k, whose first corner lies at column and row ``left``."""
    corners = np.array([[0, 0], [size, 0], [size, size], [0, size]]) + left
    points = np.c_[corners, np.full(4, k), np.ones(4)] @ (a_matrix() if matrix is None else matrix).T
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, 4
    item.ContourData = [f"{x:.2f}" for x in points[:, :3].ravel()]
    return item


def with_contours(tmp_path: Path, contours: Sequence[Dataset]) -> tuple[Path, Path, Any]:
    """A structure set of one region 'Segment_1' with these contours and another one that keeps its own."""
    series, path = a_series(tmp_path / "s"), tmp_path / "r.rtstruct.dcm"
    written(path, series, *some_labels())

    def change(data: Dataset) -> None:
        data.ROIContourSequence[0].ContourSequence = list(contours)

    saved(path, change)
    return series, path, read_image(series)[1]


def squares(*sides: tuple[int, int, int]) -> np.ndarray:
    """(K, J, I) with squares of voxels: slice, first and last row and column."""
    mask = np.zeros((9, 13, 17), bool)
    for k, first, last in sides:
        mask[k, first : last + 1, first : last + 1] ^= True
    return mask


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_holes_islands_and_gaps_between_slices(tmp_path: Path, kind: str) -> None:
    contours = [
        a_square(2, 0.6, 9, kind),
        a_square(2, 2.6, 5, kind),
        a_square(2, 4.6, 1, kind),
        a_square(6, 1.5, 3, kind),
    ]
    series, path, grid = with_contours(tmp_path, [*contours, a_square(6, 7.5, 2, kind)])
    mask = masks_of(read_painted(path, grid, series))[0]
    np.testing.assert_array_equal(mask, squares((2, 1, 9), (2, 3, 7), (2, 5, 5), (6, 2, 4), (6, 8, 9)))


def test_a_contour_that_is_listed_twice_is_there(tmp_path: Path) -> None:
    series, path, grid = with_contours(tmp_path, [a_square(2, 0.6, 9)] * 2)
    np.testing.assert_array_equal(masks_of(read_painted(path, grid, series))[0], squares((2, 1, 9)))


def test_open_contours_and_points_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    contours = [a_square(2, 0.6, 9), a_square(4, 0.6, 9, "OPEN_PLANAR"), a_square(5, 0.6, 9, "POINT")]
    series, path, grid = with_contours(tmp_path, contours)
    painted = read_painted(path, grid, series)
    np.testing.assert_array_equal(masks_of(painted)[0], squares((2, 1, 9)))
    assert painted.notes == (
        "Of 'Segment_1', contours were left out that are open or single points; only closed ones enclose anything (2).",
    )


def test_a_region_of_points_alone_is_no_segment(tmp_path: Path) -> None:
    series, path, grid = with_contours(tmp_path, [a_square(5, 0.6, 9, "POINT")])
    painted = read_painted(path, grid, series)
    assert [one.name for one in painted.segments] == ["Segment_2"] and len(painted.notes) == 1


def test_what_lies_outside_or_between_the_slices_is_left_out_with_a_sentence(tmp_path: Path) -> None:
    contours = [a_square(2, 9.6, 9), a_square(3, 0.6, 4), a_square(4.4, 0.6, 9), a_square(11, 0.6, 9)]
    contours += [a_square(3, 60, 4), a_square(5, -60, 4)]
    series, path, grid = with_contours(tmp_path, contours)
    painted = read_painted(path, grid, series)
    expected = squares((3, 1, 4))
    expected[2, 10:, 10:] = True
    np.testing.assert_array_equal(masks_of(painted)[0], expected)
    assert len(painted.notes) == 2
    assert "between the slices" in painted.notes[0] and "(1)" in painted.notes[0]
    assert "outside the image" in painted.notes[1] and "(4)" in painted.notes[1]


def test_contours_across_another_axis_of_the_volume_as_it_is_stored(tmp_path: Path) -> None:
    """The image was converted, and its axes run otherwise than the series'."""
    _, path, grid = with_contours(tmp_path, [a_square(2, 0.6, 9)])
    turned = type(grid).from_matrix(grid.size[::-1], grid.matrix[:, [2, 1, 0, 3]])
    mask = masks_of(read_painted(path, turned))[0]
    np.testing.assert_array_equal(mask.transpose(2, 1, 0), squares((2, 1, 9)))


def away(data: Dataset) -> None:
    for region in data.ROIContourSequence:
        for contour in region.ContourSequence:
            contour.ContourData = [float(x) + 500 for x in contour.ContourData]


def no_contours(data: Dataset) -> None:
    for region in data.ROIContourSequence:
        del region.ContourSequence


def elsewhere(data: Dataset) -> None:
    for region in data.StructureSetROISequence:
        region.ReferencedFrameOfReferenceUID = "1.2.99"


def odd(data: Dataset) -> None:
    data.ROIContourSequence[0].ContourSequence[0].ContourData = [1.0, 2.0, 3.0, 4.0]


def no_regions(data: Dataset) -> None:
    data.StructureSetROISequence, data.ROIContourSequence, data.RTROIObservationsSequence = [], [], []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (away, "No contour of the support lies on a slice"),
        (no_contours, "no closed contours"),
        (no_regions, "no closed contours"),
        (elsewhere, "another frame of reference"),
        (odd, "does not hold points"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    tmp_path: Path, change: Callable[[Dataset], None], words: str
) -> None:
    series, path = a_series(tmp_path / "s"), tmp_path / "r.rtstruct.dcm"
    grid = written(path, series, *some_labels())
    saved(path, change)
    with pytest.raises(InputError, match=words):
        read_painted(path, grid, series)
