"""What DICOM results tell of a segment beside its voxels: how it came about, its name, and its record.

The record of a run (task/record.py), with the log of runs, is a parameter of the algorithm: Algorithm Parameters
(0066,0032) of an Algorithm Identification, which holds 10,240 characters; a longer record is packed.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any

from ..errors import OutputError
from ..imports import explained_imports
from ..task.record import TAG, SliceRecord
from ..version import __version__
from .segments import Segment
from .terminology import TAG as TERM_TAG
from .terminology import Code, Term

LONGEST_NAME, LONGEST_PARAMETERS, LONGEST_DESCRIPTION = 64, 10240, 1024
PLAIN, PACKED = TAG + "=", TAG + ".zlib="
FAMILY = Code("DCM", "123110", "Artificial Intelligence")
AUTOMATIC, SEMIAUTOMATIC, MANUAL = "AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"


def generation(segment: Segment) -> str:
    """How it came about: painted only, filled from paint on this image, or from paint on another one."""
    record = _record(segment)
    if record is None or not record.filled:
        return MANUAL
    return SEMIAUTOMATIC if record.support else AUTOMATIC


def algorithm_name(segment: Segment) -> str:
    """Of the last run."""
    record = _record(segment)
    method = record.runs[-1].method if record is not None and record.runs else ""
    return f"MetaSegment {method}".strip()


def algorithm_item(segment: Segment) -> Any:
    """The Algorithm Identification, with the record as its parameter.

    Raises:
        OutputError: the record is too long.
    """
    with explained_imports():
        from pydicom.dataset import Dataset
    record = _record(segment)
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [FAMILY.to_item()]
    item.AlgorithmName = algorithm_name(segment)
    item.AlgorithmVersion = record.runs[-1].version if record is not None and record.runs else __version__
    if record is not None:
        text = PLAIN + segment.tags[TAG]
        if len(text) > LONGEST_PARAMETERS:
            text = PACKED + base64.b64encode(zlib.compress(segment.tags[TAG].encode(), 9)).decode()
        if len(text) > LONGEST_PARAMETERS:
            raise OutputError(
                f"The record of '{segment.name}' is too long for DICOM; let the output's name end in .seg.nrrd."
            )
        item.AlgorithmParameters = text
    return item


def tags_of(algorithms: Any, term: Term | None) -> dict[str, str]:
    """The tags of a segment, from its Algorithm Identifications, if any, and its codes."""
    tags = {} if term is None else {TERM_TAG: term.to_tag()}
    for item in algorithms or ():
        text = str(item.get("AlgorithmParameters") or "")
        if text.startswith(PACKED):
            text = PLAIN + _unpacked(text.removeprefix(PACKED))
        if text.startswith(PLAIN):
            tags[TAG] = text.removeprefix(PLAIN)
    return tags


def term_of(segment: Segment) -> Term:
    """What it stands for: by its terminology, or by its name."""
    return Term.from_tag(segment.tags.get(TERM_TAG, "")) or Term.from_name(segment.name)


def short_name(segment: Segment) -> str:
    """As much of the name as DICOM takes where it shows names; no backslash, which separates values."""
    return _text(segment.name)[:LONGEST_NAME] or f"Segment_{segment.value}"


def long_name(segment: Segment) -> str | None:
    """The name for the description, where it is longer than the other one."""
    name = _text(segment.name)
    return name[:LONGEST_DESCRIPTION] if len(name) > LONGEST_NAME else None


def joined_name(short: Any, long: Any) -> str:
    """The name from both."""
    short, long = str(short or "").strip(), str(long or "").strip()
    return long if len(short) == LONGEST_NAME and long.startswith(short) else short


def _text(name: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in name).replace("\\", "/").split())


def _record(segment: Segment) -> SliceRecord | None:
    return SliceRecord.from_text(segment.tags.get(TAG, ""))


def _unpacked(text: str) -> str:
    try:
        return zlib.decompress(base64.b64decode(text)).decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return ""
