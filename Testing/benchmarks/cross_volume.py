"""Structures in volumes of other patients: Dice with one support and with three, and whether they are found at all.

    python3 Testing/benchmarks/cross_volume.py dice DATA/msd_hippocampus [--cases 12] [--labels 1 2] [--method fusion]
    python3 Testing/benchmarks/cross_volume.py follow DATA/acdc [--cases 10] [--labels 1 2 3]
    python3 Testing/benchmarks/cross_volume.py library DATA/openkbp DATA/msd_hippocampus ... [--cases 3] [--size 8]
    python3 Testing/benchmarks/cross_volume.py confidence DATA/openkbp DATA/msd_hippocampus ... [--cases 12]

``dice``: each target is segmented from persons of the same set, of whom K slices of each structure are painted
(``inside``). Compared with carrying their segmentations by registration alone. Of a set of which parts may be trained
on, targets are the persons kept out. ``library``: volumes of persons that were not kept out, ``--size`` of each set,
are the library; targets are persons kept out. Whether the nearest one is of the same set, for all of them, and for
``--cases`` of each set the Dice from the nearest ones, from one drawn from the library, and from one drawn from the
same set. ``follow``: the first frame of each person is painted, the second one segmented.
``confidence``: fits the weights of ``registration/found.py``: structures carried to another person's volume, in which
they are, and to volumes of another set, in which they are not.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from MetaSegmentLib import Settings, adapt
from MetaSegmentLib.across import AdaptedMany, follow
from MetaSegmentLib.data.protocol import dice, painted_slices
from MetaSegmentLib.data.splits import held_out, persons
from MetaSegmentLib.engine import Adapted
from MetaSegmentLib.registration.carry import Source, carry
from MetaSegmentLib.registration.found import confidence
from MetaSegmentLib.registration.retrieval import Picture, nearest, picture_of
from MetaSegmentLib.task.volume import check_volume

LEAST = 50
"""Voxels of a structure that is looked for."""
FEATURES = ("likeness", "returned", "growth")


class Scans:
    """The volumes of a data set, by file name."""

    def __init__(self, folder: Path, labels: list[int]) -> None:
        self.folder, self.labels = folder, labels
        about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        self.axis = int(about.get("slice_axis") or 0)
        self.may_train = about.get("use") == "train"
        self.names = sorted(path.name for path in (folder / "images").glob("*.nii.gz"))
        who = persons(self.names, about)
        self.person = dict(zip(self.names, who, strict=True))
        self.kept_out = list(held_out(self.names, who)) if self.may_train else self.names

    def read(self, name: str) -> tuple[np.ndarray, tuple[float, ...], np.ndarray]:
        """Image, spacing, labels; only those that are looked for."""
        image = sitk.ReadImage(str(self.folder / "images" / name))
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(self.folder / "labels" / name)))
        labels = np.where(np.isin(labels, self.labels), labels, 0).astype(np.uint8)
        return sitk.GetArrayFromImage(image).astype(np.float32), image.GetSpacing()[::-1], labels

    def painted(self, labels: np.ndarray, k: int) -> tuple[np.ndarray, dict[int, list[int]]]:
        """K slices of each structure."""
        paint, slices = np.zeros_like(labels), {}
        for value in self.labels:
            if (labels == value).sum() < LEAST:
                continue
            slices[value] = painted_slices(labels == value, k, "inside", self.axis)
            for index in slices[value]:
                where = (slice(None),) * self.axis + (index,)
                paint[where][labels[where] == value] = value
        return paint, slices

    def adapted(self, name: str, k: int, method: str) -> Adapted:
        image, spacing, labels = self.read(name)
        paint, slices = self.painted(labels, k)
        return adapt(image, paint, spacing, slices, self.axis, Settings(method=method))


def mean_dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Over the structures that are there."""
    return float(np.mean([dice(found == value, truth == value) for value in np.unique(truth) if value]))


