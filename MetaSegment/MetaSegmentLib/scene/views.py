"""Slice views and the overlay of uncertainty, by MRML nodes alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

import slicer

from ..pieces import Steps, drain, slabs
from ..task.parts import bounds_steps, intersection
from .geometry import transform_between, voxels
from .i18n import tr as _
from .presence import while_there
from .runtime import nodes_of_class

OVERLAY = "MetaSegment.Uncertainty"
"""Attribute of the volume node that shows the uncertainty; its value is the id of the volume it belongs to."""

_VOLUME = "vtkMRMLScalarVolumeNode"
_COMPOSITE = "vtkMRMLSliceCompositeNode"

_BEFORE = "MetaSegment.Foreground"
"""Attribute of a slice composite node: opacity and id of what was in the foreground before the overlay."""

_COLOURS = "vtkMRMLColorTableNodeFileInferno.txt"
_OPACITY = 0.5
_LEAST_SHOWN_PERCENT = 5.0


def jump(volume: Any, axis: int, index: int) -> bool:
    """Show slice ``index`` across array axis ``axis`` of a volume node in the slice views that lie along it.

    Returns:
        False when no slice view is on screen.
    """
    point = centre_of(volume, axis, index)
    views = _views_along(volume, axis)
    for view in views:
        view.JumpSliceByOffsetting(*point)
    return bool(views)


def shown_slice(volume: Any, axis: int | None = None) -> tuple[int, int] | None:
    """Which slice of the volume is on screen, as (array axis, index); of the axis that is asked for, or of the first
    slice view. None when no slice view is on screen or the volume is not where it looks."""
    if axis is None:
        views = on_screen(volume.GetScene())
        if not views:
            return None
        axis = int(np.argmax([alignment(views[0], volume, a) for a in range(3)]))
    views = _views_along(volume, axis)
    place = place_of(views[0], volume, axis) if views else None
    if place is None:
        return None
    index = round(place)
    return (axis, index) if 0 <= index < volume.GetImageData().GetDimensions()[2 - axis] else None


def place_of(view: Any, volume: Any, axis: int) -> float | None:
    """Where a slice view meets the line through the volume's middle along an array axis, in slices from the first
    one; None when it lies along that line."""
    step = to_world(volume)[:3, 2 - axis]
    start = centre_of(volume, axis, 0)
    normal = normal_of(view)
    along = float(normal @ step)
    return float(normal @ (_matrix(view.GetSliceToRAS())[:3, 3] - start)) / along if along else None


def centre_of(volume: Any, axis: int, index: int) -> NDArray[np.float64]:
    """(3,) the middle of a slice of the volume, in the world in mm."""
    centre = [(n - 1) / 2 for n in volume.GetImageData().GetDimensions()]
    centre[2 - axis] = index
    return np.asarray((to_world(volume) @ [*centre, 1.0])[:3])


def normal_of(view: Any) -> NDArray[np.float64]:
    """(3,) where a slice view looks, in the world."""
    return _matrix(view.GetSliceToRAS())[:3, 2]


def orientations(volume: Any) -> tuple[str, str, str]:
    """How slices across each array axis of a volume node lie in the patient, in Slicer's words."""
    names = (_("Sagittal"), _("Coronal"), _("Axial"))
    directions = np.abs(to_world(volume)[:3, :3])
    k, j, i = (names[int(directions[:, 2 - axis].argmax())] for axis in range(3))
    return k, j, i


def default_volume(scene: Any) -> Any | None:
    """The volume that the user looks at, or else the first one; no label map, vectors or overlay, nothing empty."""
    shown = [scene.GetNodeByID(v.GetBackgroundVolumeID() or "") for v in nodes_of_class(scene, _COMPOSITE)]
    for node in (*shown, *nodes_of_class(scene, _VOLUME)):
        if node is None or node.GetClassName() != _VOLUME or node.GetHideFromEditors():
            continue
        if node.GetImageData() is not None:
            return node
    return None


def default_segmentation(scene: Any, volume: Any | None) -> Any | None:
    """The first segmentation; where there is none but a ``volume`` to paint on, one is made, as Slicer's own Segment
    Editor does."""
    found = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    if found is not None or volume is None:
        return found
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", scene.GetUniqueNameByString(_("Segmentation")))
    node.CreateDefaultDisplayNodes()
    return node


def show_uncertainty(volume: Any, uncertainty: NDArray[Any]) -> Any:
    """Lay the uncertainty of a result over the volume in all slice views, at once; see
    :func:`show_uncertainty_steps`."""
    return drain(show_uncertainty_steps(volume, uncertainty))


