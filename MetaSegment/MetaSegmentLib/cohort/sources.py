"""Where the cases of a cohort come from, by what lies at the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..files.access import require_readable
from ..files.segmentations import require_support
from . import dicom_tree, layouts, manifest
from .cases import Cases, Common
from .rows import Row, checked


def find_cases(source: Path, output: Path, common: Common) -> Cases:
    """All cases of a source, and what is wrong with those that cannot be done.

    Args:
        source: a manifest (see :mod:`.manifest`), ``dataset.json``, or a folder: of pairs, BIDS, MSD or DICOM series.
        output: the folder of the results; of a DICOM tree, it keeps which id is which series.
        common: what holds for all cases.

    Raises:
        InputError: nothing at all can be done.
        OutputError: the list of ids cannot be kept.
    """
    require_readable(source, "manifest")
    _require_common(common)
    common = replace(
        common,
        support=tuple(path.absolute() for path in common.support),
        support_images=tuple(path.absolute() for path in common.support_images),
    )
    rows = _rows(source.absolute(), output.absolute(), common)
    if not rows:
        raise InputError(
            "There are no cases; give a manifest, dataset.json, or a folder of images and labels or DICOM."
        )
    if (
        source.is_dir()
        and not common.support
        and not any(row.paint for row in rows)
        and any(not row.problem for row in rows)
    ):
        raise InputError("No image has painted slices; paint some, or give those of one scan for all with --support.")
    return checked(rows, output, common)


def _rows(source: Path, output: Path, common: Common) -> Sequence[Row]:
    """The rows of the first kind of source that fits."""
    if (rows := _listed(source, not common.support)) is not None:
        return rows
    return layouts.volumes(source) or dicom_tree.rows_of(source, output)


def painted_volumes(source: Path) -> list[tuple[Path, Path]]:
    """The paint and the image of each painted volume of a source: a manifest, ``dataset.json`` or folder of pairs.

    Raises:
        InputError: there are none.
    """
    require_readable(source, "library")
    rows = _listed(source.absolute(), needs_support=True) or ()
    pairs = [(paint, on or row.image) for row in rows if not row.problem for paint, on in row.paint]
    if not pairs:
        raise InputError(
            "The library holds no painted volumes; it is a folder with images/ and labels/, files of equal names."
        )
    return pairs


def _listed(source: Path, needs_support: bool) -> Sequence[Row] | None:
    """The rows of a source that says, by a list or by equal names, which paint is of which image; None of another."""
    if not source.is_dir():
        if source.suffix.lower() == ".json":
            return layouts.msd(source)
        return manifest.rows_of(source, needs_support=needs_support)
    if layouts.is_msd(source):
        return layouts.msd(source / layouts.DATA_SET)
    if images := layouts.bids_images(source):
        return layouts.bids(source, images)
    return layouts.pair(source) if layouts.is_pair(source) else None


def _require_common(common: Common) -> None:
    for support in common.support:
        require_support(support)
    for image in common.support_images:
        require_readable(image, "support image")
    if len(common.support_images) not in (0, len(common.support)):
        raise InputError("Give as many support images as supports, each for what the support was painted on.")
    if len(common.support) > 1 and not common.support_images:
        raise InputError("Several supports need their support images, each for what the support was painted on.")
