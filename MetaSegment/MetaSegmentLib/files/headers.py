"""What NRRD and MetaImage headers say of lengths that ITK, and with it Slicer, does not heed."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import InputError

NRRD, META = (".nrrd", ".nhdr"), (".mha", ".mhd")
HEADER_BYTES = 1 << 16
MILLIMETRES = {"", "mm", "millimeter", "millimeters", "millimetre", "millimetres"}
PLACES = (
    *("spacings", "space directions", "space origin", "offset", "position", "origin"),
    *("elementspacing", "elementsize", "transformmatrix", "rotation", "orientation"),
)
NO_NUMBER = re.compile(r"\b(nan|inf|none)", re.IGNORECASE)


def require_millimetres(path: Path, role: str) -> None:
    """Check that the header gives lengths in mm, as numbers, and as a spacing.

    Raises:
        InputError: it has another unit, no direction of an axis, NaN or infinity, or the ends of the axes in place of a
            spacing.
    """
    name = path.name.lower()
    if not name.endswith(NRRD + META):
        return
    with path.open("rb") as file:
        text = file.read(HEADER_BYTES).decode("latin-1")
    if name.endswith(NRRD):
        fields = _fields(re.split(r"\r?\n\r?\n", text)[0], ": ")
        units = re.findall(r'"([^"]*)"', fields.get("space units", "") + fields.get("units", ""))
        if {"axis mins", "axis maxs"} <= fields.keys() and not {"spacings", "space directions"} & fields.keys():
            raise InputError(f"The {role} gives the ends of its axes and no spacing; save it with a spacing in mm.")
        volume = fields.get("dimension") == "3"  # further axes have no place
    else:
        fields = _fields(text.partition("ElementDataFile")[0], "=")
        units, volume = [fields.get("distanceunits", "")], fields.get("ndims") == "3"
    if volume and any(NO_NUMBER.search(fields.get(field, "")) for field in PLACES):
        raise InputError(f"The {role} does not say where its voxels lie; save it again with origin and spacing.")
    if not {unit.strip().lower() for unit in units} <= MILLIMETRES:
        raise InputError(f"The {role} gives lengths in another unit than mm; save it in millimetres.")


def _fields(header: str, separator: str) -> dict[str, str]:
    parts = (line.partition(separator) for line in header.splitlines())
    return {key.strip().lower(): value.strip() for key, found, value in parts if found}
