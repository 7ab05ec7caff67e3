"""Painted segments as label maps and as Slicer's own files, which Slicer's own classes write and read here."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MetaSegmentLib import InputError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.segmentations import Painted, plain_segment, read_painted, write_segmentation

slicerio = pytest.importorskip("slicerio")

GRID = Grid((30, 24, 20), (10.0, -20.0, 30.0), (1.0, 1.5, 3.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
LIVER = (
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
    "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
)
SAMPLES = Path(slicerio.__file__).parent / "data"


def paint_box(corner: tuple[int, int, int], size: tuple[int, int, int]) -> np.ndarray:
    """A painted box on GRID, all in array order."""
    mask = np.zeros(GRID.array_shape, np.uint8)
    mask[tuple(slice(start, start + n) for start, n in zip(corner, size, strict=True))] = 1
    return mask


@pytest.fixture(scope="module")
def slicer() -> Any:
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")
    return pytest.importorskip("slicer")


@pytest.fixture
def scene(slicer: Any) -> Any:
    scene = slicer.vtkMRMLScene()
    # It knows the conversions, and so which of their parameters a segmentation may have.
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    yield scene
    logic.SetMRMLScene(None)
    scene.Clear(True)


def save_with_slicer(slicer: Any, scene: Any, path: Path, segments: dict[str, np.ndarray]) -> None:
    """Let Slicer write a ``.seg.nrrd``: it crops to what is painted and puts overlapping segments into layers."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for name, mask in segments.items():
        image = slicer.vtkOrientedImageData()
        image.SetDimensions(*GRID.size)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        to_ras = vtk.vtkMatrix4x4()
        to_ras.DeepCopy((np.diag([-1.0, -1.0, 1.0, 1.0]) @ GRID.matrix).ravel().tolist())
        image.SetImageToWorldMatrix(to_ras)
        vtk_to_numpy(image.GetPointData().GetScalars()).reshape(mask.shape)[:] = mask
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetColor(0.1, 0.2, 0.3)
        segment.SetTag("TerminologyEntry", LIVER)
        segment.SetTag("Reader", "first")
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment, f"id of {name}")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.WriteData(node)


def load_with_slicer(slicer: Any, scene: Any, path: Path) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    return node.GetSegmentation()


def masks_of(painted: Painted) -> dict[str, np.ndarray]:
    return {segment.name: painted.layers[segment.layer] == segment.value for segment in painted.segments}


SIDE_BY_SIDE = {"liver": paint_box((3, 4, 5), (2, 3, 4)), "spleen": paint_box((3, 12, 9), (5, 3, 4))}
OVERLAPPING = {"liver": paint_box((3, 4, 5), (6, 8, 4)), "tumour": paint_box((4, 5, 7), (2, 3, 9))}


@pytest.mark.parametrize(("segments", "layers"), [(SIDE_BY_SIDE, 1), (OVERLAPPING, 2)])
def test_what_slicer_saved_lies_where_it_was_painted(
    slicer: Any, scene: Any, tmp_path: Path, segments: dict[str, np.ndarray], layers: int
) -> None:
    save_with_slicer(slicer, scene, tmp_path / "a.seg.nrrd", segments)
    stored = slicerio.read_segmentation(str(tmp_path / "a.seg.nrrd"))["voxels"]
    assert stored.size < layers * np.prod(GRID.size), "Slicer saves a part of the grid; else this tests nothing"
    painted = read_painted(tmp_path / "a.seg.nrrd", GRID)
    assert len(painted.layers) == layers
    assert len({segment.value for segment in painted.segments}) == len(segments)
    for name, mask in masks_of(painted).items():
        assert np.array_equal(mask, segments[name] > 0)


def test_slicer_reads_back_names_colours_and_terminology(slicer: Any, scene: Any, tmp_path: Path) -> None:
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    save_with_slicer(slicer, scene, tmp_path / "a.seg.nrrd", OVERLAPPING)
    painted = read_painted(tmp_path / "a.seg.nrrd", GRID)
    write_segmentation(tmp_path / "b.seg.nrrd", painted.layers, painted.segments, GRID)
    segmentation = load_with_slicer(slicer, scene, tmp_path / "b.seg.nrrd")
    reference = segmentation.GetConversionParameter("Reference image geometry")
    numbers = [float(number) for number in reference.split(";") if number]
    assert np.allclose(numbers[:16], (np.diag([-1.0, -1.0, 1.0, 1.0]) @ GRID.matrix).ravel())
    assert numbers[16:] == [0, 29, 0, 23, 0, 19]
    assert segmentation.GetNumberOfSegments() == len(OVERLAPPING)
    for number, (name, mask) in enumerate(OVERLAPPING.items()):
        segment = segmentation.GetNthSegment(number)
        assert segmentation.GetNthSegmentID(number) == f"id of {name}"
        assert segment.GetName() == name
        assert segment.GetColor() == (0.1, 0.2, 0.3)
        for tag, expected in (("TerminologyEntry", LIVER), ("Reader", "first")):
            value = vtk.mutable("")
            assert segment.GetTag(tag, value)
            assert str(value) == expected
        image = segment.GetRepresentation("Binary labelmap")
        assert image.GetDimensions() == GRID.size
        to_ras = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(to_ras)
        elements = np.array([[to_ras.GetElement(row, column) for column in range(4)] for row in range(4)])
        assert np.allclose(elements, np.diag([-1.0, -1.0, 1.0, 1.0]) @ GRID.matrix)
        array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(mask.shape)
        assert np.array_equal(array == segment.GetLabelValue(), mask > 0)


