"""One volume of a cohort: what to segment and from which paint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One volume to segment.

    Attributes:
        id: safe as the name of a file; unique, also without regard to case.
        image: file or DICOM folder, absolute.
        support: painted slices; what is painted on this very image beside other patients' is ``own``.
        support_images: what each of ``support`` was painted on; empty where that is ``image``.
        own: painted slices of this very image, which weigh more.
        output: absolute, inside the output folder; by default named after the id.
        method: "" for the default.
        slices: which slices are complete, as on the command line: "3,9" or "2:4,8 3:5"; "" for all with paint.
        frame: of a 4D file.
    """

    id: str
    image: Path
    support: tuple[Path, ...] = ()
    support_images: tuple[Path, ...] = ()
    own: Path | None = None
    output: Path | None = None
    method: str = ""
    slices: str = ""
    frame: int | None = None
