"""Small files that stand for scans and their paint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from MetaSegmentLib.cohort.cases import Cases, Common
from MetaSegmentLib.cohort.sources import find_cases

SEG, RTSTRUCT = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3"


def a_scan(path: Path) -> Path:
    """A file in the place of a scan: who looks for cases opens it, and reads no volume."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"voxels")
    return path


some_paint = a_scan


def a_ball(size: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """(K, J, I) image of a ball, and four painted slices of it."""
    index = np.indices((size, size, size)) - (size - 1) / 2
    ball = (index**2).sum(axis=0) < (size / 3) ** 2
    image = (100 + 60 * ball + np.random.default_rng(0).normal(0, 5, ball.shape)).astype(np.int16)
    painted = np.zeros(ball.shape, np.uint8)
    slices = [7, 10, 13, 16]
    painted[slices] = ball[slices]
    return image, painted


def some_dicom_paint(path: Path, series: str, sop_class: str = SEG) -> Path:
    """The headers of a segmentation that refers to a series; it has no pixels and no contours."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SeriesInstanceUID = generate_uid()
    referenced = _items(SeriesInstanceUID=series)
    if sop_class == SEG:
        data.ReferencedSeriesSequence = referenced
    else:
        study = _items(RTReferencedSeriesSequence=referenced)
        data.ReferencedFrameOfReferenceSequence = _items(RTReferencedStudySequence=study)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def _items(**fields: Any) -> Items:
    item = Dataset()
    for name, value in fields.items():
        setattr(item, name, value)
    return Items([item])


def a_manifest(folder: Path, lines: Sequence[str], name: str = "cases.csv", end: str = "\n") -> Path:
    path = folder / name
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def found(source: Path, output: Path | None = None, common: Common | None = None) -> Cases:
    return find_cases(source, output or source.parent / "results", common or Common())


def sentence(cases: Cases, case: str | None = None) -> str:
    """The only problem, or that of one case; it must be one sentence for users."""
    some = [one.sentence for one in cases.problems if case in (None, one.id)]
    assert len(some) == 1, cases.problems
    assert_plain(some)
    return some[0]


def assert_plain(sentences: Iterable[str], *private: str) -> None:
    """One sentence each, without paths and without what is private."""
    for one in sentences:
        assert one[0].isupper() and one.endswith(".") and "\n" not in one, one
        assert "/tmp" not in one and "/home" not in one, one
        assert not any(word in one for word in private), one
