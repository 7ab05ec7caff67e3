"""Balls painted on a few slices."""

from __future__ import annotations

import numpy as np

from MetaSegmentLib.task.paint import read_paint

SHAPE = (20, 40, 36)


def ball(shape=SHAPE, centre=(9.8, 21.5, 14.5), radii=(7, 11, 9)):
    return sum(((n - c) / r) ** 2 for n, c, r in zip(np.indices(shape), centre, radii, strict=True)) <= 1


def painted(mask, slices=(4, 9, 15), value=1, axis=0):
    labels = np.zeros(mask.shape, np.uint8)
    np.moveaxis(labels, axis, 0)[list(slices)] = value * np.moveaxis(mask, axis, 0)[list(slices)]
    return labels


LEFT = ball(centre=(9, 12, 10), radii=(6, 7, 7))
RIGHT = ball(centre=(10, 28, 24), radii=(6, 7, 7))


def read(labels, **given):
    return read_paint(labels, labels.shape, **given)
