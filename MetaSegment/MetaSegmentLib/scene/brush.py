"""The brush of Slicer's segment editor, by the parameters in its node: whatever editor shows that node obeys."""

from __future__ import annotations

from typing import Any

PAINTING_EFFECTS = ("Paint", "Draw", "Erase")
"""They draw in the plane of a slice view."""

_BRUSH_EFFECTS = ("Paint", "Erase")


def paints(editor_node: Any) -> bool:
    """Whether an effect that paints is active."""
    return editor_node.GetActiveEffectName() in PAINTING_EFFECTS


def has_brush(effect: str | None) -> bool:
    """Whether an effect paints with a brush."""
    return effect in _BRUSH_EFFECTS


def flatten(editor_node: Any) -> None:
    """A brush for one slice at a time, sized by the view as in the Segment Editor, for all intensities; a sphere
    would leave pieces of paint on the neighbour slices, which then count as complete ones."""
    was_modifying = editor_node.StartModify()
    editor_node.SetAttribute("BrushSphere", "0")
    editor_node.SetAttribute("BrushDiameterIsRelative", "1")
    editor_node.SetSourceVolumeIntensityMask(False)
    editor_node.EndModify(was_modifying)
