"""Accuracy on small real crops does not drop; credits for the crops are in ``crops/CREDITS.md``.

The Dice to compare with stands in ``crops/dice.json``. After a change that raises it, store the new figures with
``METASEGMENT_STORE_DICE=1 python -m pytest Testing/test_stored_dice.py``.
"""

from __future__ import annotations

import json
import os
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from MetaSegmentLib import Settings, adapt, segment
from MetaSegmentLib.data.datasets import Case, find_cases, load
from MetaSegmentLib.data.protocol import occupied_slices, paint, painted_slices, query_dice

pytest.importorskip("slicer", reason="slicer-core is not installed, and the figures are those with Grow from seeds")

CROPS = Path(__file__).parent / "crops"
STORED = CROPS / "dice.json"
STORE = bool(os.environ.get("METASEGMENT_STORE_DICE"))
LARGEST_DROP = 0.01

STRUCTURES = ("right parotid", "left putamen", "tumour")
METHODS = ("fusion", "protonet", "shape", "experts")
TOGETHER = ("right parotid", "left parotid", "mandible")


@cache
def cases() -> dict[str, Case]:
    return {case.name: case for case in find_cases(CROPS)}


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_dice_of_one_structure(structure: str, k: int) -> None:
    case = cases()[structure]
    assert case.eligible(k)
    image, spacing, labels = load(case.volume)
    truth = labels == case.value
    slices = painted_slices(truth, k)
    painted = paint(truth, slices)
    adapted = adapt(image, painted, spacing, settings=Settings(method=METHODS[0]))
    found = {}
    for method in METHODS:  # one after the other from the same paint, so that they share what they have in common
        labels = adapted.update(painted, method=method).predict().labels
        found[f"{structure}, {k} slices, {method}"] = query_dice(labels == 1, truth, slices)
    compare(found)


def test_the_dice_of_three_structures_on_slices_of_their_own() -> None:
    chosen = [cases()[name] for name in TOGETHER]
    image, spacing, labels = load(chosen[0].volume)
    own = {case.value: _shifted(labels == case.value, shift) for shift, case in enumerate(chosen)}
    assert len(set(map(tuple, own.values()))) == len(TOGETHER)
    painted = np.zeros(labels.shape, np.uint8)
    for value, slices in own.items():
        painted[slices] = np.where(labels[slices] == value, value, painted[slices])
    result = segment(image, painted, spacing)
    found = {
        f"{case.name}, one of three": query_dice(result.labels == case.value, labels == case.value, own[case.value])
        for case in chosen
    }
    compare(found)


def _shifted(mask: np.ndarray, shift: int) -> list[int]:
    """The middles of four equal parts, moved by ``shift`` slices."""
    occupied = set(occupied_slices(mask))
    return [index + shift for index in painted_slices(mask, 4) if index + shift in occupied]


def compare(found: dict[str, float]) -> None:
    """Fail where a Dice has dropped; say so where it has risen."""
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    if STORE:
        stored |= {name: round(dice, 4) for name, dice in found.items()}
        STORED.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return
    assert found.keys() <= stored.keys(), "not stored yet; see the head of this file"
    moved = {name: f"{stored[name]:.3f} → {dice:.3f}" for name, dice in found.items()}
    dropped = {name: moved[name] for name, dice in found.items() if dice < stored[name] - LARGEST_DROP}
    assert not dropped
    risen = {name: moved[name] for name, dice in found.items() if dice > stored[name] + LARGEST_DROP}
    if risen:
        warnings.warn(f"more accurate than stored, store the new figures: {risen}", stacklevel=2)
