"""Biomedisa is run as a program of an environment of its own; a pretended one stands in for it here."""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from MetaSegmentLib.errors import DependencyError
from MetaSegmentLib.evaluation import biomedisa, tools

# Every slice is given the outline of the painted slice that is nearest.
PRETENDED = """
import numpy as np
def smart_interpolation(data, labels, platform, sorw):
    print("talks a lot")
    assert data.shape == labels.shape and platform == "opencl_Portable_CPU"
    painted = np.flatnonzero(labels.any(axis=(1, 2)))
    nearest = [painted[abs(painted - k).argmin()] for k in range(len(labels))]
    return {"regular": labels[nearest]} if data.max() > 0 else None
"""


@pytest.fixture
def an_environment(tmp_path, monkeypatch):
    """The Python of an environment with numpy and a pretended Biomedisa, which the variable names."""
    venv.create(tmp_path / "other", symlinks=os.name != "nt")
    windows = os.name == "nt"
    python = tmp_path / "other" / ("Scripts/python.exe" if windows else "bin/python")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = tmp_path / "other" / ("Lib/site-packages" if windows else f"lib/{version}/site-packages")
    (packages / "biomedisa").mkdir()
    (packages / "biomedisa" / "__init__.py").touch()
    (packages / "biomedisa" / "interpolation.py").write_text(PRETENDED, encoding="utf-8")
    (packages / "biomedisa-1.2.3.dist-info").mkdir()
    about = "Metadata-Version: 2.1\nName: biomedisa\nVersion: 1.2.3\n"
    (packages / "biomedisa-1.2.3.dist-info" / "METADATA").write_text(about, encoding="utf-8")
    (packages / "numpy.pth").write_text(str(Path(np.__file__).parents[1]), encoding="utf-8")
    monkeypatch.setenv(biomedisa.VARIABLE, str(python))
    return python


@pytest.fixture
def a_rod():
    """A rod along axis 0 from slice 3 to 16, image and mask (20, 24, 24)."""
    mask = np.zeros((20, 24, 24), bool)
    mask[3:17, 8:16, 8:16] = True
    return mask * 100.0, mask


def test_it_runs_beside_us_and_ends_half_a_gap_past_the_ends(an_environment, a_rod):
    image, mask = a_rod
    assert tools.available()[-1] == "biomedisa" and tools.maker("biomedisa") == "1.2.3"
    found = biomedisa.smart_interpolation(image, mask, [5, 9, 13], (1, 1, 1))
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == list(range(4, 15))
    assert np.array_equal(found[4:15], mask[4:15])
    assert "biomedisa" not in sys.modules


def test_a_failure_is_one_sentence(an_environment, a_rod):
    image, mask = a_rod
    with pytest.raises(DependencyError, match="Biomedisa failed"):
        biomedisa.smart_interpolation(image * 0, mask, [5, 9, 13], (1, 1, 1))


@pytest.mark.parametrize("where", ["", "no-such-python", sys.executable])
def test_without_it_the_others_are_run(where, monkeypatch, a_rod):
    monkeypatch.setenv(biomedisa.VARIABLE, where)
    assert tools.available() == tuple(tools.PEERS)
    with pytest.raises(DependencyError, match=biomedisa.VARIABLE):
        biomedisa.smart_interpolation(*a_rod, [5, 9, 13], (1, 1, 1))
