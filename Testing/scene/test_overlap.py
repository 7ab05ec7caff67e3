"""Segments that overlap where they are painted: each is filled as if it were alone, in one run and one undo step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import slicer
from MetaSegmentLib import Cancelled, InputError, Result
from MetaSegmentLib.answer.layers import merge_steps
from MetaSegmentLib.executors import InProcessExecutor
from MetaSegmentLib.pieces import drain
from MetaSegmentLib.scene import Session
from MetaSegmentLib.scene.reader import read_painting
from MetaSegmentLib.scene.record import TAG
from MetaSegmentLib.settings import DEFAULT_METHOD
from scene.bench import BALL, SUPPORT, Bench
from scene.lasting import lasting_executor
from scene.nodes import SHAPE, a_ball, only, repaint

CORE = a_ball(radius=4)
OWN = [6, 8, 10]
"""Slices of the core; the middle one is the ball's, too."""
BOX = np.zeros(SHAPE, bool)
BOX[3:13, 1:4, 1:5] = True
FORMS = {
    "at once": (None, True),
    "thread": (InProcessExecutor, False),
    "process": (lasting_executor, False),
}


@pytest.fixture
def both(bench: Bench) -> Bench:
    """The ball and, inside it, its core; beside them a box that is painted where the ball is."""
    bench.paint("core", only(CORE, 0, OWN))
    bench.paint("box", only(BOX, 0, SUPPORT))
    return bench


def run_in(bench: Bench, form: str, **options: Any) -> Result:
    executor, wait = FORMS[form]
    if executor is not None:
        bench.session = Session(executor=executor())
    made = bench.run(wait=wait, **options)
    return made if isinstance(made, Result) else made.wait(120)


def alone(scene: Any, names: list[str], masks: list[Any], method: str = "shape") -> Result:
    """Of segments in a scene of their own."""
    bench = Bench(scene)
    bench.segments.RemoveSegment(bench.ball)
    for name, mask in zip(names, masks, strict=True):
        bench.paint(name, mask)
    return bench.run(method)


def test_a_segment_joins_the_first_layer_in_which_it_lies_over_no_other(both: Bench) -> None:
    both.paint("shell", only(BALL & ~CORE, 0, SUPPORT))
    both.paint("again", only(CORE, 0, [8]))
    painting = read_painting(both.volume, both.segmentation)
    assert painting.layer_of == {1: 0, 2: 1, 3: 0, 4: 1, 5: 2}
    for layer, labels in enumerate(painting.layers):
        assert set(np.unique(labels)) == {0, *(label for label, where in painting.layer_of.items() if where == layer)}


def test_a_single_layer_where_nothing_overlaps(bench: Bench) -> None:
    bench.paint("core", only(CORE, 0, [6, 10]))
    painting = read_painting(bench.volume, bench.segmentation)
    np.testing.assert_array_equal(painting.layers, [only(BALL, 0, SUPPORT) + 2 * only(CORE, 0, [6, 10])])
    result = bench.run()
    assert result.layers == () and set(np.unique(result.labels)) == {0, 1, 2}
    np.testing.assert_array_equal(result.mask(2), result.labels == 2)


