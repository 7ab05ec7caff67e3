"""After a plain installation, without Slicer's own code: all goes on, and what is missing is said once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from absent import run_without
from cli.workplace import Workplace, a_ball, an_image_of, painted_on
from MetaSegmentLib.data.protocol import dice
from MetaSegmentLib.files.images import read_image

SLICERS = ("slicer", "vtk", "vtkmodules")
COMMAND = "from MetaSegmentLib.cli import main\nsys.exit(main(sys.argv[1:]))\n"


@pytest.fixture
def workplace(tmp_path) -> Workplace:
    """Two balls that are painted each on slices of its own."""
    big = a_ball()
    small = a_ball((11.5, 20.0, 30.0), (9, 6, 4)) & ~big
    files = {"image": "image.nrrd", "support": "painted.seg.nrrd", "output": "out.seg.nrrd", "report": "r.json"}
    place = Workplace(tmp_path, big, {**files, "device": "cpu"})
    place.image(an_image_of(big | small))
    place.paint(painted_on(big, (5, 11, 17)) + painted_on(small, (8, 14), value=2))
    return place


@pytest.mark.parametrize("method", ["fusion", "shape"])
def test_the_default_runs_and_says_once_what_is_left_out(workplace, repository, method):
    done = run_without(SLICERS, COMMAND, repository, *workplace.words(method=method), folder=workplace.folder)
    assert done.returncode == 0, done.stderr
    report = json.loads(workplace.path("r.json").read_text(encoding="utf-8"))
    told = [line for line in done.stderr.splitlines() if "Grow from seeds" in line]
    if method == "shape":
        assert report["warnings"] == [] and done.stderr == "", "it never uses it"
    else:
        (sentence,) = report["warnings"]
        assert "Grow from seeds is left out" in sentence and "slicer-core" in sentence and sentence.endswith(".")
        assert told == [f"Note: {sentence}"]
    labels, _ = read_image(workplace.path("out.seg.nrrd"))
    assert dice(labels == 1, workplace.truth) > 0.88
    assert np.array_equal(labels[5] == 1, workplace.truth[5])


def test_grow_from_seeds_itself_says_what_to_install(workplace, repository):
    done = run_without(SLICERS, COMMAND, repository, *workplace.words(method="grow"), folder=workplace.folder)
    assert done.returncode == 1 and "slicer-core" in done.stderr and len(done.stderr.splitlines()) == 1


def test_with_slicers_code_there_is_nothing_to_say(workplace):
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    assert workplace.segment(method="experts") == 0
    assert json.loads(workplace.path("r.json").read_text(encoding="utf-8"))["warnings"] == []