def cross(scans: Scans, cases: int, k: int, method: str, seed: int) -> Iterator[dict[str, Any]]:
    """One record a target."""
    rng = np.random.default_rng(seed)
    targets = [str(name) for name in rng.permutation(scans.kept_out)[:cases]]
    ready: dict[str, Adapted] = {}
    for target in targets:
        others = [name for name in scans.kept_out if scans.person[name] != scans.person[target]]
        chosen = [str(name) for name in rng.choice(others, min(3, len(others)), replace=False)]
        image, spacing, truth = scans.read(target)
        for name in chosen:
            if name not in ready:
                ready[name] = scans.adapted(name, k, method)
        record: dict[str, Any] = {}
        for count in (1, 3):
            supports = [ready[name] for name in chosen[:count]]
            start = time.monotonic()
            sources = [Source(one._volume, one._whole) for one in supports]
            carried = carry(sources, check_volume(image, spacing), sure=True)
            record[f"registration {count}"] = mean_dice(carried.labels, truth)
            record[f"s registration {count}"] = time.monotonic() - start
            start = time.monotonic()
            result = AdaptedMany(supports).predict(image, spacing)
            record[f"method {count}"] = mean_dice(result.labels, truth)
            record[f"s method {count}"] = time.monotonic() - start
            record[f"found {count}"] = float(np.mean(list(result.report["found"].values())))
        yield record


def from_library(
    sets: list[Scans], cases: int, size: int, k: int, method: str, seed: int
) -> Iterator[dict[str, float]]:
    """One record a target: whether the nearest is of its set, and the Dice. First retrieval alone, which is quick."""
    rng = np.random.default_rng(seed)
    known = [
        (scans, str(name))
        for scans in sets
        for name in rng.permutation([name for name in scans.names if name not in scans.kept_out])[:size]
    ]
    pictures = [_picture(scans, name) for scans, name in known]
    targets = [
        (scans, str(name), number)
        for scans in sets
        for number, name in enumerate(rng.permutation(scans.kept_out or scans.names)[: max(cases, 8)])
    ]

    def nearest_to(scans: Scans, name: str) -> list[tuple[int, float]]:
        """Of other persons, for sets of which nobody was kept out."""
        places = [
            n for n, (other, one) in enumerate(known) if (other, other.person[one]) != (scans, scans.person[name])
        ]
        return [(places[n], alike) for n, alike in nearest(_picture(scans, name), [pictures[n] for n in places])]

    hits: dict[str, list[bool]] = {scans.folder.name: [] for scans in sets}
    for scans, name, _ in targets:
        hits[scans.folder.name].append(all(known[place][0] is scans for place, _ in nearest_to(scans, name)))
    print("all that are taken are of the same set:", {name: f"{sum(some)}/{len(some)}" for name, some in hits.items()})
    ready: dict[int, Adapted] = {}

    def dice_from(places: list[int], scans: Scans, name: str) -> float:
        for place in places:
            if place not in ready:
                ready[place] = known[place][0].adapted(known[place][1], k, method)
        image, spacing, truth = scans.read(name)
        labels = AdaptedMany([ready[place] for place in places]).predict(image, spacing).labels
        return mean_dice(labels, truth)

    for scans, name, number in sorted(targets, key=lambda target: target[2]):
        if number >= cases:
            return
        found = nearest_to(scans, name)
        own = [n for n, (other, one) in enumerate(known) if other is scans and other.person[one] != scans.person[name]]
        record = {"set": float(sets.index(scans)), "likeness": found[0][1], "taken": float(len(found))}
        record["nearest"] = dice_from([place for place, _ in found], scans, name)
        record["nearest alone"] = record["nearest"] if len(found) < 2 else dice_from([found[0][0]], scans, name)
        record["any of the set"] = dice_from([int(rng.choice(own))], scans, name)
        # Structures of another set have other meanings, so what it gives is right nowhere.
        drawn = int(rng.integers(len(known)))
        record["any of all"] = dice_from([drawn], scans, name) if drawn in own else 0.0
        yield record


def _picture(scans: Scans, name: str) -> Picture:
    image, spacing, _ = scans.read(name)
    return picture_of(check_volume(image, spacing))


def follow_up(scans: Scans, cases: int, k: int, method: str, seed: int) -> Iterator[dict[str, Any]]:
    """One record a person with two frames."""
    frames: dict[Any, list[str]] = {}
    for name in scans.names:
        frames.setdefault(scans.person[name], []).append(name)
    pairs = [pair for pair in frames.values() if len(pair) == 2]
    for place in np.random.default_rng(seed).permutation(len(pairs))[:cases]:
        first, second = pairs[place]
        support = scans.adapted(first, k, method)
        image, spacing, truth = scans.read(second)
        carried = carry([Source(support._volume, support._whole)], check_volume(image, spacing), sure=True)
        result = follow([support], image, spacing, [1.0], None)
        yield {
            "as it was": mean_dice(support._whole, truth) if support._whole.shape == truth.shape else float("nan"),
            "registration": mean_dice(carried.labels, truth),
            "method": mean_dice(result.labels, truth),
        }


