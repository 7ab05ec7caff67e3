"""A result as a file: plain volumes by their grid alone, DICOM objects with the series that they refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .atomic import output_error
from .dicom_seg import write_dicom_seg
from .dicom_source import Source, as_it_stands, require_source
from .formats import DICOM_SEG, RTSTRUCT, Format, segmentation_format
from .grids import Grid
from .rtstruct import write_rtstruct
from .segmentations import write_segmentation
from .segments import Labels, Segment, plain_segment

WRITERS = {DICOM_SEG: write_dicom_seg, RTSTRUCT: write_rtstruct}


@dataclass(frozen=True)
class Output:
    """The format of a result, and what it takes to write in it.

    Attributes:
        source: the series of the image, for the formats that refer to it.
    """

    form: Format
    source: Source | None = None

    @classmethod
    def named(cls, path: Path, image: Path) -> Output:
        """For a result of this name and for this image.

        Raises:
            OutputError: results cannot be written in a format of this name.
            InputError: it is one of DICOM, and the image is no DICOM series.
        """
        form = segmentation_format(path)
        return cls(form, require_source(image) if form.ending in WRITERS else None)

    def write(self, path: Path, layers: Sequence[Labels], segments: Sequence[Segment], grid: Grid) -> None:
        """Write (K, J, I) labels, one array a layer.

        Raises:
            OutputError: it could not be written.
            InputError: the labels lie on another grid than the series.
        """
        if self.source is None:
            write_segmentation(path, layers, segments, grid)
            return
        if self.source.grid.size != grid.size or self.source.grid.offset_in(grid) != (0, 0, 0):
            raise InputError("The DICOM series has changed since it was read; run it again.")
        try:
            with as_it_stands():
                WRITERS[self.form.ending](path, layers, segments, self.source)
        except OSError as error:
            raise output_error(error, path.parent) from error

    def rehearse(self, path: Path, grid: Grid) -> None:
        """Write a result without voxels, or a tiny one: what stands in the way is better known before long work."""
        if self.source is None:
            labels = np.zeros((2, 2, 2), np.uint8)
            grid = Grid((2, 2, 2), grid.origin, grid.spacing, grid.direction)
        else:
            labels = np.broadcast_to(np.uint8(0), grid.array_shape)
        self.write(path, [labels], [plain_segment(1)], grid)
