"""Paint on a grid of its own stays there, voxel for voxel, and is filled there; slices are those of the volume."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import vtk

import slicer
from MetaSegmentLib import InputError
from MetaSegmentLib.pieces import drain
from MetaSegmentLib.scene import Session
from MetaSegmentLib.scene.geometry import voxels
from MetaSegmentLib.scene.paint_grid import paint_grid_of
from MetaSegmentLib.scene.slices import SliceEdits, painted_slices
from scene.bench import OBLIQUE, TURN
from scene.lasting import lasting_executor
from scene.nodes import (
    SHAPE,
    a_ball,
    a_rotation,
    add_segmentation,
    add_volume,
    affine,
    an_image,
    grid_matrix,
    only,
    oriented_image,
    paint,
)


def scaled(factors: tuple[float, float, float], shift: tuple[float, float, float] = (0, 0, 0)) -> Any:
    """(4, 4) from indices (i, j, k) of a grid so many times finer to those of the volume; whole voxels are divided."""
    matrix = np.diag([*(1 / f for f in factors), 1.0])
    matrix[:3, 3] = [(1 / f - 1) / 2 + s for f, s in zip(factors, shift, strict=True)]
    return matrix


TURNED_ROUND = np.array([[0, 0, 0.5, -0.25], [-0.5, 0, 0, 17.25], [0, 1, 0, 0], [0, 0, 0, 1.0]])
GRIDS = {
    "finer in the slice": (scaled((3, 2, 1)), (16, 36, 60)),
    "finer across the slices": (scaled((1, 1, 2)), (32, 18, 20)),
    "finer in all": (scaled((2, 2, 2)), (32, 36, 40)),
    "shifted by a part of a voxel": (scaled((1, 1, 1), (0.3, -0.4, 0.2)), SHAPE),
    "coarser in the slice": (scaled((0.5, 0.5, 1)), (16, 9, 10)),
    "other axes, one flipped": (TURNED_ROUND, (40, 16, 36)),
}


class Finer:
    """A volume and a ball that is painted on a grid of its own, on every third slice of the volume at least."""

    def __init__(self, scene: Any, between: Any, shape: tuple[int, ...], place: Any = OBLIQUE) -> None:
        self.volume = add_volume(scene, an_image(a_ball()), place, TURN)
        self.segmentation = add_segmentation(scene)
        self.matrix = grid_matrix(self.volume, self.segmentation) @ between
        k, j, i = np.indices(shape).reshape(3, -1)
        at = (between @ np.stack([i, j, k, np.ones_like(i)]))[2::-1]
        d = (at[0] - 8) ** 2 + (1.3 * (at[1] - 9)) ** 2 + (1.1 * (at[2] - 10) - 0.3 * (at[0] - 8)) ** 2
        self.ball = (d <= 36).reshape(shape)
        self.axis = 2 - int(np.abs(between[2, :3]).argmax())
        step, start = between[2, 2 - self.axis], between[2, 3]
        at_slice = np.floor(step * np.arange(shape[self.axis]) + start + 0.5 + 1e-6)
        self.own = [int(np.flatnonzero(at_slice == k)[-1]) for k in (4, 7, 10)]
        painted = np.zeros(shape, bool)
        np.moveaxis(painted, self.axis, 0)[self.own] = np.moveaxis(self.ball, self.axis, 0)[self.own]
        self.painted = painted
        self.add("ball", painted)
        self.session = Session()

    def add(self, name: str, mask: Any, matrix: Any = None) -> None:
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", oriented_image(mask, self.matrix if matrix is None else matrix))
        self.segmentation.GetSegmentation().AddSegment(segment, name)

    def run(self, **how: Any) -> Any:
        return self.session.process(self.volume, self.segmentation, method="shape", **how)

    def look(self, segmentation: Any = None, name: str = "ball") -> Any:
        """The segment on its own grid; its layer must be of that lattice."""
        segment = (segmentation or self.segmentation).GetSegmentation().GetSegment(name)
        layer = segment.GetRepresentation("Binary labelmap")
        matrix = vtk.vtkMatrix4x4()
        layer.GetImageToWorldMatrix(matrix)
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), self.matrix, atol=1e-6)
        i0, i1, j0, j1, k0, k1 = layer.GetExtent()
        whole = np.zeros(self.ball.shape, bool)
        whole[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1] = voxels(layer) == segment.GetLabelValue()
        return whole

    def on(self, mask: Any, slices: list[int]) -> Any:
        return np.moveaxis(mask, self.axis, 0)[slices]

    @property
    def rest(self) -> list[int]:
        return [k for k in range(self.ball.shape[self.axis]) if k not in self.own]


@pytest.fixture(params=GRIDS.values(), ids=GRIDS)
def finer(scene: Any, request: pytest.FixtureRequest) -> Finer:
    return Finer(scene, *request.param)


def test_paint_stays_voxel_for_voxel_and_the_rest_is_filled_on_its_grid(finer: Finer) -> None:
    result = finer.run()
    filled = finer.look()
    np.testing.assert_array_equal(finer.on(filled, finer.own), finer.on(finer.painted, finer.own))
    both = finer.on(filled & finer.ball, finer.rest).sum()
    assert 2 * both / (finer.on(filled, finer.rest).sum() + finer.on(finer.ball, finer.rest).sum()) > 0.8
    assert result.report["axis"] == 0 and result.report["support_slices"] == [4, 7, 10]
    assert result.report["segments"]["1"]["support_slices"] == [4, 7, 10]


def test_the_result_that_is_returned_is_in_voxels_of_the_volume(finer: Finer) -> None:
    result = finer.run()
    assert result.labels.shape == result.uncertainty.shape == result.probabilities.shape[1:] == SHAPE
    centres = np.indices(SHAPE).reshape(3, -1)[::-1]
    to_own = np.linalg.inv(finer.matrix) @ grid_matrix(finer.volume, finer.segmentation)
    at = (to_own @ np.concatenate([centres, np.ones((1, centres.shape[1]))]))[2::-1].round(6)
    at = np.clip(np.floor(at + 0.5).astype(int), 0, np.array(finer.ball.shape)[:, None] - 1)
    np.testing.assert_array_equal(result.labels.ravel() == 1, finer.look()[tuple(at)])


def test_a_second_run_changes_nothing(finer: Finer) -> None:
    finer.run()
    before = finer.look()
    assert finer.run().report["support_slices"] == [4, 7, 10]
    np.testing.assert_array_equal(finer.look(), before)


def test_a_run_in_the_background_does_the_same(scene: Any) -> None:
    finer = Finer(scene, *GRIDS["finer in all"])
    finer.session = Session(executor=lasting_executor())
    result = finer.run(wait=False).wait(timeout=100)
    assert result.report["support_slices"] == [4, 7, 10] and result.labels.shape == SHAPE
    np.testing.assert_array_equal(finer.on(finer.look(), finer.own), finer.on(finer.painted, finer.own))
    assert finer.on(finer.look(), finer.rest).any()


def test_slices_are_listed_and_changed_as_those_of_the_volume(finer: Finer) -> None:
    nodes = finer.volume, finer.segmentation
    assert [(row.axis, row.index) for row in painted_slices(*nodes).slices] == [(0, 4), (0, 7), (0, 10)]
    finer.run()
    overview = painted_slices(*nodes)
    assert [row.index for row in overview.slices] == [4, 7, 10]
    assert {5, 6, 8, 9} <= set(overview.filled["ball"])
    edits = SliceEdits(finer.session.editor)
    edits.accept(*nodes, "ball", 0, 6)
    assert [row.index for row in painted_slices(*nodes).slices] == [4, 6, 7, 10]
    edits.mark_empty(*nodes, "ball", 0, 14)
    edits.remove(*nodes, "ball", 0, 6)
    overview = painted_slices(*nodes)
    assert [(row.index, row.empty) for row in overview.slices] == [(4, False), (7, False), (10, False), (14, True)]
    _axis, gone = paint_grid_of(*nodes).from_volume(0, 6)
    assert not finer.on(finer.look(), gone).any()
    with pytest.raises(InputError, match="not filled in"):
        edits.accept(*nodes, "ball", 0, 15)


def test_slices_are_named_as_those_of_the_volume(finer: Finer) -> None:
    result = finer.run(slices=[4, 7, 10, 14])
    assert result.report["support_slices"] == [4, 7, 10, 14]
    np.testing.assert_array_equal(finer.on(finer.look(), finer.own), finer.on(finer.painted, finer.own))


@pytest.mark.parametrize("index", [-1, 99])
def test_a_slice_outside_the_volume_is_refused(finer: Finer, index: int) -> None:
    with pytest.raises(InputError, match=f"Slice {index} lies outside the volume"):
        finer.run(slices=[index])


def test_another_segmentation_gets_it_on_the_same_grid(scene: Any, finer: Finer) -> None:
    other = add_segmentation(scene)
    finer.run(output=other)
    np.testing.assert_array_equal(finer.look(), finer.painted)
    filled = finer.look(other)
    np.testing.assert_array_equal(finer.on(filled, finer.own), finer.on(finer.painted, finer.own))
    assert finer.on(filled, finer.rest).any()


def test_the_editable_intensity_range_holds(scene: Any, finer: Finer) -> None:
    editor = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.SetAndObserveSegmentationNode(finer.segmentation)
    editor.SetSourceVolumeIntensityMask(True)
    editor.SetSourceVolumeIntensityMaskRange(1000, 2000)
    finer.run()
    np.testing.assert_array_equal(finer.look(), finer.painted)


def test_the_image_is_interpolated_between_its_voxels(scene: Any) -> None:
    between, shape = GRIDS["finer in all"]
    k, j, i = np.indices(SHAPE)
    ramp = (100 * k + 40 * j - 20 * i).astype(np.int16)
    finer = Finer(scene, between, shape)
    volume = add_volume(scene, ramp, OBLIQUE, TURN)
    place = paint_grid_of(volume, finer.segmentation)
    steps = place.image_steps(volume)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        image = end.value
    k, j, i = np.indices(shape) / 2 - 0.25
    inside = (slice(1, -1),) * 3
    np.testing.assert_allclose(image[inside], (100 * k + 40 * j - 20 * i)[inside], atol=0.51)


def test_segments_on_two_grids_are_refused_by_name(scene: Any) -> None:
    finer = Finer(scene, *GRIDS["finer in all"])
    on_volume = a_ball()
    finer.add("other", on_volume, grid_matrix(finer.volume, finer.segmentation))
    with pytest.raises(InputError, match=r'"ball" and "other" lie on different voxel grids'):
        finer.run()
    np.testing.assert_array_equal(finer.look(), finer.painted)
    assert finer.run(segment_ids=["ball"]).report["support_slices"] == [4, 7, 10]


def test_a_grid_far_too_fine_is_refused(scene: Any) -> None:
    finer = Finer(scene, *GRIDS["finer in all"])
    finer.segmentation.GetSegmentation().RemoveSegment("ball")
    tiny = grid_matrix(finer.volume, finer.segmentation) @ scaled((60, 60, 60))
    finer.add("dust", np.ones((2, 2, 2), bool), tiny)
    with pytest.raises(InputError, match="far finer"):
        finer.run()


def test_paint_on_a_turned_grid_is_brought_onto_the_volumes_and_that_is_said(scene: Any) -> None:
    finer = Finer(scene, *GRIDS["finer in all"], place=np.eye(4))
    finer.segmentation.GetSegmentation().RemoveSegment("ball")
    block = np.ones((3, 30, 30), bool)
    finer.add(
        "block", block, grid_matrix(finer.volume, finer.segmentation) @ affine(a_rotation((0, 0, 20)) / 3, (5, 6, 7))
    )
    result = finer.run()
    assert any('"block"' in warning and "turned" in warning for warning in result.report["warnings"])


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "beside a neighbour"])
@pytest.mark.parametrize("cut", [(0, 0, 0), (1, 3, 4)], ids=["same first voxel", "cut out"])
def test_what_was_painted_beyond_the_volume_stays(scene: Any, cut: tuple[int, int, int], shared: bool) -> None:
    """As when a part of the painted scan is cut out, and that part is segmented."""
    size = (14, 12, 11)
    box = tuple(slice(c, c + n) for c, n in zip(cut, size, strict=True))
    ball, matrix = a_ball(), affine(np.diag([0.8, 0.7, 2.0]), (3, 4, 5))
    place = matrix @ affine(np.eye(3), cut[::-1])
    volume = add_volume(scene, an_image(ball)[box], place)
    segmentation = add_segmentation(scene)
    whole = np.zeros(SHAPE, np.uint8)
    whole[[5, 8, 11]] = ball[[5, 8, 11]]
    whole[2, :2], whole[8, :, 19] = 2, 2
    image = oriented_image(whole, matrix)
    segments = segmentation.GetSegmentation()
    for label, name in enumerate(["ball", "neighbour"][: 1 + shared], start=1):
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetLabelValue(label)
        segment.AddRepresentation("Binary labelmap", image)
        segments.AddSegment(segment, name)
    Session().process(volume, segmentation, segment_ids=["ball"], method="shape")

    def look(name: str) -> Any:
        segment = segments.GetSegment(name)
        layer = segment.GetRepresentation("Binary labelmap")
        np.testing.assert_array_equal(layer.GetOrigin(), image.GetOrigin())
        i0, i1, j0, j1, k0, k1 = layer.GetExtent()
        found = np.zeros(SHAPE, bool)
        found[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1] = voxels(layer) == segment.GetLabelValue()
        return found

    filled = look("ball")
    np.testing.assert_array_equal(filled[[5, 8, 11]], ball[[5, 8, 11]])
    outside = np.ones(SHAPE, bool)
    outside[box] = False
    np.testing.assert_array_equal(filled[outside], (whole == 1)[outside])
    assert filled[box].sum() > 1.5 * (whole == 1)[box].sum()
    if shared:
        np.testing.assert_array_equal(look("neighbour"), whole == 2)


def test_a_volume_that_was_moved_is_interpolated_anew(scene: Any) -> None:
    finer = Finer(scene, *GRIDS["finer in all"])
    noise = np.random.default_rng(0).normal(0, 100, SHAPE).astype(np.int16)
    slicer.util.updateVolumeFromArray(finer.volume, noise)
    finer.run()
    finer.volume.SetOrigin(*(np.array(finer.volume.GetOrigin()) + 0.05))  # the same voxels cover it
    finer.run()
    used = finer.session._here.engine._adapted._volume.array
    expected = drain(paint_grid_of(finer.volume, finer.segmentation).image_steps(finer.volume))
    np.testing.assert_array_equal(used, expected)


def test_an_empty_segment_has_no_grid(scene: Any) -> None:
    """Slicer lets a new segment share a layer, perhaps of a segment on another grid."""
    volume = add_volume(scene, an_image(a_ball()))
    segmentation = add_segmentation(scene)
    segments = segmentation.GetSegmentation()
    fine = oriented_image(np.kron(a_ball(), np.ones((2, 2, 2), bool)), affine(np.eye(3) / 2, (-0.25, -0.25, -0.25)))
    segment = slicer.vtkSegment()
    segment.AddRepresentation("Binary labelmap", fine)
    segments.AddSegment(segment, "fine")
    segmentation.CreateDefaultDisplayNodes()
    paint(segmentation, volume, "ball", only(a_ball(), 0, [5, 8, 11]))
    segments.AddEmptySegment("new", "new")
    assert segments.GetSegment("new").GetRepresentation("Binary labelmap").GetDimensions() == fine.GetDimensions()
    for segment_ids in (["ball", "new"], ["new", "ball"]):
        chosen = [segments.GetSegment(i) for i in segment_ids]
        assert paint_grid_of(volume, segmentation, chosen).is_volumes
    segmentation.GetDisplayNode().SetSegmentVisibility("fine", False)
    assert Session().process(volume, segmentation, method="shape").report["support_slices"] == [5, 8, 11]
    with pytest.raises(InputError, match="different voxel grids"):
        paint_grid_of(volume, segmentation, [segments.GetSegment(i) for i in ("new", "ball", "fine")])


def test_what_lies_outside_the_volume_on_a_turned_grid_is_not_lost(scene: Any) -> None:
    volume, segmentation, other = (
        add_volume(scene, an_image(a_ball())),
        add_segmentation(scene),
        add_segmentation(scene),
    )
    wide = np.zeros((16, 40, 40), bool)
    wide[:, 10:28, 10:30] = a_ball()
    painted = only(wide, 0, [5, 8, 11])
    painted[5, :5, :8] = True  # outside
    segment = slicer.vtkSegment()
    image = oriented_image(painted, affine(a_rotation((0, 0, 4)), (-10, -10, 0)))
    segment.AddRepresentation("Binary labelmap", image)
    segments = segmentation.GetSegmentation()
    segments.AddSegment(segment, "ball")
    session = Session()
    with pytest.raises(InputError, match="where it would be lost"):
        session.process(volume, segmentation, method="shape")
    assert voxels(segments.GetSegment("ball").GetRepresentation("Binary labelmap")).sum() == painted.sum()
    assert session.process(volume, segmentation, method="shape", output=other).labels.any()
