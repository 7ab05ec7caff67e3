"""What NRRD and MetaImage headers say of lengths that ITK, and with it Slicer, does not heed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import InputError

NRRD, META = (".nrrd", ".nhdr"), (".mha", ".mhd")
HEADER_BYTES = 1 << 16
MILLIMETRES = {"", "mm", "millimeter", "millimeters", "millimetre", "millimetres"}


def require_millimetres(path: Path, role: str) -> None:
    """Check that the header gives lengths in mm, and as a spacing.

    Raises:
        InputError: it has another unit, a spacing that is no number, or the ends of the axes in place of a spacing.
    """
    name = path.name.lower()
    if not name.endswith(NRRD + META):
        return
    with path.open("rb") as file:
        text = file.read(HEADER_BYTES).decode("latin-1")
    if name.endswith(NRRD):
        fields = _fields(re.split(r"\r?\n\r?\n", text)[0], ": ")
        units = re.findall(r'"([^"]*)"', fields.get("space units", "") + fields.get("units", ""))
        spacings = fields.get("spacings", fields.get("spacing", ""))
        if not spacings and {"axis mins", "axis maxs"} <= fields.keys() and "space directions" not in fields:
            raise InputError(f"The {role} gives the ends of its axes and no spacing; save it with a spacing in mm.")
        if len(spacings.split()) == 3 and not np.isfinite(_numbers(spacings)).all():
            raise InputError(f"The {role} gives a spacing that is no number; save it with its spacing in mm.")
    else:
        units = [_fields(text.partition("ElementDataFile")[0], "=").get("distanceunits", "")]
    if not {unit.strip().lower() for unit in units} <= MILLIMETRES:
        raise InputError(f"The {role} gives lengths in another unit than mm; save it in millimetres.")


def _fields(header: str, separator: str) -> dict[str, str]:
    parts = (line.partition(separator) for line in header.splitlines())
    return {key.strip().lower(): value.strip() for key, found, value in parts if found}


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return [np.nan]
