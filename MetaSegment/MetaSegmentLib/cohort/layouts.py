"""Folders as other programs have them: images beside their paint, BIDS derivatives, MSD's ``dataset.json``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files.access import require_file
from ..files.formats import format_of
from ..files.parts import data_files, pair_of
from ..files.segmentations import is_segmentation_file
from .rows import Row

IMAGES, PAINTED = "images", ("support", "labels")
DATA_SET = "dataset.json"
DERIVATIVES = "derivatives"
HEADERS = (".hdr", ".hdr.gz")
SINGLE_SLICES = (".dcm", ".ima", ".tif", ".tiff")
"""Endings of files that are volumes only together, or seldom alone."""
T1W = ("sub-*/anat/*_T1w.nii*", "sub-*/ses-*/anat/*_T1w.nii*")
MASKS = ("_mask.nii.gz", "_mask.nii", "_dseg.nii.gz", "_dseg.nii", ".seg.nrrd")
OWN_SPACES = ("", "orig", "t1w")
"""Values of BIDS' ``space`` that stand for the grid of the image itself."""


def is_pair(folder: Path) -> bool:
    """Whether images lie in a folder of their own."""
    return (folder / IMAGES).is_dir()


def pair(folder: Path) -> list[Row]:
    """Cases of ``images/`` with what has the same name in ``support/`` or ``labels/``, in whatever formats."""
    images = _by_stem(one for one in _volumes(folder / IMAGES) if not is_segmentation_file(one))
    for one in _entries(folder / IMAGES):
        if one.is_dir():
            images[one.name].append(one)
    painted = next((folder / name for name in PAINTED if (folder / name).is_dir()), None)
    paint = _by_stem(_volumes(painted)) if painted is not None else {}
    return [
        _paired(stem, images.get(stem, []), paint.get(stem, [])) for stem in sorted({*images, *paint}, key=_in_order)
    ]


def volumes(folder: Path) -> list[Row]:
    """A case for each volume that lies directly in a folder, without paint."""
    images = (one for one in _volumes(folder) if not one.name.lower().endswith((*SINGLE_SLICES, ".seg.nrrd")))
    return [_paired(stem, some, []) for stem, some in sorted(_by_stem(images).items())]


def bids_images(folder: Path) -> list[Path]:
    """The T1-weighted images of a BIDS data set; ``folder`` may also be one of its pipelines of derivatives."""
    top = folder.parents[1] if folder.parent.name == DERIVATIVES else folder
    found = {image for pattern in T1W for image in top.glob(pattern) if _is_volume(image)}
    return sorted(found)


def bids(folder: Path, images: Sequence[Path]) -> list[Row]:
    """Each T1-weighted image with the mask or the segmentation that derivatives have of it."""
    if folder.parent.name == DERIVATIVES:
        masks = folder.glob("sub-*/**/*")
    else:
        masks = folder.glob(f"{DERIVATIVES}/*/sub-*/**/*")
    entities = {image: _entities(image) for image in images}
    found: dict[Path, list[Path]] = defaultdict(list)
    for mask in sorted(one for one in masks if one.name.endswith(MASKS) and one.is_file()):
        own = _entities(mask)
        if own.get("space", "").lower() in OWN_SPACES:
            for image in _meant(own, entities):
                found[image].append(mask)
    claims: dict[Path, int] = defaultdict(int)
    for some in found.values():
        for mask in some:
            claims[mask] += 1
    return [_bids_row(image, entities[image], found[image], claims) for image in images]


def is_msd(folder: Path) -> bool:
    """Whether a folder has a ``dataset.json`` that lists its images."""
    try:
        return (folder / DATA_SET).is_file() and "training" in _described(folder / DATA_SET)
    except InputError:
        return False