def test_layers_that_do_not_overlap_become_one(tmp_path: Path) -> None:
    layers = [mask * np.uint8(value) for value, mask in enumerate(SIDE_BY_SIDE.values(), start=1)]
    plain = read_painted(_label_map(tmp_path, layers[0] + layers[1]), GRID).segments
    segments = [replace(segment, layer=number) for number, segment in enumerate(plain)]
    write_segmentation(tmp_path / "a.seg.nrrd", layers, segments, GRID)
    assert len(read_painted(tmp_path / "a.seg.nrrd", GRID).layers) == 1


def test_segments_that_share_a_label_in_different_layers_are_told_apart() -> None:
    sample = SAMPLES / "SegmentationOverlapping.seg.nrrd"
    stored = slicerio.read_segmentation(str(sample))
    grid = Grid.from_matrix(stored["voxels"].shape[1:], stored["ijkToLPS"])
    painted = read_painted(sample, grid)
    assert [segment.name for segment in painted.segments] == slicerio.segment_names(stored)
    for name, mask in masks_of(painted).items():
        assert np.array_equal(mask.transpose(2, 1, 0), slicerio.segment_mask(stored, name))


def _label_map(folder: Path, labels: np.ndarray, grid: Grid = GRID) -> Path:
    write_image(folder / "labels.nrrd", labels, grid)
    return folder / "labels.nrrd"


def test_a_label_map_becomes_named_and_coloured_segments(tmp_path: Path) -> None:
    labels = paint_box((3, 4, 5), (2, 3, 4)) * np.uint8(7) + paint_box((9, 4, 5), (2, 3, 4)) * np.uint8(200)
    painted = read_painted(_label_map(tmp_path, labels), GRID)
    assert [(segment.value, segment.name) for segment in painted.segments] == [(7, "Segment_7"), (200, "Segment_200")]
    write_segmentation(tmp_path / "a.seg.nrrd", painted.layers, painted.segments, GRID)
    again = read_painted(tmp_path / "a.seg.nrrd", GRID)
    assert np.array_equal(again.layers[0], labels)
    assert again.segments[0].fields["color"] != again.segments[1].fields["color"]


def test_equal_results_are_equal_files_whenever_they_were_written(tmp_path: Path) -> None:
    painted = read_painted(_label_map(tmp_path, paint_box((3, 4, 5), (2, 3, 4))), GRID)
    write_segmentation(tmp_path / "a.seg.nrrd", painted.layers, painted.segments, GRID)
    header = (tmp_path / "a.seg.nrrd").read_bytes().partition(b"\n\n")[0].decode()
    assert not re.search(r"\d\d:\d\d", header)


def test_chosen_segments_by_name_or_label(tmp_path: Path) -> None:
    labels = paint_box((3, 4, 5), (2, 3, 4)) * np.uint8(7) + paint_box((9, 4, 5), (2, 3, 4)) * np.uint8(9)
    painted = read_painted(_label_map(tmp_path, labels), GRID)
    for word in ("7", "Segment_7"):
        chosen = painted.only([word])
        assert [segment.value for segment in chosen.segments] == [7]
        assert np.array_equal(np.unique(chosen.layers[0]), [0, 7])
    with pytest.raises(InputError, match=r"no segment 'liver'; it has: Segment_7 \(7\), Segment_9 \(9\)"):
        painted.only(["liver"])


