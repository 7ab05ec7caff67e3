"""DICOM Segmentation objects as dcmqi reads them, whose code is the one in Slicer's QuantitativeReporting."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from files.dicom_results import a_series, some_labels, world, written
from files.test_dicom_seg import GEOMETRIES
from MetaSegmentLib.files.grids import Grid

pytest.importorskip("dcmqi")


@pytest.mark.parametrize("geometry", [name for name in GEOMETRIES if name != "tilted"])
def test_dcmqi_reads_the_same_voxels(tmp_path: Path, geometry: str) -> None:
    """Not those of a tilted gantry: ITK's images have axes at right angles."""
    layers, segments = some_labels(layers=2)
    path = tmp_path / "r.seg.dcm"
    grid = written(path, a_series(tmp_path / "s", GEOMETRIES[geometry]), layers, segments)
    code = "import sys; from dcmqi import segimage2itkimage; sys.exit(segimage2itkimage())"
    words = ["--inputDICOM", str(path), "--outputDirectory", str(tmp_path), "--prefix", "q", "-t", "nrrd"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = json.loads((tmp_path / "q-meta.json").read_text(encoding="utf-8"))["segmentAttributes"]
    assert [one["SegmentLabel"] for (one,) in listed] == [one.name for one in segments]
    for number, segment in enumerate(segments, start=1):
        image = sitk.ReadImage(str(tmp_path / f"q-{number}.nrrd"))
        found = sitk.GetArrayFromImage(image) != 0
        assert world(found, Grid.of(image)) == world(layers[segment.layer] == segment.value, grid)
        np.testing.assert_allclose(
            listed[number - 1][0]["recommendedDisplayRGBValue"], np.array(segment.fields["color"]) * 255, atol=2
        )
