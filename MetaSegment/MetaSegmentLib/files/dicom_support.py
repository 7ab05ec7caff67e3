"""DICOM Segmentation and RT Structure Set objects as paint: which file is one, and what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MetaSegmentError
from ..imports import explained_imports
from .dicom import DEFER_BYTES, UNKNOWN_LENGTH, is_dicom
from .dicom_source import Source
from .parts import INDEX, innermost
from .quiet import quiet_parsers
from .segments import LARGEST_LABEL, Labels

SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
DEFLATED = "1.2.840.10008.1.2.1.99"
KINDS = (SEGMENTATION, LABEL_MAP, STRUCTURE_SET)
Piece = tuple[tuple[slice, ...], NDArray[np.bool_]]
"""A part of a (K, J, I) volume, and which of its voxels are the segment's."""


def kind_of(path: Path) -> str | None:
    """The SOP class of a file of these kinds; None for any other file."""
    try:
        if not is_dicom(path):
            return None
    except OSError:  # the reader of its format gives the reason
        return None
    with explained_imports():
        import pydicom
    try:
        with quiet_parsers():
            data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        found = str(data.get("SOPClassUID") or data.file_meta.get("MediaStorageSOPClassUID") or "")
    except Exception:  # so it does of whatever is wrong in it
        return None
    return found if found in KINDS else None


def support_file(path: Path) -> tuple[Path, str] | None:
    """The file of these kinds that is meant, and its SOP class: the file, or the only one of a folder.

    Raises:
        InputError: a folder with several.
    """
    files = [path]
    if path.is_dir():
        folder = innermost(path)
        files = [one for one in sorted(folder.iterdir()) if one.is_file() and not one.name.startswith(".")]
        files = [one for one in files if one.name != INDEX]
    kind = kind_of(files[0]) if files else None
    if kind is None:
        return None
    if len(files) > 1:
        raise InputError(
            "The folder given as support holds several files, a DICOM segmentation or structure set among them; give "
            "the one that is meant by its name."
        )
    return files[0], kind


def read_data(path: Path) -> Any:
    """The data set, large values left in the file.

    Raises:
        InputError: the file ends within a value, of which the parser gives what there is.
    """
    with explained_imports():
        import pydicom
    data = pydicom.dcmread(path, defer_size=DEFER_BYTES)
    size = path.stat().st_size
    elements: list[Any] = [data.get_item(tag, keep_deferred=True) for tag in list(data.keys())]
    for raw in elements:
        length = getattr(raw, "length", UNKNOWN_LENGTH)
        if length != UNKNOWN_LENGTH and raw.value_tell + length > size and not _is_deflated(data):
            raise _damaged()
    if kind_of(path) != STRUCTURE_SET and "PixelData" not in data:
        raise _damaged()
    return data


def _is_deflated(data: Any) -> bool:
    return str(data.file_meta.get("TransferSyntaxUID", "")) == DEFLATED


def _damaged() -> InputError:
    return InputError(
        "The DICOM file given as support cannot be read; it is damaged or cut short, so export or copy it again."
    )


@contextmanager
def blaming_the_support() -> Iterator[None]:
    """Whatever the parser stumbles over, the file is to blame; its warnings, which quote the file, are not shown."""
    try:
        with quiet_parsers():
            yield
    except (MemoryError, MetaSegmentError):
        raise
    except Exception as error:
        raise _damaged() from error


def relation(frame_of_reference: str, series: Sequence[str], image: Source | None) -> list[str]:
    """What there is to note of the series that a support was made on; nothing where the image is no DICOM series.

    Raises:
        InputError: it lies in another frame of reference.
    """
    if image is None:
        return []
    if frame_of_reference and image.frame_of_reference and frame_of_reference != image.frame_of_reference:
        raise InputError(
            "The support lies in another frame of reference than the image, as of another patient or session; give "
            "the series it was made on as support image."
        )
    if series and image.series and image.series not in series:
        return ["The support was made on another series of the same frame of reference; it counts where it lies."]
    return []


def labels_for(numbers: Sequence[int]) -> list[int]:
    """A label for each segment: its own number where all of them can be labels, else its place."""
    own = len(set(numbers)) == len(numbers) and all(0 < number <= LARGEST_LABEL for number in numbers)
    return list(numbers) if own else list(range(1, len(numbers) + 1))


class LayerStack:
    """Label maps to fill; segments that do not overlap share one."""

    def __init__(self, shape: tuple[int, int, int], labels: Sequence[int]) -> None:
        self._shape = shape
        self._kind = np.uint8 if max(labels, default=0) < 256 else np.uint16
        self._layers: list[Labels] = []

    @property
    def layers(self) -> tuple[Labels, ...]:
        """(K, J, I) each, one at least."""
        return tuple(self._layers) or (np.zeros(self._shape, self._kind),)

    def add(self, label: int, pieces: Sequence[Piece]) -> int:
        """Paint a segment; the layer it is in."""
        number = next((n for n, layer in enumerate(self._layers) if not _overlaps(layer, pieces)), len(self._layers))
        if number == len(self._layers):
            self._layers.append(np.zeros(self._shape, self._kind))
        for place, mask in pieces:
            self._layers[number][place][mask] = label
        return number


def _overlaps(layer: Labels, pieces: Sequence[Piece]) -> bool:
    return any(layer[place][mask].any() for place, mask in pieces)
