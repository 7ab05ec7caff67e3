"""Random structures in random volumes, painted on a few slices, for property-based tests."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from MetaSegmentLib.task.frame import FrameSettings
from MetaSegmentLib.task.paint import read_paint
from MetaSegmentLib.task.task import Task, make_task
from MetaSegmentLib.task.volume import Volume, check_volume

axes = st.integers(0, 2)
spacings = st.tuples(*[st.floats(0.8, 3.2)] * 3)


@st.composite
def structures(draw, at_least=1):
    """(volume, mask, axis, slices): a smooth structure somewhere in a volume, with slices of it to paint."""
    shape = draw(st.tuples(*[st.integers(20, 40)] * 3))
    axis = draw(axes)
    centre = [draw(st.floats(0.2, 0.8)) * size for size in shape]
    radii = [draw(st.floats(0.12, 0.4)) * size for size in shape]
    grid = [(i - c) / r for i, c, r in zip(np.indices(shape), centre, radii, strict=True)]
    bumps = gaussian_filter(np.random.default_rng(draw(st.integers(0, 999))).standard_normal(shape), 3)
    mask = sum(g**2 for g in grid) + 0.15 * bumps / bumps.std() < 1
    image = mask * 100.0 + bumps
    # Slivers of a few voxels say nothing of the resampling of a structure.
    usable = [i for i, plane in enumerate(np.moveaxis(mask, axis, 0)) if plane.sum() >= 60]
    assume(len(usable) >= at_least)
    chosen = draw(st.lists(st.sampled_from(usable), min_size=at_least, max_size=5, unique=True).map(sorted))
    slices = [i for n, i in enumerate(chosen) if n == 0 or i - chosen[n - 1] >= 2]
    assume(len(slices) >= at_least)
    return check_volume(image, draw(spacings)), mask, axis, slices


def painted(mask, axis, slices):
    labels = np.zeros(mask.shape, np.uint8)
    np.moveaxis(labels, axis, 0)[slices] = np.moveaxis(mask, axis, 0)[slices]
    return labels


def task_of(volume: Volume, mask, axis, slices, settings: FrameSettings | None = None) -> Task:
    paint = read_paint(painted(mask, axis, slices), mask.shape, axis=axis, slices=slices)
    return make_task(volume, paint, (1,), settings)
