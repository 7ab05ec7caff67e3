"""Tasks: a volume, one structure of it, an axis and painted slices, as users would make them.

A task is drawn from a random generator alone, so task number n of a seed can be made again at any time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.protocol import Placement, painted_slices
from ..evaluation.split import held_out
from ..files.images import read_image
from ..support import Support
from ..volume import Volume
from . import synthesis

Random = np.random.Generator

_PAINTED = (2, 3, 3, 4, 5, 5, 6, 8)
_INSIDE_SHARE = 0.65
_EMPTY_SHARE = 0.15


@dataclass(frozen=True)
class Task:
    """One structure to learn from: ``mask`` (slices, rows, columns) is its truth, slice axis first."""

    source: str
    volume: Volume
    mask: NDArray[np.bool_]
    support: Support


@dataclass(frozen=True)
class Source:
    """A folder of labelled volumes and its share of the tasks.

    Attributes:
        folder: has ``labels/`` and, unless ``rendered``, ``images/`` with equal file names.
        share: relative share of the tasks.
        rendered: images are made from the label maps.
        lesions: random lesions put into the images are the structures, not the labels.
    """

    folder: Path
    share: float
    rendered: bool = False
    lesions: bool = False

    @property
    def name(self) -> str:
        return self.folder.name + ("_rendered" if self.rendered else "_lesions" if self.lesions else "")


MIXTURE: dict[str, tuple[float, bool, bool]] = {
    "msd_hippocampus": (0.16, False, False),
    "openkbp": (0.24, False, False),
    "colin27": (0.08, False, False),
    "inia19": (0.08, False, False),
    "totalseg_examples": (0.06, False, False),
    "msd_spleen_crop": (0.01, False, False),
    "synthseg_labelmaps": (0.18, True, False),
    "open_ms": (0.06, False, True),
}
"""Data set → share of the tasks, whether its images are rendered, whether lesions are put in."""
SHAPES_SHARE = 0.13
"""Share of tasks on random shapes, for which no data is needed."""


def find_sources(data: Path, mixture: dict[str, tuple[float, bool, bool]] = MIXTURE) -> list[Source]:
    """The sources of ``mixture`` that are present in the folder ``data`` and may train weights.

    A folder that is itself a data set (has ``labels/``) is the only source: a user's own cohort.
    """
    if (data / "labels").is_dir():
        return [Source(data, 1.0)]
    sources = []
    for name, (share, rendered, lesions) in mixture.items():
        folder = data / name
        if (folder / "labels").is_dir() and _may_train(folder):
            sources.append(Source(folder, share, rendered, lesions))
    return sources


def _may_train(folder: Path) -> bool:
    card = folder / "dataset.json"
    return not card.is_file() or json.loads(card.read_text()).get("use", "train") == "train"


@dataclass
class TaskMaker:
    """Draws tasks.

    Args:
        sources: see :func:`find_sources`; random shapes are added to them.
        held_out: draw from the volumes kept for validation (every sixth of a source) instead of the others.
    """

    sources: Sequence[Source]
    held_out: bool = False
    shapes_share: float = SHAPES_SHARE
    _files: dict[str, list[Path]] = field(default_factory=dict)

    def make(self, random: Random) -> Task:
        """A random task; draws again until one has enough voxels and slices."""
        while True:
            task = self._try(random)
            if task is not None:
                return task

    def _try(self, random: Random) -> Task | None:
        shares = np.array([s.share for s in self.sources] + [self.shapes_share])
        pick = int(random.choice(len(shares), p=shares / shares.sum()))
        if pick == len(self.sources):
            labels, image = synthesis.random_shapes(random)
            mask = labels == random.integers(1, labels.max() + 1)
            return self._task("shapes", image, mask, (1.0, 1.0, 1.0), int(random.integers(3)), random)
        source = self.sources[pick]
        path = self._path(source, random)
        labels, spacing = _read(path)
        if source.lesions:
            image, _ = _read(source.folder / "images" / path.name)
            image, mask = synthesis.lesion(image, random)
        else:
            mask = _structure(labels, random)
            if mask is None:
                return None
            if source.rendered:
                box = _around(mask, 24)
                labels, mask = labels[box], mask[box]
                image = synthesis.render(labels, random)
            else:
                image, _ = _read(source.folder / "images" / path.name)
        axis = 0 if spacing[0] > 1.5 * spacing[1] else int(random.integers(3))
        return self._task(source.name, image, mask, spacing, axis, random)

    def _path(self, source: Source, random: Random) -> Path:
        if source.name not in self._files:
            files = sorted((source.folder / "labels").iterdir())
            if kept := held_out(files):
                files = kept if self.held_out else [file for file in files if file not in kept]
            self._files[source.name] = files
        files = self._files[source.name]
        return files[int(random.integers(len(files)))]

    def _task(
        self,
        source: str,
        image: NDArray[Any],
        mask: NDArray[np.bool_],
        spacing: Sequence[float],
        axis: int,
        random: Random,
    ) -> Task | None:
        image, mask = np.moveaxis(image, axis, 0), np.moveaxis(mask, axis, 0)
        mm = [spacing[axis], *(s for i, s in enumerate(spacing) if i != axis)]
        thickness = int(random.choice([1, 1, 2, 3, 4]))
        if mm[0] * thickness > 6 * mm[1]:
            thickness = 1
        first = int(random.integers(thickness))
        image, mask = image[first::thickness], mask[first::thickness]
        mm[0] *= thickness
        k = int(random.choice(_PAINTED))
        occupied = np.flatnonzero(mask.any((1, 2)))
        if mask.sum() < 100 or len(occupied) < max(2 * k, k + 3) or image.shape[0] < 4:
            return None
        placement: Placement = "inside" if random.random() < _INSIDE_SHARE else "ends"
        slices = painted_slices(mask, k, placement)
        if random.random() < 0.3:  # a person does not space slices evenly
            slices = sorted({int(np.clip(z + random.integers(-1, 2), occupied[0], occupied[-1])) for z in slices})
            slices = [z for z in slices if mask[z].any()]
        if len(slices) < 2:
            return None
        if random.random() < _EMPTY_SHARE:
            slices = sorted({*slices, *_empty_slices(mask, occupied, random)})
        image = synthesis.disturb(image, random)
        if image.min() == image.max():
            return None
        volume = Volume(image, (float(mm[0]), float(mm[1]), float(mm[2])))
        labels = mask[slices].astype(np.uint8)
        return Task(source, volume, mask, Support(0, tuple(slices), labels, (1,)))


def _structure(labels: NDArray[Any], random: Random) -> NDArray[np.bool_] | None:
    """One label, or now and then two that touch, as one structure."""
    values = np.unique(labels[::2, ::2, ::2])
    values = values[values > 0]
    if not len(values):
        return None
    mask = np.asarray(labels == random.choice(values))
    if random.random() < 0.15 and mask.any():
        around = labels[_around(mask, 2)]
        others = np.unique(around[around > 0])
        mask = mask | (labels == random.choice(others))
    return mask if mask.any() else None


def _around(mask: NDArray[np.bool_], margin: int) -> tuple[slice, ...]:
    spans = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(i for i in range(3) if i != axis)))
        spans.append(slice(max(int(hit[0]) - margin, 0), int(hit[-1]) + margin + 1))
    return tuple(spans)


def _empty_slices(mask: NDArray[np.bool_], occupied: NDArray[np.intp], random: Random) -> list[int]:
    """One or two slices just beyond the structure that a user names as empty."""
    reach = max(2, len(occupied) // 4)
    below = int(occupied[0] - random.integers(1, reach + 1))
    above = int(occupied[-1] + random.integers(1, reach + 1))
    picked = {0: [below], 1: [above], 2: [below, above]}[int(random.integers(3))]
    return [z for z in picked if 0 <= z < len(mask)]


@lru_cache(maxsize=48)
def _read(path: Path) -> tuple[NDArray[Any], tuple[float, ...]]:
    array, grid = read_image(path)
    return array, tuple(reversed(grid.spacing))
