"""How long the thread that owns the scene is held while a CT of 512 × 512 × 400 is read, looked at and written.

    python Testing/benchmarks/responsiveness.py

prints for every stage how many pieces it is done in, how long all of them take and how long the longest one takes, in
milliseconds: by the clock, and in processor time of the thread, which does not count what other programs take from it.
Not collected by pytest: a busy machine must not fail a test.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "MetaSegment"), str(REPOSITORY / "Testing")]
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

from MetaSegmentLib.scene.runtime import current_scene  # noqa: E402

current_scene()

import slicer  # noqa: E402
from MetaSegmentLib.pieces import Steps, copy_steps  # noqa: E402
from MetaSegmentLib.scene.editor import Editor  # noqa: E402
from MetaSegmentLib.scene.reader import read_painting_steps  # noqa: E402
from MetaSegmentLib.scene.rules import EditRules  # noqa: E402
from MetaSegmentLib.scene.slices import SliceEdits, SliceList  # noqa: E402
from MetaSegmentLib.scene.views import show_uncertainty_steps  # noqa: E402
from MetaSegmentLib.scene.writer import write_result_steps  # noqa: E402
from MetaSegmentLib.settings import Result  # noqa: E402
from scene.nodes import a_rotation, add_segmentation, add_volume, affine, only, paint  # noqa: E402

CT = (400, 512, 512)
OBLIQUE = affine(a_rotation((3, 4, 5)) @ np.diag([-0.7, -0.7, 1.0]))
SLICES = [120, 160, 200, 240, 280]


Took = list[tuple[float, float]]
"""Milliseconds of every piece, by the clock and of the processor."""


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    clock, processor = time.perf_counter(), time.thread_time()
    result = work()
    return result, (1000 * (time.perf_counter() - clock), 1000 * (time.thread_time() - processor))


def pieces(steps: Steps[Any]) -> tuple[Any, Took]:
    """What the steps return, and how long each piece took."""
    took: Took = []
    result: list[Any] = []

    def piece() -> bool:
        try:
            next(steps)
        except StopIteration as end:
            result.append(end.value)
        return not result

    while not result:
        _, milliseconds = timed(piece)
        took.append(milliseconds)
    return result[0], took


def an_organ(centre: tuple[int, int, int], size: tuple[int, int, int]) -> Any:
    """(K, J, I): an ellipsoid in a box of ``size`` voxels."""
    mask = np.zeros(CT, bool)
    k, j, i = np.ogrid[tuple(slice(-1, 1, complex(0, n)) for n in size)]
    box = tuple(slice(c - n // 2, c - n // 2 + n) for c, n in zip(centre, size, strict=True))
    mask[box] = k * k + j * j + i * i < 1
    return mask


def a_body() -> Any:
    """(K, J, I): all but a margin in the plane, on every slice."""
    mask = np.zeros(CT, bool)
    mask[:, 1:-1, 1:-1] = True
    return mask


LIVER = ((200, 225, 250), (200, 250, 200))


def scenes(scene: Any, only_these: list[str]) -> dict[str, Callable[[], tuple[Any, dict[str, Any]]]]:
    """By name: what makes a segmentation node, and the mask of each segment that the result has."""
    volume = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

    def painted(masks: dict[str, Any], every_slice: bool = False, shared: bool = False) -> tuple[Any, dict[str, Any]]:
        segmentation = add_segmentation(scene)
        for name, mask in masks.items():
            paint(segmentation, volume, name, mask if every_slice else only(mask, 0, SLICES), cropped=True)
        if shared:
            segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
            assert segmentation.GetSegmentation().GetNumberOfLayers() == 1
        return segmentation, masks

    def beside(n: int) -> Any:
        return an_organ((200, 100 + 110 * n, 250), (200, 100, 200))

    made = {
        "an organ of 10 million voxels": lambda: painted({"liver": an_organ(*LIVER)}),
        "three organs in a shared layer": lambda: painted({f"organ {n}": beside(n) for n in range(3)}, shared=True),
        "the whole volume on five slices": lambda: painted({"body": a_body()}),
        "the whole volume on every slice": lambda: painted({"body": a_body()}, every_slice=True),
    }
    return {name: make for name, make in made.items() if not only_these or any(o in name for o in only_these)}


def measure(volume: Any, segmentation: Any, masks: dict[str, Any], masked: bool) -> dict[str, Took]:
    """How long every piece took, by stage."""
    took: dict[str, Took] = {}
    listing, editor = SliceList(), Editor()
    _, took["look at the paint"] = pieces(listing.look_steps(volume, segmentation))
    painting, took["read the paint"] = pieces(read_painting_steps(volume, segmentation))
    _, took["copy the volume"] = pieces(copy_steps(painting.image, np.empty_like(painting.image)))
    labels = np.zeros(CT, np.uint8)
    for label, mask in enumerate(masks.values(), start=1):
        labels[mask] = label
    uncertainty = (labels * np.float16(0.1)).astype(np.float16)
    slices = painting.slices if isinstance(painting.slices, dict) else {}
    segments = {str(label): {"support_slices": slices.get(label, SLICES)} for label in painting.names}
    result = Result(labels, uncertainty, {}, [], {"axis": 0, "segments": segments})
    node = None
    if masked:
        node = slicer.vtkMRMLSegmentEditorNode()
        segmentation.GetScene().AddNode(node)
        node.SetAndObserveSegmentationNode(segmentation)
        node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
        node.SetSourceVolumeIntensityMask(True)
        node.SetSourceVolumeIntensityMaskRange(-500, 2000)
    rules = EditRules(node, volume)
    nodes = (painting, result, volume, segmentation, segmentation, rules, editor)
    _, took["write the result"] = pieces(write_result_steps(*nodes))
    _, took["look at the result"] = pieces(listing.look_steps(volume, segmentation))
    _, took["read paint and result"] = pieces(read_painting_steps(volume, segmentation))
    _, took["write once more"] = pieces(write_result_steps(*nodes, same_step=True))
    _, took["show the uncertainty"] = pieces(show_uncertainty_steps(volume, uncertainty))
    edits, first = SliceEdits(editor), next(iter(masks))
    took["remove a slice (at once)"] = [timed(lambda: edits.remove(volume, segmentation, first, 0, 160))[1]]
    took["undo (Slicer's own)"] = [timed(editor.undo)[1]]
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORDS", help="scenes whose name has these words"
    )
    parser.add_argument("--masked", action="store_true", help="with Slicer's masking settings")
    options = parser.parse_args()
    scene = current_scene()
    volume = add_volume(scene, np.random.default_rng(0).integers(-1000, 1000, CT, dtype=np.int16), OBLIQUE)
    for name, make in scenes(scene, options.only).items():
        segmentation, masks = make()
        print(f"\n{name}\n  {'stage':26} {'pieces':>6} {'all, ms':>9} {'longest, ms':>12} {'processor':>9}")
        for stage, took in measure(volume, segmentation, masks, options.masked).items():
            clock, processor = zip(*took, strict=True)
            print(f"  {stage:26} {len(took):6} {sum(clock):9.1f} {max(clock):12.1f} {max(processor):9.1f}", flush=True)
        scene.RemoveNode(segmentation)


if __name__ == "__main__":
    main()