@pytest.mark.parametrize(("form", "method"), [*((form, "shape") for form in FORMS), ("process", DEFAULT_METHOD)])
def test_each_is_filled_as_if_it_were_alone(scene: Any, both: Bench, form: str, method: str) -> None:
    paint = {name: both.look(name) for name in ("ball", "core", "box")}
    first = alone(scene, ["ball", "box"], [paint["ball"], paint["box"]], method)
    second = alone(scene, ["core"], [paint["core"]], method)
    result = run_in(both, form, method=method)
    expected = {"ball": first.labels == 1, "core": second.labels == 1, "box": first.labels == 2}
    assert (expected["ball"] & expected["core"] & ~(paint["ball"] & paint["core"])).any()
    for label, (name, mask) in enumerate(expected.items(), start=1):
        np.testing.assert_array_equal(result.mask(label), mask, err_msg=name)
        np.testing.assert_array_equal(both.look(name), mask, err_msg=name)
        likely = result.probabilities[label] > 0.5
        assert 2 * (likely & mask).sum() > 0.9 * (likely.sum() + mask.sum()), name
    for name, own in (("ball", SUPPORT), ("core", OWN), ("box", SUPPORT)):
        np.testing.assert_array_equal(both.look(name)[own], paint[name][own])
    report = result.report
    assert [segment["name"] for segment in report["segments"].values()] == ["ball", "core", "box"]
    assert report["segments"]["2"]["support_slices"] == OWN and report["support_slices"] == [5, 6, 8, 10, 11]
    dice = first.estimated_dice
    assert result.estimated_dice == {1: dice[1], 2: second.estimated_dice[1], 3: dice[2]}
    np.testing.assert_array_equal(result.uncertainty, np.maximum(first.uncertainty, second.uncertainty))
    assert result.probabilities.shape == (4, *SHAPE)
    assert both.session.undo() and not both.session.undo()
    for name, mask in paint.items():
        np.testing.assert_array_equal(both.look(name), mask)
        assert not both.segments.GetSegment(name).HasTag(TAG)


def test_a_second_run_gives_the_same_and_a_correction_is_learned_from(scene: Any, both: Bench) -> None:
    first = both.run()
    second = both.run()
    np.testing.assert_array_equal(second.layers, first.layers)
    edited = both.look("core")
    edited[9] = np.roll(edited[9], 1, axis=0)
    repaint(both.segmentation, both.volume, "core", edited)
    corrected = both.run()
    assert corrected.report["segments"]["2"]["support_slices"] == [6, 8, 9, 10]
    np.testing.assert_array_equal(corrected.mask(1), first.mask(1))
    fresh = alone(scene, ["core"], [only(edited, 0, [6, 8, 9, 10])])
    np.testing.assert_array_equal(both.look("core"), fresh.labels == 1)


def test_where_overlap_is_not_allowed_only_paint_is_shared(both: Bench) -> None:
    paint = {name: both.look(name) for name in ("ball", "core")}
    both.user_editor().SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    result = both.run()
    ball, core = both.look("ball"), both.look("core")
    np.testing.assert_array_equal(ball & core, only(paint["ball"] & paint["core"], 0, [8]))
    np.testing.assert_array_equal(ball[SUPPORT], paint["ball"][SUPPORT])
    np.testing.assert_array_equal(core[OWN], paint["core"][OWN])
    np.testing.assert_array_equal(ball | core, result.mask(1) | result.mask(2))
    np.testing.assert_array_equal(result.labels == 2, core & ~(ball & core) | (ball & core))
    lost = (result.mask(1) & ~ball).sum() + (result.mask(2) & ~core).sum()
    assert result.report["written"]["left_to_others_ml"] == pytest.approx(lost * 0.8 * 0.8 * 2.0 / 1000) and lost


def test_masks_limit_what_is_filled_in_every_layer(both: Bench) -> None:
    paint = {name: both.look(name) for name in ("ball", "core")}
    editor = both.user_editor()
    editor.SetOverwriteMode(editor.OverwriteNone)
    both.segmentation.GetDisplayNode().SetSegmentVisibility("box", False)
    half = np.zeros(SHAPE, bool)
    half[:, :9] = True
    both.paint("half", half)
    editor.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    editor.SetMaskSegmentID("half")
    result = both.run(segment_ids=["ball", "core"])
    for label, (name, own) in enumerate((("ball", SUPPORT), ("core", OWN)), start=1):
        free = half.copy()
        free[own] = True
        np.testing.assert_array_equal(both.look(name), result.mask(label) & free)
        assert (result.mask(label) & ~free).any() and (both.look(name)[own] == paint[name][own]).all()


