"""A pack: what the sources of training need of their data sets in one small file, for where there is no network.

A zip file of NIfTI volumes with whole numbers, cut to what is labelled, each set with its ``dataset.json``; a manifest
says where they come from, under which licences, and gives the SHA-256 of every file. Unpacked it is a folder of data
sets like any other.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ..data.datasets import describe
from ..data.splits import HELD_OUT_EVERY, persons
from ..errors import InputError
from ..files.grids import Grid
from ..files.images import read_image, write_image
from ..progress import Progress
from ..replacing import replacing
from .config import Share
from .sources import around

MANIFEST = "pack.json"
MOST_MB = 60.0

_MARGIN = 24
"""Voxels that are kept around what is labelled: as much as a task shows of it at least."""
_LEVELS = 4095
"""Fractions, and what does not fit 16 bits, become whole numbers from 0 to this."""
_FINEST = 1.5
"""A volume is made coarser along the axes whose spacing is below so many times the finest one."""
_COARSEST = 3
"""A set that is too large is halved at most so often, then left out."""
_KEPT = ("name", "description", "modality", "anatomy", "licence", "use", "source", "labels_by", "labels", "slice_axis")


@dataclass(frozen=True)
class PackedSet:
    """What a pack holds of a data set.

    Attributes:
        volumes, of: how many of its volumes.
        coarser: how often its voxels were doubled in width.
        bytes: in the pack.
    """

    volumes: int
    of: int
    coarser: int
    bytes: int
    licence: str
    source: str


@dataclass(frozen=True)
class _Set:
    """A data set as the sources use it; ``labelled`` and ``shown``: whether its labels and its images are needed."""

    folder: Path
    share: float
    labelled: bool
    shown: bool

    @property
    def groups(self) -> list[list[tuple[Path, Hashable]]]:
        """Files with who they are of, six persons a group, the first of whom is kept out of training: whole groups, in
        their order, split as the set does."""
        files = sorted((self.folder / ("labels" if self.labelled else "images")).iterdir())
        files = [file for file in files if file.is_file() and not file.name.startswith(".")]
        who = persons((file.name for file in files), describe(self.folder))
        everyone = list(dict.fromkeys(who))
        group = {person: place // HELD_OUT_EVERY for place, person in enumerate(everyone)}
        found: list[list[tuple[Path, Hashable]]] = [[] for _ in range(max(group.values(), default=-1) + 1)]
        for file, person in zip(files, who, strict=True):
            found[group[person]].append((file, person))
        return found


def write_pack(
    data: Path, shares: Sequence[Share], file: Path, most_mb: float = MOST_MB, progress: Progress | None = None
) -> dict[str, PackedSet]:
    """Write what the sources ``shares`` need of the folder ``data`` to a file of at most ``most_mb`` megabytes.

    Every set gets room by its share of the tasks, and what others do not need of theirs. A set that needs more loses
    volumes, six persons at a time, then is made coarser.

    Raises:
        InputError: nothing to pack, a set that may not be trained on, or a volume that cannot be read.
    """
    sets = _sets(data, shares)
    progress = progress or Progress()
    with tempfile.TemporaryDirectory(prefix="metasegment-") as name, replacing(file) as waiting:
        work = Path(name)
        sizes: dict[str, list[int]] = {}
        for one in sets:
            groups = one.groups
            stage = f"packing {one.folder.name}"
            sizes[one.folder.name] = [
                sum(_compressed(one, path, work, 0) for path, _ in group) for group in progress.steps(stage, groups)
            ]
        room = _rooms({one.folder.name: (one.share, sum(sizes[one.folder.name])) for one in sets}, most_mb * 1e6)
        packed: dict[str, PackedSet] = {}
        sums: dict[str, str] = {}
        with zipfile.ZipFile(waiting, "w", zipfile.ZIP_BZIP2) as archive:
            for one in sets:
                name = one.folder.name
                groups, coarser = _chosen(one, sizes[name], room[name], work)
                if groups:
                    packed[name] = _write_set(one, groups, coarser, archive, sums, work)
            about = {"sets": {name: asdict(one) for name, one in packed.items()}, "files": sums}
            if (data / "labels").is_dir():
                about["own"] = data.resolve().name
            archive.writestr(MANIFEST, json.dumps(about, indent=1))
    return packed


def unpack(file: Path, folder: Path) -> Path:
    """The data sets of a pack as a folder below ``folder``, checked; what an earlier call has unpacked is used.

    Raises:
        InputError: not a pack, or damaged.
    """
    with _opened(file) as (archive, about):
        place = folder / hashlib.sha256(json.dumps(about["files"], sort_keys=True).encode()).hexdigest()[:12]
        if not (place / MANIFEST).is_file():
            for name, expected in about["files"].items():
                content = archive.read(name)
                if hashlib.sha256(content).hexdigest() != expected or ".." in Path(name).parts or name.startswith("/"):
                    raise InputError("The pack is damaged; make or copy it again.")
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(content)
            # Last, as the sign that all is there.
            (place / MANIFEST).write_text(json.dumps(about, indent=1), encoding="utf-8")
    return place / about["own"] if "own" in about else place


def contents(file: Path) -> dict[str, PackedSet]:
    """What a pack holds of each data set, by its name.

    Raises:
        InputError: not a pack.
    """
    with _opened(file) as (_, about):
        return {name: PackedSet(**one) for name, one in about["sets"].items()}


@contextmanager
def _opened(file: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive, json.loads(archive.read(MANIFEST))
    except FileNotFoundError as error:
        raise InputError("There is no such pack; make one with: metasegment train pack.") from error
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise InputError("The pack is damaged; make or copy it again.") from error


def _sets(data: Path, shares: Sequence[Share]) -> list[_Set]:
    """The data sets that sources name and that are there; of a folder that is one itself, that."""
    if (data / "labels").is_dir():
        found = [_Set(data.resolve(), 1.0, True, (data / "images").is_dir())]
    else:
        named: dict[str, list[Share]] = {}
        for one in shares:
            if one.kind != "shapes" and (data / one.folder).is_dir():
                named.setdefault(one.folder, []).append(one)
        found = [
            _Set(
                data / folder,
                sum(one.share for one in some),
                any(one.kind in ("labelled", "rendered") for one in some),
                any(one.kind != "rendered" for one in some),
            )
            for folder, some in named.items()
        ]
    for single in found:
        if describe(single.folder).get("use", "train") != "train":
            raise InputError(f"'{single.folder.name}' may not be trained on; take it out of the sources.")
    if not found:
        raise InputError("None of the data sets that the sources name is there; name their folder with --data.")
    return found


def _rooms(wanted: Mapping[str, tuple[float, int]], room: float) -> dict[str, float]:
    """Bytes for each set, from its share and what it could use: none gets more than it can use."""
    given: dict[str, float] = {}
    room *= 0.99  # names, manifest and the zip's own tables
    while wanted:
        shares = sum(share for share, _ in wanted.values())
        content = {name: size for name, (share, size) in wanted.items() if size <= room * share / shares}
        if not content:
            return given | {name: room * share / shares for name, (share, _) in wanted.items()}
        given |= content
        room -= sum(content.values())
        wanted = {name: one for name, one in wanted.items() if name not in content}
    return given


def _chosen(one: _Set, sizes: Sequence[int], room: float, work: Path) -> tuple[list[list[tuple[Path, Hashable]]], int]:
    """The groups of a set that fit, evenly spread over it, and how much coarser they have to be."""
    groups = one.groups
    for count in range(len(groups), 0, -1):
        places = sorted({round(place) for place in np.linspace(0, len(groups) - 1, count)}) if count > 1 else [0]
        if sum(sizes[place] for place in places) <= room:
            return [groups[place] for place in places], 0
    for coarser in range(1, _COARSEST + 1):
        if sum(_compressed(one, path, work, coarser) for path, _ in groups[0]) <= room:
            return [groups[0]], coarser
    return [], 0


def _write_set(
    one: _Set,
    groups: Sequence[Sequence[tuple[Path, Hashable]]],
    coarser: int,
    archive: zipfile.ZipFile,
    sums: dict[str, str],
    work: Path,
) -> PackedSet:
    """Add a set; its volumes get numbers for names, since names may tell who the patient is."""
    name, size = one.folder.name, 0
    who: dict[str, int] = {}
    numbers: dict[Hashable, int] = {}

    def add(place: str, content: bytes) -> int:
        sums[place] = hashlib.sha256(content).hexdigest()
        archive.writestr(place, content)
        return archive.getinfo(place).compress_size

    for number, (path, person) in enumerate(pair for group in groups for pair in group):
        stem = f"{number:04d}"
        who[stem] = numbers.setdefault(person, len(numbers))
        for part, file in _files(one, path, work, coarser).items():
            size += add(f"{name}/{part}/{stem}.nii", file.read_bytes())
    about = describe(one.folder)
    text = json.dumps({key: about[key] for key in _KEPT if key in about} | {"persons": who}, indent=1)
    size += add(f"{name}/dataset.json", text.encode())
    total = sum(len(group) for group in one.groups)
    return PackedSet(
        len(who), total, coarser, size, str(about.get("licence", "not stated")), str(about.get("source", "not stated"))
    )


def _compressed(one: _Set, path: Path, work: Path, coarser: int) -> int:
    """Bytes of a volume in the pack."""
    import bz2

    # 250 bytes for the tables of the zip file and the manifest
    return sum(len(bz2.compress(file.read_bytes())) + 250 for file in _files(one, path, work, coarser).values())


def _files(one: _Set, path: Path, work: Path, coarser: int) -> dict[str, Path]:
    """A volume's files as they are packed, by the folder they belong to."""
    parts = [part for part, needed in (("labels", one.labelled), ("images", one.shown)) if needed]
    made = {part: work / f"{one.folder.name}-{coarser}-{path.name}-{part}.nii" for part in parts}
    if all(file.exists() for file in made.values()):
        return made
    arrays = {}
    for part in parts:
        array, grid = read_image(one.folder / part / path.name, "label map" if part == "labels" else "image")
        arrays[part] = _small_labels(array) if part == "labels" else _whole_numbers(array)
    if len({array.shape for array in arrays.values()}) > 1:
        raise InputError(f"Labels of '{one.folder.name}' are not on the image's grid; mend or remove them.")
    first = arrays[parts[0]]
    shown = first > (0 if one.labelled else first.min())
    box = around(shown, _MARGIN if one.labelled else 0) if shown.any() else (slice(None),) * 3
    spacing = grid.array_spacing
    step = [2**coarser if mm < _FINEST * min(spacing) else 1 for mm in spacing]
    for part, array in arrays.items():
        cut = array[box]
        if coarser and part == "images":
            cut = uniform_filter(cut.astype(np.float32), step).round().astype(np.int16)
        cut = np.ascontiguousarray(cut[tuple(slice(s // 2, None, s) for s in step)])
        mm = tuple(float(n * s) for n, s in zip(spacing, step, strict=True))[::-1]
        size = (cut.shape[2], cut.shape[1], cut.shape[0])
        write_image(made[part], cut, Grid(size, (0, 0, 0), (mm[0], mm[1], mm[2]), (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    return made


def _small_labels(array: NDArray[Any]) -> NDArray[Any]:
    array = np.maximum(np.round(array), 0)
    return array.astype(np.uint8 if array.max(initial=0) < 256 else np.uint16)


def _whole_numbers(array: NDArray[Any]) -> NDArray[np.int16]:
    """Whole numbers as they are where they fit; all others in even steps from the least to the largest."""
    low, high = float(np.nanmin(array)), float(np.nanmax(array))
    if array.dtype.kind in "iu" and -(2**15) <= low and high < 2**15:
        return array.astype(np.int16)
    scaled = (np.nan_to_num(array.astype(np.float64), nan=low) - low) * (_LEVELS / max(high - low, 1e-12))
    return scaled.round().astype(np.int16)
