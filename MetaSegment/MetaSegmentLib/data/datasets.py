"""Cases: every structure of every labelled volume of a folder, and a well spread choice of them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..files.images import read_image
from ..progress import Progress
from .protocol import enough
from .splits import held_out, persons
from .synthesis import render

Spacing = tuple[float, float, float]

# A volume this much coarser along one axis than along the others was acquired, and is painted, across that axis.
_CLEARLY_COARSER = 1.5


@dataclass(frozen=True)
class LabelledVolume:
    """An image and its labels. ``number`` stands for the file's name, which may tell who the patient is.

    Attributes:
        image: None has an image made from the labels.
        data_set: name of the data set's folder.
        number: place among the volumes of the data set, from 1, by file name.
        fingerprint: checksum of the labels, by which an earlier result is recognised.
    """

    data_set: str
    number: int
    image: Path | None
    labels: Path
    fingerprint: int


@dataclass(frozen=True)
class Case:
    """One structure of one volume.

    Attributes:
        value: its label value.
        name: what the data set calls it.
        axis: the array axis across which it is painted.
        voxels: its size.
        occupied: on how many slices along ``axis`` it is present.
    """

    volume: LabelledVolume
    value: int
    name: str
    axis: int
    voxels: int
    occupied: int

    def eligible(self, k: int) -> bool:
        """Whether it counts when ``k`` slices are painted."""
        return enough(self.voxels, self.occupied, k)


def find_cases(
    folder: Path,
    axis: int | None = None,
    progress: Progress | None = None,
    only_held_out: bool = False,
    rendered: bool = False,
) -> list[Case]:
    """All structures of a data set, by volume and label value, whatever their size.

    Args:
        folder: holds ``images/`` and ``labels/`` with files of equal names, and perhaps ``dataset.json`` with
            ``labels`` (value to name), ``slice_axis`` and ``persons`` (see :mod:`.splits`).
        axis: slice axis; None takes the data set's own, else the clearly coarsest one of each volume, else 0.
        only_held_out: pass over the volumes that training may use.
        rendered: make images for a folder that has ``labels/`` only.

    Raises:
        InputError: the folder is not one of labelled volumes.
    """
    about = describe(folder)
    names = _names(about.get("labels", {}), folder)
    if axis is None:
        axis = _slice_axis(about.get("slice_axis"), folder)
    cases = []
    pairs = list(enumerate(_pairs(folder, rendered), start=1))
    if only_held_out:
        who = persons((label_file.name for _, (_, label_file) in pairs), about)
        if not (pairs := held_out(pairs, who)):
            raise InputError(f"'{folder.name}' has too few volumes for any to be kept out of training; leave it out.")
    for number, (image, label_file) in (progress or Progress()).steps("looking through the labels", pairs):
        with _naming_volume(folder.resolve().name, number):
            labels, spacing = _read_labels(label_file)
        volume = LabelledVolume(folder.resolve().name, number, image, label_file, zlib.crc32(labels.tobytes()))
        own_axis = axis if axis is not None else _natural_axis(spacing)
        for value, (voxels, occupied) in _sizes(labels, own_axis).items():
            name = names.get(value, f"label {value}")
            cases.append(Case(volume, value, name, own_axis, voxels, occupied))
    return cases


def load(volume: LabelledVolume) -> tuple[NDArray[Any], Spacing, NDArray[np.integer[Any]]]:
    """(K, J, I) image, spacing in mm in array order, (K, J, I) labels; a rendered image is the same every time.

    Raises:
        InputError: a file cannot be read, or the two are not of the same size.
    """
    with _naming_volume(volume.data_set, volume.number):
        labels, spacing = _read_labels(volume.labels)
        if volume.image is None:
            return render(labels, np.random.default_rng(volume.fingerprint)), spacing, labels
        image, _ = read_image(volume.image)
        if image.shape != labels.shape:
            raise InputError("The labels are not on the image's grid; mend or remove them.")
    return image, spacing, labels


def choose(cases: Iterable[Case], ks: Iterable[int], limit: int | None, seed: int = 0) -> dict[int, list[Case]]:
    """For each K the eligible cases, at most ``limit`` of them, as far as possible the same ones for every K.

    The choice goes evenly round the volumes, the labels and the sizes (in steps of a factor of four); ``seed``
    breaks ties.
    """
    ks = list(ks)
    candidates = [case for case in cases if any(case.eligible(k) for k in ks)]
    ordered = spread(candidates, seed) if limit is not None else candidates
    return {k: [case for case in ordered if case.eligible(k)][:limit] for k in ks}


def spread(cases: Sequence[Case], seed: int = 0) -> list[Case]:
    """All cases in such an order that any first few of them differ in volume, label and size as far as possible."""
    if not cases:
        return []
    groups = [
        _codes(case.volume.labels for case in cases),
        _codes(case.value for case in cases),
        np.array([int(np.log2(case.voxels) / 2) for case in cases]),
    ]
    used = [np.zeros(group.max() + 1, int) for group in groups]
    tie = np.random.default_rng(seed).random(len(cases))
    open_cases = np.ones(len(cases), bool)
    order = []
    for _ in cases:
        # The most crowded of a case's three groups decides, then the sum, then chance.
        counts = np.stack([count[group] for count, group in zip(used, groups, strict=True)])
        cost = counts.max(axis=0) * 1e6 + counts.sum(axis=0) + tie
        pick = int(np.where(open_cases, cost, np.inf).argmin())
        open_cases[pick] = False
        for count, group in zip(used, groups, strict=True):
            count[group[pick]] += 1
        order.append(cases[pick])
    return order


def _read_labels(path: Path) -> tuple[NDArray[np.integer[Any]], Spacing]:
    labels, grid = read_image(path, "label map")
    if labels.dtype.kind == "f":
        labels = np.round(labels).astype(np.int32)
    return labels, grid.array_spacing


@contextmanager
def _naming_volume(data_set: str, number: int) -> Iterator[None]:
    """Errors inside name the volume that they are about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"Volume {number} of '{data_set}', by file name: {error}") from error


