"""A result given as the next support: what was painted counts, what was filled does not, unless it was corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MetaSegmentLib import InputError, Settings
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.orientation import Turn
from MetaSegmentLib.files.records import without_filled
from MetaSegmentLib.files.run import Job, run
from MetaSegmentLib.files.segmentations import plain_segment, read_painted, write_segmentation
from MetaSegmentLib.files.segments import Painted, Segment
from MetaSegmentLib.task.parts import Part
from MetaSegmentLib.task.record import TAG, SliceRecord

GRID = Grid((20, 18, 16), (-3.0, 4.0, 5.0), (0.9, 0.8, 2.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
PLANES, ROWS, COLUMNS = np.indices(GRID.array_shape)
BALL = ((PLANES - 8) / 6) ** 2 + ((ROWS - 9) / 5) ** 2 + ((COLUMNS - 6) / 5) ** 2 <= 1
BAR = (np.abs(PLANES - 8) < 6) & (np.abs(ROWS - 9) < 3) & (np.abs(COLUMNS - 13) < 5)
SUPPORT = [4, 8, 11]


def only(mask: np.ndarray, slices: list[int], axis: int = 0) -> np.ndarray:
    result = np.zeros_like(mask)
    np.moveaxis(result, axis, 0)[slices] = np.moveaxis(mask, axis, 0)[slices]
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image, and a ball and a bar painted on it that overlap on other slices only."""
    noise = np.random.default_rng(0).normal(0, 10, GRID.array_shape)
    write_image(tmp_path / "image.nrrd", (200 * BALL + 300 * BAR + noise).astype(np.int16), GRID)
    layers = [only(BALL, SUPPORT).astype(np.uint8), only(BAR, [5, 9]) * np.uint8(2)]
    segments = [plain_segment(1, "ball"), replace(plain_segment(2, "bar"), layer=1)]
    write_segmentation(tmp_path / "painted.seg.nrrd", layers, segments, GRID)
    return tmp_path


def segment(folder: Path, support: str, output: str, **more: Any) -> dict[str, list[int]]:
    """Support slices by name."""
    settings = Settings(method="shape", device="cpu")
    job = Job(folder / "image.nrrd", folder / support, folder / output, settings=settings, **more)
    report = run(job)
    return {one["name"]: one["support_slices"] for one in report["segments"].values()}


def masks(path: Path) -> dict[str, np.ndarray]:
    painted = read_painted(path, GRID)
    return {one.name: painted.layers[one.layer] == one.value for one in painted.segments}


@pytest.mark.parametrize("ending", ["seg.nrrd", "seg.nhdr"])
def test_only_the_painted_slices_of_a_result_count(folder: Path, ending: str) -> None:
    wanted = {"ball": SUPPORT, "bar": [5, 9]}
    assert segment(folder, "painted.seg.nrrd", f"first.{ending}") == wanted
    assert segment(folder, f"first.{ending}", f"second.{ending}") == wanted
    assert segment(folder, f"second.{ending}", f"third.{ending}") == wanted
    first, second, third = (masks(folder / f"{name}.{ending}") for name in ("first", "second", "third"))
    assert first["ball"].any(axis=(1, 2)).sum() > len(SUPPORT)
    for name in wanted:
        assert np.array_equal(first[name], second[name])
        assert np.array_equal(first[name], third[name])


def corrected(path: Path, name: str, change: Any) -> None:
    painted = read_painted(path, GRID)
    (one,) = (segment for segment in painted.segments if segment.name == name)
    layers = [layer.copy() for layer in painted.layers]
    mask = layers[one.layer] == one.value
    layers[one.layer][mask] = 0
    layers[one.layer][change(mask.copy())] = one.value
    write_segmentation(path, layers, painted.segments, GRID)


def test_corrected_added_and_emptied_slices_count_too(folder: Path) -> None:
    segment(folder, "painted.seg.nrrd", "first.seg.nrrd", segments=("ball",))

    def change(mask: np.ndarray) -> np.ndarray:
        mask[6, 9, 7] = False
        mask[12] = False
        mask[15, 3, 3] = True
        return mask

    before = masks(folder / "first.seg.nrrd")["ball"]
    assert before[6, 9, 7] and before[12].any() and not before[15].any()
    corrected(folder / "first.seg.nrrd", "ball", change)
    assert segment(folder, "first.seg.nrrd", "second.seg.nrrd") == {"ball": sorted([*SUPPORT, 6, 12, 15])}
    after = masks(folder / "second.seg.nrrd")["ball"]
    assert not after[12].any()
    assert not after[6, 9, 7]


def test_named_slices_win(folder: Path) -> None:
    segment(folder, "painted.seg.nrrd", "first.seg.nrrd")
    assert segment(folder, "first.seg.nrrd", "a.seg.nrrd", slices=(6, 10)) == {"ball": [6, 10], "bar": [6, 10]}
    painted = read_painted(folder / "first.seg.nrrd", GRID)
    ball = next(one.value for one in painted.segments if one.name == "ball")
    assert segment(folder, "first.seg.nrrd", "b.seg.nrrd", slices={ball: (6, 7)}) == {"ball": [6, 7], "bar": [5, 9]}


