"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.workplace import Workplace, a_ball, an_image_of, painted_on


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    truth = a_ball()
    files = {"image": "image.nrrd", "support": "painted.seg.nrrd", "output": "out.seg.nrrd"}
    place = Workplace(tmp_path, truth, {**files, "method": "shape", "device": "cpu"})
    place.image(an_image_of(truth))
    place.paint(painted_on(truth))
    return place


@pytest.fixture
def refused(workplace: Workplace, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail: status 1, one sentence without paths, no file written or changed."""

    def run(**changed: object) -> str:
        before = workplace.listing()
        capfd.readouterr()
        assert workplace.segment(**changed) == 1
        said = capfd.readouterr()
        assert said.out == ""
        lines = said.err.splitlines()
        assert len(lines) == 1, said.err
        assert lines[0].startswith("metasegment: ") and lines[0].endswith(".")
        assert str(workplace.folder) not in said.err
        assert workplace.listing() == before
        assert not list(workplace.folder.glob(".metasegment-*"))
        return lines[0].removeprefix("metasegment: ")

    return run