def _codes(values: Iterable[Any]) -> NDArray[np.intp]:
    codes: dict[Any, int] = {}
    return np.array([codes.setdefault(value, len(codes)) for value in values])


def describe(folder: Path) -> dict[str, Any]:
    """What the ``dataset.json`` of a data set says; nothing where there is none."""
    file = folder / "dataset.json"
    if not file.is_file():
        return {}
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"The dataset.json of '{folder.name}' is not valid JSON; mend or remove it.") from error
    return about if isinstance(about, dict) else {}


def _names(labels: Any, folder: Path) -> dict[int, str]:
    """Names by value, which may also be written the other way round, as nnU-Net has it."""
    try:
        turned = {str(key): value for key, value in labels.items()}
        if all(key.isdigit() for key in turned):
            return {int(key): str(name) for key, name in turned.items()}
        return {int(value): key for key, value in turned.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f'The labels in the dataset.json of \'{folder.name}\' are not understood; write {{"1": "liver"}}.'
        ) from error


def _slice_axis(axis: Any, folder: Path) -> int | None:
    if axis is None or (isinstance(axis, int) and axis in (0, 1, 2)):
        return axis
    raise InputError(f"The slice_axis in the dataset.json of '{folder.name}' must be 0, 1 or 2; mend or remove it.")


def _pairs(folder: Path, rendered: bool) -> list[tuple[Path | None, Path]]:
    """Image, or None where it is to be rendered, and label map of each volume, by file name."""
    images, labels = folder / "images", folder / "labels"
    rendered = rendered and not images.is_dir()
    if not labels.is_dir() or not (rendered or images.is_dir()):
        raise InputError(
            f"'{folder.name}' is no folder of labelled volumes; it must hold the folders images and labels."
        )
    files = sorted(file for file in labels.iterdir() if file.is_file() and not file.name.startswith("."))
    if rendered:
        return [(None, file) for file in files]
    pairs: list[tuple[Path | None, Path]] = [
        (images / file.name, file) for file in files if (images / file.name).is_file()
    ]
    if not pairs:
        raise InputError(f"No image of '{folder.name}' has a label map; give both the same file name.")
    return pairs


def _natural_axis(spacing: Sequence[float]) -> int:
    coarsest = int(np.argmax(spacing))
    others = max(step for axis, step in enumerate(spacing) if axis != coarsest)
    return coarsest if spacing[coarsest] >= _CLEARLY_COARSER * others else 0


def _sizes(labels: NDArray[np.integer[Any]], axis: int) -> dict[int, tuple[int, int]]:
    """Label value to (voxels, occupied slices), without the background."""
    front = np.moveaxis(labels, axis, 0)
    sizes: dict[int, tuple[int, int]] = {}
    for plane in front:
        for value, count in zip(*np.unique(plane, return_counts=True), strict=True):
            if value:
                voxels, occupied = sizes.get(int(value), (0, 0))
                sizes[int(value)] = (voxels + int(count), occupied + 1)
    return dict(sorted(sizes.items()))
