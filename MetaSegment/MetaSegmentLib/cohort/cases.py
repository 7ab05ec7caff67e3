"""The cases of a cohort: what is segmented, from which paint, into which file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import SettingsError

ENDINGS = {
    "seg.nrrd": ".seg.nrrd",
    "nii.gz": ".nii.gz",
    "dicom-seg": ".seg.dcm",
    "rtstruct": ".rtstruct.dcm",
}
"""What the names of results end in, by the format that they are wanted in."""
DICOM_ENDINGS = (ENDINGS["dicom-seg"], ENDINGS["rtstruct"])


def ending_of(format: str) -> str:
    """One of ENDINGS.

    Raises:
        SettingsError: no such format.
    """
    if format not in ENDINGS:
        raise SettingsError(f"There is no format '{format}'; use one of {', '.join(ENDINGS)}.")
    return ENDINGS[format]


@dataclass(frozen=True)
class Case:
    """One image and the paint that it is segmented from.

    Painted itself, it has ``support=(paint,)`` and no ``support_images``; painted on other patients, it has both.

    Attributes:
        id: safe as a file name, and unique, also without regard to case.
        image: file or DICOM folder, absolute.
        support: painted slices.
        support_images: what each of ``support`` was painted on; empty where that is ``image``.
        own: painted slices of this very image besides those of other patients; they weigh more.
        output: absolute, inside the output folder; None where it is named after the id.
        method: empty for the default one.
        slices: as on the command line, ``3,9`` or ``2:4,8 3:5``; empty where they follow from the paint.
        frame: which volume of a file with several of them, as channels; counted from 0.
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

    def result(self, folder: Path, ending: str) -> Path:
        """The file of its result."""
        return self.output or folder / f"{self.id}{ending}"

    def command(self, output: Path) -> list[str]:
        """The words that segment this case alone into the file ``output``."""
        words = ["metasegment", "segment", "--image", str(self.image)]
        for number, support in enumerate(self.support):
            words += ["--support", str(support)]
            if self.support_images:
                words += ["--support-image", str(self.support_images[number])]
        if self.own is not None:
            words += ["--own", str(self.own)]
        if self.frame is not None:
            words += ["--channel", str(self.frame)]
        if self.method:
            words += ["--method", self.method]
        for some in self.slices.split():
            words += ["--slices", some]
        return [*words, "--output", str(output)]


@dataclass(frozen=True)
class Problem:
    """A case that cannot be done, and one sentence on what to do about it, without names or paths."""

    id: str
    sentence: str


class Cases(NamedTuple):
    """The cases that can be done, and those that cannot, each in the order of their source."""

    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Common:
    """What holds for all cases.

    Attributes:
        support: painted slices for the cases without paint of their own.
        support_images: what each of ``support`` was painted on; empty where that is each case's own image.
        ending: of the names of results.
    """

    support: tuple[Path, ...] = ()
    support_images: tuple[Path, ...] = ()
    ending: str = ENDINGS["seg.nrrd"]