def msd(file: Path) -> list[Row]:
    """Cases of a ``dataset.json`` as the Medical Segmentation Decathlon has it; test images have no paint.

    Raises:
        InputError: it is not such a file.
    """
    about = _described(file)
    training, test = about.get("training"), about.get("test", [])
    if not isinstance(training, list) or not isinstance(test, list):
        raise InputError("The dataset.json does not list its images as 'training' and 'test'; mend it.")
    channels = about.get("modality")
    several = isinstance(channels, dict | list) and len(channels) > 1
    frame = 0 if several or about.get("tensorImageSize") == "4D" else None
    rows = []
    for number, entry in enumerate([*training, *test], start=1):
        named = entry if isinstance(entry, dict) else {"image": entry}
        image, label = named.get("image"), named.get("label")
        if not isinstance(image, str) or not isinstance(label, str | None):
            raise InputError(f"Image {number} of dataset.json has no name of a file; mend the list.")
        paint = () if label is None else ((file.parent / label, None),)
        rows.append(Row(_stem(Path(image)), file.parent / image, paint, frame=frame))
    return rows


def _paired(stem: str, images: Sequence[Path], paint: Sequence[Path]) -> Row:
    if not images:
        return Row(stem, problem="The paint has no image of the same name; add it, or remove the paint.")
    if len(images) > 1 or len(paint) > 1:
        what = "images" if len(images) > 1 else "supports"
        return Row(stem, problem=f"Several {what} have the name of this case; leave one of them.")
    return Row(stem, images[0], tuple((one, None) for one in paint))


def _bids_row(image: Path, entities: dict[str, str], masks: Sequence[Path], claims: dict[Path, int]) -> Row:
    name = "_".join(f"{key}-{value}" for key, value in entities.items())
    if any(claims[mask] > 1 for mask in masks):
        return Row(
            name, problem="A derivative fits several images of the subject; let its name say which run it is of."
        )
    if len(masks) > 1:
        return Row(name, problem="Several derivatives fit the image; give one folder of derivatives, with one of them.")
    return Row(name, image, tuple((mask, None) for mask in masks))


def _meant(mask: dict[str, str], images: dict[Path, dict[str, str]]) -> list[Path]:
    """The images that a derivative may be of: of the same person and session, and in no entity another one."""
    fitting = [
        image
        for image, own in images.items()
        if all(mask.get(key) == own.get(key) for key in ("sub", "ses"))
        and all(mask[key] == own[key] for key in mask.keys() & own.keys())
    ]
    exact = [image for image in fitting if images[image].keys() <= mask.keys()]
    # One that names a run is not of the image that names none.
    most = max((len(images[image]) for image in exact), default=0)
    return [image for image in exact if len(images[image]) == most] or fitting


def _entities(file: Path) -> dict[str, str]:
    """``sub-01_run-2_T1w`` as sub: 01, run: 2."""
    parts = (part.partition("-") for part in _stem(file).split("_"))
    return {key: value for key, dash, value in parts if dash}


def _described(file: Path) -> dict[str, Any]:
    require_file(file, "dataset.json")
    try:
        about = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError("The dataset.json is not valid JSON; mend it.") from error
    if not isinstance(about, dict):
        raise InputError("The dataset.json does not describe a data set; give another one.")
    return about


def _entries(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if not one.name.startswith("."))


def _is_volume(file: Path) -> bool:
    return not file.name.startswith(".") and format_of(file) is not None and file.is_file()


def _volumes(folder: Path) -> list[Path]:
    """The volumes of a folder; of those that consist of several files, the one with the header."""
    files = [one for one in _entries(folder) if _is_volume(one)]
    beside = {file for one in files for file in data_files(one)}
    beside |= {file for one in files if one.name.lower().endswith(HEADERS) for file in pair_of(one)}
    return [one for one in files if one not in beside]


def _by_stem(files: Iterable[Path]) -> defaultdict[str, list[Path]]:
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for file in files:
        found[_stem(file)].append(file)
    return found


def _stem(file: Path) -> str:
    own = format_of(file)
    return file.name if own is None else file.name[: -len(own.ending)]


def _in_order(stem: str) -> tuple[str, str]:
    return stem.casefold(), stem