def test_a_result_on_another_volume_was_filled_all_of_it(folder: Path) -> None:
    (folder / "other.nrrd").write_bytes((folder / "image.nrrd").read_bytes())
    settings = Settings(method="shape", device="cpu")
    job = Job(folder / "other.nrrd", folder / "painted.seg.nrrd", folder / "o.seg.nrrd", folder / "image.nrrd")
    run(replace(job, settings=settings, segments=("ball",)))
    with pytest.raises(InputError, match="'ball' was filled by an earlier run and holds no paint"):
        segment(folder, "o.seg.nrrd", "again.seg.nrrd")
    assert segment(folder, "o.seg.nrrd", "again.seg.nrrd", slices=(7, 8)) == {"ball": [7, 8]}


def a_segment(value: int, mask: np.ndarray, axis: int, support: list[int]) -> Segment:
    record = SliceRecord.take(Part.of(mask), axis, support)
    return Segment(value, 0, {"name": f"s{value}", "tags": {TAG: record.to_text()}})


def test_axes_that_contradict_each_other_are_refused() -> None:
    labels = (BALL * 1 + (BAR & ~BALL) * 2).astype(np.uint8)
    first, second = a_segment(1, labels == 1, 0, [8]), a_segment(2, labels == 2, 2, [12])
    both = Painted((labels,), (first, second))
    with pytest.raises(InputError, match="'s1' and 's2' were painted along different axes"):
        without_filled(both, GRID)
    with pytest.raises(InputError, match="along axis 0, not 1; leave the axis out"):
        without_filled(Painted((labels,), (first,)), GRID, axis=1)
    assert without_filled(both, GRID, slices=(3,), axis=1) == (both, (3,), 1)
    left, slices, axis = without_filled(both, GRID, slices={1: (3,)})
    assert (slices, axis) == ({1: (3,), 2: (12,)}, 2)
    assert np.array_equal(left.layers[0] == 2, only(labels == 2, [12], axis=2))
    assert np.array_equal(left.layers[0] == 1, labels == 1), "what is named is not looked up"


@pytest.mark.parametrize("text", ["", "later;format", "axis=0;shape=2,2,2;painted=1.ab;filled="])
def test_a_record_of_something_else_is_passed_over(text: str) -> None:
    painted = Painted((BALL.astype(np.uint8),), (Segment(1, 0, {"name": "a", "tags": {TAG: text}}),))
    assert without_filled(painted, GRID) == (painted, None, None)


TURNS = [Turn((0, 1, 2), (0,)), Turn((0, 1, 2), (1,)), Turn((2, 0, 1), ()), Turn((1, 2, 0), (0, 2))]


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_the_image_may_be_stored_otherwise_than_the_painted_one_was(folder: Path, turn: Turn) -> None:
    """As one and the same series is by Slicer and by other programs."""
    assert segment(folder, "painted.seg.nrrd", "first.seg.nrrd") == {"ball": SUPPORT, "bar": [5, 9]}
    image, grid = read_image(folder / "image.nrrd")
    write_image(folder / "image.nrrd", np.ascontiguousarray(turn.apply(image)), turn.grid(grid))
    axis = turn.order.index(0)
    last = grid.array_shape[0] - 1

    def there(slices: list[int]) -> list[int]:
        return sorted(last - i if axis in turn.reversed_axes else i for i in slices)

    wanted = {"ball": there(SUPPORT), "bar": there([5, 9])}
    assert segment(folder, "first.seg.nrrd", "second.seg.nrrd") == wanted
    assert segment(folder, "second.seg.nrrd", "third.seg.nrrd") == wanted


@pytest.mark.parametrize(
    ("before", "after"), [((0, -2, -1), (0, -1, -1)), ((3, 0, 4), (1, 5, 2))], ids=["cut", "extended"]
)
def test_the_image_may_be_cut_or_extended_meanwhile(folder: Path, before: Any, after: Any) -> None:
    segment(folder, "painted.seg.nrrd", "first.seg.nrrd", segments=("ball",))
    image, grid = read_image(folder / "image.nrrd")
    kept = tuple(slice(max(0, -b), n + min(0, a)) for b, a, n in zip(before, after, image.shape, strict=True))
    pads = [(max(0, b), max(0, a)) for b, a in zip(before, after, strict=True)]
    image = np.pad(image[kept], pads, mode="edge")
    matrix = grid.matrix.copy()
    matrix[:3, 3] = (matrix @ [*(-b for b in reversed(before)), 1])[:3]
    write_image(folder / "image.nrrd", image, Grid.from_matrix(image.shape[::-1], matrix))
    wanted = {"ball": [i + before[0] for i in SUPPORT]}
    assert segment(folder, "first.seg.nrrd", "second.seg.nrrd") == wanted


def test_a_record_that_fits_nowhere_is_not_passed_over_in_silence() -> None:
    mask = np.pad(BALL, 3)
    record = SliceRecord.take(Part.of(mask[:, :, ::-1]), 0, [11])
    one = Segment(1, 0, {"name": "a", "tags": {TAG: record.to_text()}})
    painted = Painted((BALL.astype(np.uint8),), (one,))
    with pytest.raises(
        InputError, match=r"'a' was filled .* another size; name the slices that count \(--slices 1:3,9\)"
    ):
        without_filled(painted, GRID)
    assert without_filled(painted, GRID, slices={1: (8,)})[1] == {1: (8,)}