@pytest.mark.parametrize("form", FORMS)
def test_cancelled_in_the_second_layer(both: Bench, form: str) -> None:
    stages: list[tuple[str, int]] = []

    def second() -> bool:
        """The first stage has begun twice."""
        return stages.count(stages[0]) > 1 if stages else False

    def progress(stage: str, done: int, _total: int, _eta: float | None) -> None:
        stages.append((stage, done))

    with pytest.raises(Cancelled):
        run_in(both, form, progress=progress, cancel=second)
    assert second() and both.is_untouched() and not both.session.undo()
    assert run_in(both, form).layers


@pytest.mark.parametrize("form", ["thread", "process"])
def test_all_layers_are_computed_on_the_voxels_that_were_read(both: Bench, form: str) -> None:
    expected = both.run(method="propagation")
    both.session.undo()

    def progress(*_: Any) -> None:
        image = both.volume.GetImageData()
        image.GetPointData().GetScalars().Fill(0)
        image.Modified()

    result = run_in(both, form, method="propagation", progress=progress)
    np.testing.assert_array_equal(result.layers, expected.layers)


def test_paint_across_different_axes_is_refused(both: Bench) -> None:
    both.segments.RemoveSegment("core")
    both.paint("across", only(BALL, 1, [6, 9, 12]))
    with pytest.raises(InputError, match="paint of 'across' lies on slices of axis 1, not of axis 0; segment it alone"):
        both.run()
    assert both.is_untouched()


def test_what_a_layer_does_not_tell_of_the_axis_the_others_do(bench: Bench) -> None:
    cube = np.zeros(SHAPE, bool)
    cube[7:10, 8:11, 9:12] = True
    bench.paint("cube", cube)
    result = bench.run()
    assert result.report["axis"] == 0 and result.report["segments"]["2"]["support_slices"] == [7, 8, 9]


@pytest.mark.parametrize("first", ["ball", "core"])
def test_what_overlaps_beside_the_named_slices_is_left_out_with_a_sentence(bench: Bench, first: str) -> None:
    masks = {"ball": bench.painted | only(BALL, 0, [13]), "core": only(CORE, 0, [10]) | only(BALL, 0, [13])}
    bench.segments.RemoveSegment(bench.ball)
    for name in sorted(masks, key=lambda name: name != first):
        bench.paint(name, masks[name])
    result = bench.run(slices=SUPPORT)
    assert [segment["name"] for segment in result.report["segments"].values()] == ["ball"]
    assert any("'core' is left out" in sentence for sentence in result.report["warnings"])
    np.testing.assert_array_equal(bench.look("core"), masks["core"])
    assert (bench.look("ball")[SUPPORT] == masks["ball"][SUPPORT]).all() and bench.look("ball")[7].any()


def test_slices_named_for_segments_across_different_axes_are_refused(bench: Bench) -> None:
    bench.paint("core", only(CORE, 2, [9, 11, 13]))
    before = bench.look("core")
    with pytest.raises(InputError, match="different axes"):
        bench.run(slices=[5, 8, 9, 11])
    assert bench.is_untouched() and np.array_equal(bench.look("core"), before)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_merged_labels_are_of_the_paint_and_then_of_the_later_layer(axis: int) -> None:
    full = np.ones((3, 3, 3), np.uint8)
    results = [
        Result(full * n, full / np.float16(n + 1), {n: n / 10}, [], a_report(axis, n, support))
        for n, support in ((1, [0, 1]), (2, [1]))
    ]
    merged = drain(merge_steps(results))
    np.testing.assert_array_equal(np.moveaxis(merged.labels, axis, 0)[:, 0, 0], [1, 2, 2])
    assert merged.mask(1).all() and merged.mask(2).all() and merged.estimated_dice == {1: 0.1, 2: 0.2}
    assert (merged.uncertainty == 0.5).all() and merged.compute_probabilities is None


def a_report(axis: int, value: int, support: list[int]) -> dict[str, Any]:
    lists: dict[str, Any] = {"warnings": [], "suggested_slices": [], "support_slices": support}
    return {"axis": axis, "segments": {str(value): {"support_slices": support}}, "seconds": {}, **lists} | {
        "peak_memory_mb": None
    }