def evidence(sets: list[Scans], cases: int, seed: int) -> Iterator[dict[str, float]]:
    """One record a structure: what speaks for it, whether it is there, and the Dice."""
    rng = np.random.default_rng(seed)
    for place in range(cases):
        for scans in sets:
            others = [one for one in sets if one is not scans]
            for present in (True, False):
                count = 1 + 2 * (place % 2)
                names = [str(name) for name in rng.permutation(scans.names)]
                first = names[0]
                if present:
                    image, spacing, truth = scans.read(first)
                else:
                    elsewhere = others[int(rng.integers(len(others)))]
                    image, spacing, truth = elsewhere.read(str(rng.choice(elsewhere.names)))
                    truth = np.zeros_like(truth)
                known = [scans.read(name) for name in names[1:] if scans.person[name] != scans.person[first]][:count]
                sources = [Source(check_volume(i, s), labels) for i, s, labels in known if labels.any()]
                if not sources:
                    continue
                try:
                    carried = carry(sources, check_volume(image, spacing))
                except Exception as error:  # registration gives up where nothing is alike
                    print(type(error).__name__)
                    continue
                for value, found in carried.evidence.items():
                    there = int((truth == value).sum())
                    if present and there < LEAST:
                        continue
                    record = {name: float(getattr(found, name)) for name in FEATURES}
                    record |= {"there": float(present), "confidence": confidence(found), "supports": len(sources)}
                    yield record | {"dice": dice(carried.labels == value, truth == value) if present else 0.0}


def fit(records: list[dict[str, float]]) -> None:
    """Print weights and how well they part, on the half of the records that they were not fitted on."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    x = np.array([[one[name] for name in FEATURES] for one in records])
    # Laid somewhere else in a volume that has it is not found either.
    y = np.array([one["there"] > 0 and one["dice"] > 0.3 for one in records])
    for half in (0, 1):
        fitted = LogisticRegression(C=3).fit(x[half::2], y[half::2])
        sure = fitted.predict_proba(x[1 - half :: 2])[:, 1]
        other = y[1 - half :: 2]
        print(f"other half: AUC {roc_auc_score(other, sure):.3f}, right {np.mean((sure > 0.5) == other):.3f}")
    for name, column in zip(FEATURES, x.T, strict=True):
        print(f"{name}: AUC {roc_auc_score(y, column):.3f}, there {column[y].mean():.3f}, not {column[~y].mean():.3f}")
    fitted = LogisticRegression(C=3).fit(x, y)
    print(
        "bias",
        round(float(fitted.intercept_[0]), 2),
        dict(zip(FEATURES, fitted.coef_[0].round(2).tolist(), strict=True)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("what", choices=("dice", "follow", "library", "confidence"))
    add("data", type=Path, nargs="+")
    add("--cases", type=int, default=12)
    add("--labels", type=int, nargs="+", default=[1, 2])
    add("--k", type=int, default=5)
    add("--method", default="fusion")
    add("--seed", type=int, default=0)
    add("--size", type=int, default=8, help="volumes of each set in the library")
    add("--minutes", type=float, default=1e9, help="stop after so long, with what is there")
    arguments = parser.parse_args()
    sets = [Scans(folder, arguments.labels) for folder in arguments.data]
    given = (sets[0], arguments.cases, arguments.k, arguments.method, arguments.seed)
    if arguments.what == "confidence":
        running = evidence(sets, arguments.cases, arguments.seed)
    elif arguments.what == "library":
        running = from_library(sets, arguments.cases, arguments.size, arguments.k, arguments.method, arguments.seed)
    else:
        running = cross(*given) if arguments.what == "dice" else follow_up(*given)
    records, end = [], time.monotonic() + 60 * arguments.minutes
    for record in running:
        records.append(record)
        print({name: round(value, 3) for name, value in record.items()}, flush=True)
        if time.monotonic() > end:
            break
    if records:
        print(len(records), {name: round(float(np.mean([one[name] for one in records])), 3) for name in records[0]})
    if arguments.what == "confidence":
        fit(records)


if __name__ == "__main__":
    main()
