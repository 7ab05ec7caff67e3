"""Which volumes of a scene cannot be segmented, and why, in one sentence each."""

from __future__ import annotations

from typing import Any

from .i18n import tr as _
from .runtime import nodes_of_class


def why_not(volume: Any) -> str:
    """Why a volume node cannot be segmented, and what to do; empty when it can."""
    image = volume.GetImageData()
    if image is None or 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        return _("The volume is empty; choose one that is loaded.")
    if volume.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("A label map holds no intensities; choose the scan itself.")
    components = image.GetNumberOfScalarComponents()
    if components in (3, 4):
        return _("The volume has colours; make a grey one of it with the module Vector to Scalar Volume.")
    if components > 1:
        return _("The volume holds {count} volumes in one; load it as a sequence and choose one time point.").format(
            count=components
        )
    return ""


def playing(volume: Any) -> bool:
    """Whether a sequence browser shows one time point after the other in this volume node just now."""
    browsers = nodes_of_class(volume.GetScene(), "vtkMRMLSequenceBrowserNode")
    return any(browser.GetPlaybackActive() and browser.IsProxyNodeID(volume.GetID()) for browser in browsers)