def show_uncertainty_steps(volume: Any, uncertainty: NDArray[Any]) -> Steps[Any]:
    """Lay the uncertainty of a result over the volume in all slice views, in pieces; the last one shows it.

    Args:
        volume: the vtkMRMLScalarVolumeNode that was segmented.
        uncertainty: (K, J, I) in [0, 1].

    Returns:
        The vtkMRMLScalarVolumeNode that shows it, in per cent; the same one every time.

    Raises:
        Cancelled: the volume was removed meanwhile.
    """
    image = yield from while_there(_percent_image_steps(uncertainty), [volume])
    scene = volume.GetScene()
    node = overlay_of(scene)
    if node is None:
        node = slicer.vtkMRMLScalarVolumeNode()
        node.SetName(_("Uncertainty (%)"))
        node.SetAttribute(OVERLAY, volume.GetID())
        # It is a way to look at a result, no data: not to be chosen anywhere, not to be saved.
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node = scene.AddNode(node)
        display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
        display.SetSaveWithScene(False)
        display.SetAndObserveColorNodeID(_COLOURS)
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(0.0, 100.0)
        display.AutoThresholdOff()
        display.ApplyThresholdOn()
        display.SetThreshold(_LEAST_SHOWN_PERCENT, 100.0)
        node.SetAndObserveDisplayNodeID(display.GetID())
    node.SetAttribute(OVERLAY, volume.GetID())
    node.SetAndObserveImageData(image)
    place = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(place)
    node.SetIJKToRASMatrix(place)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    for view in nodes_of_class(scene, _COMPOSITE):
        if view.GetForegroundVolumeID() != node.GetID():
            view.SetAttribute(_BEFORE, f"{view.GetForegroundOpacity()} {view.GetForegroundVolumeID() or ''}")
            view.SetForegroundVolumeID(node.GetID())
            view.SetForegroundOpacity(_OPACITY)
    return node


def hide_uncertainty(scene: Any) -> None:
    """Take the overlay off all slice views, which show again what they showed before; its volume goes too."""
    node = overlay_of(scene)
    if node is None:
        return
    for view in nodes_of_class(scene, _COMPOSITE):
        if view.GetForegroundVolumeID() == node.GetID():
            opacity, _space, before = (view.GetAttribute(_BEFORE) or "0.0 ").partition(" ")
            view.SetForegroundVolumeID(before if before and scene.GetNodeByID(before) is not None else None)
            view.SetForegroundOpacity(float(opacity))
    if node.GetDisplayNode() is not None:
        scene.RemoveNode(node.GetDisplayNode())
    scene.RemoveNode(node)


def overlay_of(scene: Any) -> Any | None:
    """The volume node that shows the uncertainty, if there is one."""
    return next((n for n in nodes_of_class(scene, _VOLUME) if n.GetAttribute(OVERLAY)), None)


def on_screen(scene: Any) -> list[Any]:
    """The slice views that are on screen; all of them where no layout says which."""
    views = nodes_of_class(scene, "vtkMRMLSliceNode")
    return [view for view in views if view.IsMappedInLayout()] or views


def _views_along(volume: Any, axis: int) -> list[Any]:
    views = on_screen(volume.GetScene())
    fits = [alignment(view, volume, axis) for view in views]
    return [view for view, fit in zip(views, fits, strict=True) if fit > max(fits) - 0.01]


def alignment(view: Any, volume: Any, axis: int) -> float:
    """1 for a view that looks straight along the axis, 0 for one that lies across."""
    across = to_world(volume)[:3, 2 - axis]
    return float(abs(_matrix(view.GetSliceToRAS())[:3, 2] @ across) / np.linalg.norm(across))


def to_world(volume: Any) -> NDArray[np.float64]:
    """(4, 4) from voxel indices (i, j, k) of a volume node to the world, in mm."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return transform_between(volume, None) @ _matrix(matrix)


def _matrix(matrix: Any) -> NDArray[np.float64]:
    return np.asarray(slicer.util.arrayFromVTKMatrix(matrix))


def _percent_image_steps(uncertainty: NDArray[Any]) -> Steps[Any]:
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(uncertainty.shape))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    percent = voxels(image)
    k, j, i = (slice(0, n) for n in uncertainty.shape)
    # Half precision is slow to compare, and most of a volume is not uncertain at all.
    bits = uncertainty.view(np.uint16) if uncertainty.dtype == np.float16 else uncertainty
    there = yield from bounds_steps((k, j, i), bits.__getitem__)
    for slab in slabs(percent.shape):
        percent[slab] = 0
        box = intersection((slab, j, i), there)
        percent[box] = np.rint(np.clip(uncertainty[box].astype(np.float32), 0, 1) * 100)
        yield
    return image
