"""What a user types into Slicer's Python console, and the samples."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import slicer
from gui.desk import PAINTED
from MetaSegmentLib.scene.samples import SAMPLES
from scene.nodes import add_volume


@pytest.fixture
def console(desk: Any) -> Any:
    """The desk with a painted ball, and nothing that a console user does not have."""
    desk.put_ball()
    return desk


def test_blocking(console: Any) -> None:
    result = slicer.util.getModuleLogic("MetaSegment").process(console.volume, console.segmentation, method="shape")
    np.testing.assert_array_equal(console.look(), result.labels == 1)
    assert result.report["support_slices"] == PAINTED


def test_in_the_background(console: Any) -> None:
    """Slicer's own timer polls, so the user only waits for ``finished``."""
    logic = slicer.util.getModuleLogic("MetaSegment")
    ended: list[Any] = []
    stages: list[str] = []
    run = logic.process(
        console.volume,
        console.segmentation,
        method="shape",
        wait=False,
        progress=lambda stage, done, total, eta: stages.append(stage),
        finished=ended.append,
    )
    assert not run.done
    console.settle(lambda: run.done)
    assert ended == [run] and stages and run.error is None
    np.testing.assert_array_equal(console.look(), run.result.labels == 1)
    assert logic.undo()


def test_one_undo_for_the_console_and_the_panel(console: Any) -> None:
    painted = console.look()
    first = console.segment().labels == 1
    result = console.logic.process(console.volume, console.segmentation, method="propagation")
    assert result.report["support_slices"] == PAINTED
    second = console.look()
    assert (second != first).any()
    console.segment()
    assert console.logic.undo(), "a script takes back what the panel did"
    np.testing.assert_array_equal(console.look(), second)
    console.ui.undoButton.click()
    np.testing.assert_array_equal(console.look(), first)
    assert console.logic.undo()
    np.testing.assert_array_equal(console.look(), painted)
    assert not console.logic.undo()


class Catalogue(ModuleType):
    """``SampleData``: keeps what is registered, and hands out a phantom for any download."""

    def __init__(self) -> None:
        super().__init__("SampleData")
        catalogue = self
        self.registered: list[dict[str, Any]] = []
        self.downloads: list[dict[str, Any]] = []

        class SampleDataLogic:
            @staticmethod
            def registerCustomSampleDataSource(**source: Any) -> None:
                catalogue.registered.append(source)

            def downloadFromURL(self, **source: Any) -> list[Any]:
                catalogue.downloads.append(source)
                k, j, i = np.indices((24, 40, 40))
                chest = np.where((j - 20) ** 2 + (i - 20) ** 2 < 360, 40, -1000)
                chest[(((k - 12) / 10) ** 2 + ((j - 20) / 9) ** 2 + ((i - 20) / 9) ** 2) < 1] = -850
                return [add_volume(slicer.mrmlScene, chest.astype(np.int16))]

        self.SampleDataLogic = SampleDataLogic


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    catalogue = Catalogue()
    monkeypatch.setitem(sys.modules, "SampleData", catalogue)
    return catalogue


def test_samples_are_registered_with_checksums(module: Any, catalogue: Catalogue) -> None:
    module.registerSampleData()
    assert [source["sampleName"] for source in catalogue.registered] == [sample.name for sample in SAMPLES]
    assert len(catalogue.registered) == 2
    for source in catalogue.registered:
        assert source["category"] == "MetaSegment" and source["checksums"].startswith("SHA256:")
        assert callable(source["customDownloader"])
    volume, segmentation = catalogue.registered[0]["customDownloader"](None)
    assert catalogue.downloads[0]["checksums"] == SAMPLES[0].checksum
    assert volume.GetScene() is slicer.mrmlScene and segmentation.GetSegmentation().GetNumberOfSegments() == 1
    slicer.mrmlScene.Clear(False)


def test_samples_are_registered_once_slicer_is_up(module: Any) -> None:
    before = len(slicer.app._on_start)

    class Entry:
        pass

    module.MetaSegment(Entry())
    assert slicer.app._on_start[before:] == [module.registerSampleData]


def test_try_it_loads_a_painted_sample(desk: Any, catalogue: Catalogue) -> None:
    desk.ui.tryButton.click()
    desk.settle()
    assert len(catalogue.downloads) == 1 and desk.parameters.inputVolume is not None
    assert len(desk.rows()) == 5 and desk.rows()[0][0] == "Lungs"
    assert desk.ui.applyButton.enabled
    desk.parameters.method = "shape"
    desk.segment()
    assert "Lungs" in desk.ui.summaryLabel.text


def test_a_sample_that_cannot_be_loaded_is_told(desk: Any, catalogue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Any, **_source: Any) -> Any:
        raise ValueError("Download failed")

    monkeypatch.setattr(catalogue.SampleDataLogic, "downloadFromURL", broken)
    with pytest.raises(ValueError, match="Download failed"):
        desk.widget.onTry()
    assert desk.parameters.inputVolume is None
