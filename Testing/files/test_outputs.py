"""From a DICOM series and its paint to DICOM results: ``metasegment segment`` with outputs of these endings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from files.dicom_objects import a_matrix, saved, write_slices
from files.dicom_results import PERSON, a_series, personal
from MetaSegmentLib import InputError, OutputError, Settings
from MetaSegmentLib.files.images import read_image, write_image
from MetaSegmentLib.files.run import Job, run
from MetaSegmentLib.files.segmentations import read_painted, write_segmentation
from MetaSegmentLib.files.segments import plain_segment
from MetaSegmentLib.files.terminology import TISSUE, Term
from MetaSegmentLib.task.record import TAG, SliceRecord

ENDINGS = (".seg.dcm", ".rtstruct.dcm")
SHAPE = (12, 16, 18)
BALL = sum(((n - c) / r) ** 2 for n, c, r in zip(np.indices(SHAPE), (6, 8, 8), (4.5, 6, 6), strict=True)) < 1
SLICES = (3, 6, 9)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    write_slices(tmp_path / "scan", np.where(BALL, 400, 100), a_matrix(), change=personal)
    _, grid = read_image(tmp_path / "scan")
    paint = np.zeros(SHAPE, bool)
    paint[list(SLICES)] = BALL[list(SLICES)]
    write_segmentation(tmp_path / "p.seg.nrrd", [paint.astype(np.uint8)], [plain_segment(1, "Liver")], grid)
    settings = Settings(method="shape", device="cpu")
    return Job(tmp_path / "scan", tmp_path / "p.seg.nrrd", tmp_path / "o.seg.dcm", settings=settings)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_result_is_that_of_any_other_format_and_the_next_support(job: Job, tmp_path: Path, ending: str) -> None:
    run(replace(job, output=tmp_path / "o.seg.nrrd"))
    report = tmp_path / "r.json"
    run(replace(job, output=tmp_path / f"o{ending}", report=report))
    _, grid = read_image(job.image)
    expected, found = (read_painted(tmp_path / name, grid, job.image) for name in ("o.seg.nrrd", f"o{ending}"))
    np.testing.assert_array_equal(found.layers[0], expected.layers[0])
    (segment,) = found.segments
    assert segment.name == "Liver" and "SCT^10200004^Liver" in segment.tags["TerminologyEntry"]
    record = SliceRecord.from_text(segment.tags[TAG])
    assert record is not None and sorted(record.support) == list(SLICES) and record.runs[-1].method == "shape"
    again = run(replace(job, support=tmp_path / f"o{ending}", output=tmp_path / f"again{ending}"))
    assert again["support_slices"] == list(SLICES), "what was filled is not learned from"
    (segment,) = read_painted(tmp_path / f"again{ending}", grid).segments
    record = SliceRecord.from_text(segment.tags[TAG])
    assert record is not None and len(record.runs) == 2, "the log goes on"
    text = report.read_text(encoding="utf-8")
    assert not any(value in text for value in (*PERSON.values(), "1.2.3.6", str(tmp_path)) if len(value) > 3)
    how = pydicom.dcmread(tmp_path / f"o{ending}")
    first = (how.get("SegmentSequence") or how.StructureSetROISequence)[0]
    assert (first.get("SegmentAlgorithmType") or first.ROIGenerationAlgorithm) == "SEMIAUTOMATIC"


@pytest.mark.parametrize("ending", ENDINGS)
def test_without_a_series_it_is_refused_before_the_work(job: Job, tmp_path: Path, ending: str) -> None:
    array, grid = read_image(job.image)
    write_image(tmp_path / "i.nrrd", array, grid)
    with pytest.raises(InputError, match="DICOM results need a DICOM series"):
        run(replace(job, image=tmp_path / "i.nrrd", output=tmp_path / f"o{ending}"))
    for path in (tmp_path / "scan").iterdir():
        saved(path, lambda data: data.pop("FrameOfReferenceUID"))
    with pytest.raises(InputError, match="lacks a frame of reference"):
        run(replace(job, output=tmp_path / f"o{ending}"))
    assert not list(tmp_path.glob("o*"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_other_outputs_cannot_be_dicom(job: Job, tmp_path: Path, ending: str) -> None:
    with pytest.raises(OutputError, match=r"\.seg\.nrrd, "):
        run(replace(job, probabilities=tmp_path / f"p{ending}"))
    with pytest.raises(OutputError, match=r"\.seg\.dcm, \.rtstruct\.dcm, "):
        run(replace(job, output=tmp_path / "o.dcm"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_older_result_stays_when_it_cannot_be_written(
    job: Job, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / f"o{ending}"
    output.write_bytes(b"older")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pydicom.dataset.Dataset.save_as", full)
    with pytest.raises(OutputError, match="disk is full"):
        run(replace(job, output=output))
    assert output.read_bytes() == b"older" and not list(tmp_path.glob(".metasegment*"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_left_out_of_the_support_is_in_the_report(job: Job, tmp_path: Path, ending: str) -> None:
    run(replace(job, output=tmp_path / f"o{ending}"))
    write_slices(tmp_path / "other", np.where(BALL, 300, 90), a_matrix(), series="1.2.3.77")
    report = run(replace(job, image=tmp_path / "other", support=tmp_path / f"o{ending}", output=tmp_path / "n.nrrd"))
    assert "another series" in report["warnings"][0]


def test_a_support_of_a_multi_frame_image(tmp_path: Path) -> None:
    series = a_series(tmp_path / "s", frames=True)
    _, grid = read_image(series)
    paint = np.zeros(grid.array_shape, np.uint8)
    paint[[2, 5], 3:9, 4:12] = 1
    write_image(tmp_path / "p.nrrd", paint, grid)
    settings = Settings(method="shape", device="cpu")
    for ending in ENDINGS:
        run(Job(series, tmp_path / "p.nrrd", tmp_path / f"o{ending}", settings=settings))
        assert read_painted(tmp_path / f"o{ending}", grid, series).layers[0][3].any()


def test_names_that_dicom_has_codes_for() -> None:
    assert Term.from_name("left_lung").type.meaning == "Lung"
    assert Term.from_name("spinal cord").type.value == "2748008"
    for name in ("", "1", "left right kidney", "Segment_1", "the thing", "__class__"):
        assert Term.from_name(name) == Term(TISSUE, TISSUE)
    assert Term.from_tag("") is None and Term.from_tag("a~b~c") is None
