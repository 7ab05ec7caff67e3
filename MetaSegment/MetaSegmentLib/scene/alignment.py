"""Slice views that do not lie along the slices of a volume, which oblique scans have, and how to turn them."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import views

_DRIFT_SLICES = 0.5
"""A view lies along the slices when its plane leaves none of them over the whole volume."""


def unaligned_views(volume: Any | None) -> list[Any]:
    """The slice views on screen that cut across the slices of a volume node, whatever the axis of the slices."""
    if volume is None or volume.GetScene() is None or volume.GetImageData() is None:
        return []
    return [view for view in views.on_screen(volume.GetScene()) if not _aligned(view, volume)]


def align_views(volume: Any) -> None:
    """Turn all slice views on screen to the volume's slices, as Slicer's *Rotate to volume plane* does, each to the
    middle of the slice that it was nearest to."""
    for view in views.on_screen(volume.GetScene()):
        view.RotateToVolumePlane(volume)
        axis = int(np.argmax([views.alignment(view, volume, axis) for axis in range(3)]))
        last = volume.GetImageData().GetDimensions()[2 - axis] - 1
        place = views.place_of(view, volume, axis)
        if place is not None:
            view.JumpSliceByOffsetting(*views.centre_of(volume, axis, min(max(round(place), 0), last)))


def _aligned(view: Any, volume: Any) -> bool:
    """A plane n·x = c is (Mᵀn)·(i, j, k) = c' in voxel indices: what changes along a slice, in steps across it."""
    across = np.abs(views.to_world(volume)[:3, :3].T @ views.normal_of(view))
    axis = int(across.argmax())
    drift = across * volume.GetImageData().GetDimensions() / across[axis]
    return bool(np.delete(drift, axis).sum() < _DRIFT_SLICES)