def test_a_part_of_the_grid_may_stick_out_of_the_image_where_nothing_is_painted(tmp_path: Path) -> None:
    wide = replace(GRID, size=(40, 30, 30), origin=tuple((GRID.matrix @ [-3, -4, -5, 1])[:3]))
    labels = np.zeros(wide.array_shape, np.uint8)
    labels[5 + 3, 4 + 7, 3 + 9] = 1
    segments = read_painted(_label_map(tmp_path, labels, wide), wide).segments
    write_segmentation(tmp_path / "a.seg.nrrd", [labels], segments, wide)
    painted = read_painted(tmp_path / "a.seg.nrrd", GRID)
    assert np.argwhere(painted.layers[0]).tolist() == [[3, 7, 9]]
    labels[0, 0, 0] = 1
    write_segmentation(tmp_path / "b.seg.nrrd", [labels], segments, wide)
    with pytest.raises(InputError, match="outside the image"):
        read_painted(tmp_path / "b.seg.nrrd", GRID)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"size": (30, 24, 19)}, "size is 30 × 24 × 19"),
        ({"spacing": (1.0, 1.5, 2.0)}, "spacing"),
        ({"origin": (10.0, -20.0, 33.0)}, "first voxel is 3 mm"),
        ({"direction": tuple(np.eye(3).ravel())}, "directions"),
    ],
)
def test_a_label_map_on_another_grid_is_refused_and_told_what_differs(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    other = replace(GRID, **changed)
    labels = np.ones(other.array_shape, np.uint8)
    with pytest.raises(InputError, match=words):
        read_painted(_label_map(tmp_path, labels, other), GRID)


@pytest.mark.parametrize("content", [b"", b"not a segmentation", b"NRRD0004\ntype: unsigned char\n"])
def test_a_wrong_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.seg.nrrd").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_painted(tmp_path / "a.seg.nrrd", GRID)


def test_a_cut_segmentation_is_refused(tmp_path: Path) -> None:
    content = (SAMPLES / "Segmentation.seg.nrrd").read_bytes()
    (tmp_path / "a.seg.nrrd").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InputError, match="cannot be read"):
        read_painted(tmp_path / "a.seg.nrrd", GRID)


def test_fractions_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not whole"):
        read_painted(_label_map(tmp_path, paint_box((3, 4, 5), (2, 3, 4)) * np.float32(0.5)), GRID)


def test_labels_stored_as_floats_are_labels(tmp_path: Path) -> None:
    painted = read_painted(_label_map(tmp_path, paint_box((3, 4, 5), (2, 3, 4)) * np.float32(3)), GRID)
    assert [segment.value for segment in painted.segments] == [3]
    write_segmentation(tmp_path / "b.nii.gz", [painted.layers[0].astype(np.uint8)], painted.segments, GRID)
    assert np.array_equal(read_image(tmp_path / "b.nii.gz")[0], painted.layers[0])


def test_a_segmentation_without_paint_is_called_that_whatever_its_grid(tmp_path: Path) -> None:
    """Slicer stores no paint as a single voxel of 1 mm."""
    elsewhere = Grid((1, 1, 1), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), tuple(np.eye(3).ravel()))
    write_segmentation(tmp_path / "a.seg.nrrd", [np.zeros((1, 1, 1), np.uint8)], [plain_segment(1)], elsewhere)
    with pytest.raises(InputError, match="Nothing is painted"):
        read_painted(tmp_path / "a.seg.nrrd", GRID)


@pytest.mark.parametrize("values", [[0, np.inf], [0, np.nan], [0, 1 / 255]], ids=["infinity", "no number", "tiny"])
def test_what_is_no_label_is_not_called_unpainted(tmp_path: Path, values: list[float]) -> None:
    labels = np.array(values, np.float32)[paint_box((3, 4, 5), (2, 3, 4)).astype(int)]
    with pytest.raises(InputError, match="not whole"):
        read_painted(_label_map(tmp_path, labels), GRID)


def test_a_renamed_segmentation_keeps_names_and_layers(tmp_path: Path) -> None:
    first, second = paint_box((3, 4, 5), (2, 3, 4)), paint_box((4, 4, 5), (2, 3, 4)) * np.uint8(2)
    segments = [plain_segment(1, "größer"), replace(plain_segment(2, "b"), layer=1)]
    write_segmentation(tmp_path / "a.seg.nrrd", [first, second], segments, GRID)
    (tmp_path / "a.seg.nrrd").rename(tmp_path / "a.seg (1).nrrd")
    painted = read_painted(tmp_path / "a.seg (1).nrrd", GRID)
    assert [segment.name for segment in painted.segments] == ["größer", "b"]
    assert [np.count_nonzero(layer) for layer in painted.layers] == [np.count_nonzero(x) for x in (first, second)]


def test_a_label_map_with_another_one_s_header_loses_no_paint(tmp_path: Path) -> None:
    labels = paint_box((3, 4, 5), (2, 3, 4)) * np.uint8(7)
    write_segmentation(tmp_path / "a.seg.nrrd", [labels], [plain_segment(1, "stale")], GRID)
    (tmp_path / "a.seg.nrrd").rename(tmp_path / "a.nrrd")
    painted = read_painted(tmp_path / "a.nrrd", GRID)
    assert [segment.value for segment in painted.segments] == [7]
    assert np.array_equal(painted.layers[0], labels)
