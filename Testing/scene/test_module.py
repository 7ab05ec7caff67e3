"""The module file, on slicer-core: it can be imported, is light, and only delegates."""

from __future__ import annotations

import inspect
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from scene.nodes import a_ball, add_segmentation, add_volume, an_image, look, only, paint


def test_importing_the_module_is_light(repository: Path) -> None:
    heavy = "{'torch', 'monai', 'qt', 'ctk', 'PythonQt', 'PySide6', 'SimpleITK', 'sklearn'}"
    code = f"import MetaSegment, sys; found = {heavy} & set(sys.modules); sys.exit(', '.join(found) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository / "MetaSegment", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_process_has_the_promised_arguments() -> None:
    from MetaSegment import MetaSegmentLogic

    promised = "inputVolume segmentation segmentIds method slices outputSegmentation device wait progress cancel"
    parameters = inspect.signature(MetaSegmentLogic.process).parameters
    assert list(parameters)[1:11] == promised.split()
    defaults = [p.default for p in list(parameters.values())[3:11]]
    assert defaults == [None, None, None, None, "auto", True, None, None]


def test_logic_delegates(scene: Any) -> None:
    from MetaSegment import MetaSegmentLogic

    truth = a_ball()
    volume, segmentation = add_volume(scene, an_image(truth)), add_segmentation(scene)
    ball = paint(segmentation, volume, "ball", only(truth, 2, [6, 10, 14]))
    logic = MetaSegmentLogic()
    run = logic.process(volume, segmentation, segmentIds=[ball], method="shape", slices=[6, 14], wait=False)
    run.wait(60)
    assert not logic.poll()
    assert run.result.report["support_slices"] == [6, 14]
    np.testing.assert_array_equal(look(segmentation, volume, ball), run.result.labels == 1)
    assert logic.undo()


def test_checks_for_a_real_slicer_pass_here_too(scene: Any, repository: Path) -> None:
    checks = runpy.run_path(str(repository / "Testing" / "slicer" / "check_scene.py"))
    checks["run_all"](scene)


def test_bare_scene_of_the_callers_own() -> None:
    """Nodes of a scene that is not ``slicer.mrmlScene`` work as well."""
    import slicer
    from MetaSegmentLib.scene import Session

    own = slicer.vtkMRMLScene()
    for kind in (
        slicer.vtkMRMLScalarVolumeNode,
        slicer.vtkMRMLSegmentationNode,
        slicer.vtkMRMLSegmentationDisplayNode,
    ):
        own.RegisterNodeClass(kind())
    truth = a_ball()
    volume, segmentation = add_volume(own, an_image(truth)), add_segmentation(own)
    ball = paint(segmentation, volume, "ball", only(truth, 0, [4, 8, 12]))
    result = Session().process(volume, segmentation, method="shape")
    np.testing.assert_array_equal(look(segmentation, volume, ball), result.labels == 1)
