"""The paint on the sample scans, on phantoms that look like them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MetaSegmentLib.errors import InputError
from MetaSegmentLib.scene.samples import SAMPLES, paint_sample
from MetaSegmentLib.scene.slices import painted_slices
from scene.nodes import add_volume, look

SHAPE = (40, 64, 64)
KK, JJ, II = np.indices(SHAPE).astype(float)


def an_ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Any:
    return sum(((x - c) / r) ** 2 for x, c, r in zip((KK, JJ, II), centre, radii, strict=True)) <= 1


def a_chest() -> tuple[Any, Any]:
    """Hounsfield units, and the lungs."""
    body = ((JJ - 32) / 26) ** 2 + ((II - 32) / 30) ** 2 <= 1
    lungs = an_ellipsoid((20, 32, 20), (15, 14, 8)) | an_ellipsoid((20, 32, 44), (15, 14, 8))
    image = np.where(body, 40, -1000)
    image[lungs] = -850
    return image + np.random.default_rng(0).normal(0, 20, SHAPE), lungs


def a_head() -> tuple[Any, Any]:
    """T1 intensities with dark ventricles, and everything inside the skin."""
    head = an_ellipsoid((20, 32, 32), (19, 26, 24))
    image = np.where(head, 100, 2)
    image[an_ellipsoid((20, 32, 32), (8, 8, 6))] = 5
    return np.clip(image + np.random.default_rng(0).normal(0, 2, SHAPE), 0, None), head


@pytest.mark.parametrize(
    ("sample", "phantom"), list(zip(SAMPLES, (a_chest, a_head), strict=True)), ids=["lungs", "head"]
)
def test_five_slices_are_painted(scene: Any, sample: Any, phantom: Any) -> None:
    image, truth = phantom()
    volume = add_volume(scene, image.astype(np.int16))
    segmentation = paint_sample(sample, volume)
    overview = painted_slices(volume, segmentation)
    slices = [row.index for row in overview.slices]
    assert len(slices) == 5 and overview.axis == 0 and overview.problem == ""
    segment_id = segmentation.GetSegmentation().GetNthSegmentID(0)
    painted = look(segmentation, volume, segment_id)[slices]
    assert 2 * (painted & truth[slices]).sum() / (painted.sum() + truth[slices].sum()) > 0.97


def test_a_scan_of_something_else_is_told(scene: Any) -> None:
    volume = add_volume(scene, np.zeros(SHAPE, np.int16))
    with pytest.raises(InputError, match="not found"):
        paint_sample(SAMPLES[0], volume)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_downloads_have_checksums(sample: Any) -> None:
    assert sample.uri.startswith("https://") and sample.uri.endswith(sample.sha256)
    assert sample.checksum == f"SHA256:{sample.sha256}" and len(sample.sha256) == 64
