"""Painted segments read from the MRML scene, results written back to it (vtk and MRML, no Qt).

    from MetaSegmentLib.scene import Session
    Session().process(volume_node, segmentation_node, method="shape")

The same code runs in Slicer and on a bare scene made with the slicer-core package.
"""

from .run import Run
from .session import Session

__all__ = ["Run", "Session"]
