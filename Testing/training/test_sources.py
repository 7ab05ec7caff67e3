"""Where tasks come from: every kind of source gives structures, and only what may be trained on is used."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import label

from MetaSegmentLib.errors import SettingsError
from MetaSegmentLib.files.grids import Grid
from MetaSegmentLib.files.images import write_image
from MetaSegmentLib.predictors.memo import Memo
from MetaSegmentLib.training import sources
from MetaSegmentLib.training.sources import KINDS, Source, find_sources
from MetaSegmentLib.training.supervoxels import supervoxel_structure
from MetaSegmentLib.training.tasks import TaskMaker


def blobs(shape=(40, 64, 64)):
    """A scan with tissue, and brighter balls in it that supervoxels can follow."""
    z, y, x = np.indices(shape)
    image = np.random.default_rng(0).normal(100, 4, shape)
    for number, centre in enumerate([(14, 20, 20), (26, 40, 24), (20, 30, 46)]):
        ball = sum((axis - c) ** 2 for axis, c in zip((z, y, x), centre, strict=True)) < 81
        image[ball] += 60 + 30 * number
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of training data with two sets of one volume each, of which one may only be scored."""
    folder = tmp_path_factory.mktemp("data")
    image = blobs()
    for name, use in (("open_ms", "train"), ("openkbp", "evaluate")):
        for part, array in (("images", image), ("labels", (image > 130).astype(np.uint8))):
            (folder / name / part).mkdir(parents=True)
            grid = Grid(image.shape[::-1], (0, 0, 0), (1, 1, 1), (1, 0, 0, 0, 1, 0, 0, 0, 1))
            write_image(folder / name / part / "case.nii.gz", array, grid)
        (folder / name / "dataset.json").write_text(json.dumps({"use": use}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_makes_tasks_that_can_be_drawn_again(data, kind):
    maker = TaskMaker([Source(data / "open_ms", 1.0, kind)])
    task, again = (maker.make(np.random.default_rng(3)) for _ in range(2))
    assert task.mask.any() and task.mask.shape == task.volume.array.shape
    assert np.array_equal(task.volume.array, again.volume.array) and np.array_equal(task.mask, again.mask)
    assert np.array_equal(task.paint.masks(1), task.mask[list(task.paint.slices[1])])


def test_supervoxels_follow_the_image_and_need_no_labels():
    image = blobs()
    found = [supervoxel_structure(image, (1, 1, 1), np.random.default_rng(seed)) for seed in range(16)]
    found = [pair for pair in found if pair]
    assert len(found) >= 8
    for part, mask in found:
        assert part.shape == mask.shape and label(mask)[1] == 1
    # Balls of 90 voxels' cross-section: some supervoxels are mostly ball, though balls are a fortieth of the scan.
    assert max((part[mask] > 130).mean() for part, mask in found) > 0.7


def test_supervoxels_are_as_wide_in_millimetres_along_every_axis():
    image = np.random.default_rng(1).normal(100, 1, (32, 96, 96)).astype(np.float32)
    widths = []
    for seed in range(16):
        found = supervoxel_structure(image, (3.0, 1.0, 1.0), np.random.default_rng(seed))
        if found:
            extent = np.ptp(np.argwhere(found[1]), axis=0) + 1
            widths.append(extent[0] * 3.0 / extent[1:].mean())
    assert 0.6 < np.median(widths) < 1.6


def test_sources_that_may_not_be_trained_on_are_passed_over(data):
    sources = find_sources(data)
    assert {source.folder.name for source in sources if source.kind != "shapes"} == {"open_ms"}
    assert {source.kind for source in sources} == {"lesions", "supervoxels", "shapes"}


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="supervoxels"):
        Source(tmp_path, 1.0, "superpixels")


def test_volumes_in_memory_are_bounded_by_their_size(data, monkeypatch):
    source = Source(data / "open_ms", 1.0)
    small = Memo(limit_mb=1)  # image and labels take .8 MB together
    monkeypatch.setattr(sources, "VOLUMES", small)
    random = np.random.default_rng(0)
    assert source.draw(random) is not None
    image, labels = (data / "open_ms" / part / "case.nii.gz" for part in ("images", "labels"))
    assert image in small and labels in small
    small.get("another volume", lambda: np.zeros(2**20, np.uint8))
    assert image not in small and labels not in small and "another volume" in small
    assert source.draw(random) is not None


def test_a_share_of_the_structures_of_label_maps_is_several_labels_wherever_they_lie(tmp_path):
    labels = np.zeros((30, 40, 80), np.uint8)
    for value in range(1, 9):
        labels[5:25, 10:30, 10 * value - 8 : 10 * value - 3] = value
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        grid = Grid(labels.shape[::-1], (0, 0, 0), (1, 1, 1), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        write_image(tmp_path / folder / "a.nii.gz", labels.astype(np.int16), grid)
    source, counts = Source(tmp_path, 1.0), {}
    for share in (0.0, 0.5, 1.0):
        random = np.random.default_rng(0)
        drawn = [source.draw(random, scattered=share) for _ in range(20)]
        counts[share] = [label(one.mask)[1] for one in drawn if one is not None]
    assert set(counts[0.0]) == {1} and set(counts[1.0]) == {2, 3, 4, 5, 6}
    assert 4 < sum(count > 1 for count in counts[0.5]) < 16
