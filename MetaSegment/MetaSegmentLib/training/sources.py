"""Where tasks come from: labelled volumes, label maps to render, scans to put lesions in or to cut up, bare shapes.

A source draws an image and one structure of it; painting it is the business of :mod:`tasks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.datasets import describe
from ..data.splits import held_out, persons
from ..data.synthesis import lesion, random_shapes, render
from ..errors import SettingsError
from ..files.images import read_image
from ..predictors.memo import Memo
from .config import Config, Share
from .supervoxels import supervoxel_structure

Random = np.random.Generator
KINDS = ("labelled", "rendered", "lesions", "supervoxels", "shapes")

VOLUMES = Memo(limit_mb=512)
"""Volumes of this process that were drawn from lately, by their file."""
_MOST_SCATTERED = 6
"""Labels that are one structure together."""
_LARGEST_RENDERED = 128
"""Label maps with more voxels along an axis are made coarser before they are rendered."""


@dataclass(frozen=True)
class Structure:
    """An image and one structure of it, (K, J, I) both, with mm in array order."""

    image: NDArray[Any]
    mask: NDArray[np.bool_]
    spacing: tuple[float, ...]


@dataclass(frozen=True)
class Source:
    """One way to get structures, and its share of the tasks.

    Attributes:
        folder: has ``labels/`` and ``images/`` with equal file names, or only what the kind needs.
        share: relative share of the tasks.
        kind: ``labelled`` takes image and structure as they are; ``rendered`` makes the image from the label map;
            ``lesions`` puts a lesion into the image, and ``supervoxels`` cuts the image up, neither needs labels;
            ``shapes`` needs no folder at all.
    """

    folder: Path
    share: float
    kind: str = "labelled"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"There is no kind of task source '{self.kind}'; use one of {', '.join(KINDS)}.")

    @property
    def name(self) -> str:
        """What the episodes made from it are called."""
        return {"labelled": self.folder.name, "shapes": "shapes"}.get(self.kind, f"{self.folder.name}_{self.kind}")

    @property
    def present(self) -> bool:
        """Whether its files are there and may be trained on."""
        return self.kind == "shapes" or ((self.folder / self._needed).is_dir() and _may_train(self.folder))

    def draw(self, random: Random, validation: bool = False, scattered: float = 0.0) -> Structure | None:
        """A structure; None when what was drawn has none, then draw again.

        Args:
            validation: from the volumes that are held out, instead of the others.
            scattered: share of structures of label maps that are several labels, wherever these lie.
        """
        if self.kind == "shapes":
            labels, image = random_shapes(random)
            return Structure(image, labels == random.integers(1, labels.max() + 1), (1.0, 1.0, 1.0))
        files = self.files(validation)
        path = files[int(random.integers(len(files)))]
        first, spacing = _read(path)
        if self.kind == "lesions":
            return Structure(*lesion(first, random), spacing)
        if self.kind == "supervoxels":
            found = supervoxel_structure(first, spacing, random)
            return Structure(*found, spacing) if found else None
        mask = _structure(first, random, scattered)
        if mask is None:
            return None
        if self.kind == "rendered":
            box = around(mask, None)
            steps = [-(-n // _LARGEST_RENDERED) for n in mask[box].shape]
            box = tuple(slice(b.start, b.stop, step) for b, step in zip(box, steps, strict=True))
            mm = tuple(s * step for s, step in zip(spacing, steps, strict=True))
            return Structure(render(first[box], random), mask[box], mm)
        image, _ = _read(self.folder / "images" / path.name)
        return Structure(image, mask, spacing)

    def files(self, validation: bool = False) -> list[Path]:
        """Label maps (images, where no labels are needed) to draw from; ``validation``: those that are held out."""
        return _files(self.folder / self._needed, validation)

    @property
    def _needed(self) -> str:
        return "labels" if self.kind in ("labelled", "rendered") else "images"


def find_sources(data: Path, mixture: Sequence[Share] | None = None) -> list[Source]:
    """The sources of ``mixture`` that are present in the folder ``data`` and may train weights.

    The mixture is that of the shipped config by default. A folder that is itself a data set (has ``labels/``) is a
    user's own cohort: its labels are the main source, beside its supervoxels and random shapes with what share those
    kinds have in the mixture.
    """
    mixture = Config().sources if mixture is None else mixture
    if (data / "labels").is_dir():
        shares = {kind: sum(one.share for one in mixture if one.kind == kind) for kind in ("supervoxels", "shapes")}
        own = [Source(data, 1.0), *(Source(data, share, kind) for kind, share in shares.items() if share)]
        return [source for source in own if source.present]
    sources = [Source(data / one.folder, one.share, one.kind) for one in mixture]
    return [source for source in sources if source.present]


def _may_train(folder: Path) -> bool:
    return bool(describe(folder).get("use", "train") == "train")


@lru_cache
def _files(folder: Path, validation: bool) -> list[Path]:
    files = sorted(folder.iterdir())
    if kept := held_out(files, persons((file.name for file in files), describe(folder.parent))):
        return kept if validation else [file for file in files if file not in kept]
    return files


def _read(path: Path) -> tuple[NDArray[Any], tuple[float, ...]]:
    def read() -> tuple[NDArray[Any], tuple[float, ...]]:
        array, grid = read_image(path)
        return array, tuple(reversed(grid.spacing))

    return VOLUMES.get(path, read)


def _structure(labels: NDArray[Any], random: Random, scattered: float) -> NDArray[np.bool_] | None:
    """One label, or now and then two that touch or several that need not, as one structure."""
    values = np.unique(labels[::2, ::2, ::2])
    values = values[values > 0]
    if not len(values):
        return None
    if scattered and len(values) > 1 and random.random() < scattered:
        count = min(int(random.integers(2, _MOST_SCATTERED + 1)), len(values))
        return np.isin(labels, random.permutation(values)[:count])
    mask = np.asarray(labels == random.choice(values))
    if random.random() < 0.15 and mask.any():
        near = labels[around(mask, 2)]
        others = np.unique(near[near > 0])
        mask = mask | (labels == random.choice(others))
    return mask if mask.any() else None


def around(mask: NDArray[np.bool_], margin: int | None) -> tuple[slice, ...]:
    """The box of a mask and ``margin`` voxels more to each side; by default half the box, at least 24 voxels.

    The default shows as much as the region of a task can reach: one gap beyond the outermost painted slices.
    """
    spans = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis)))
        more = max(24, (int(hit[-1]) - int(hit[0])) // 2 + 2) if margin is None else margin
        spans.append(slice(max(int(hit[0]) - more, 0), int(hit[-1]) + more + 1))
    return tuple(spans)
