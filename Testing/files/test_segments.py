"""Segments are chosen by name or label, whatever letters the name has."""

from __future__ import annotations

import numpy as np
import pytest

from MetaSegmentLib import InputError
from MetaSegmentLib.files.segments import Painted, Segment, numbered, plain_segment

NAMES = ("a", "b", "a, b", 'the "left" one', " lead", "gro\u0308ßer", "two\nlines", "7", "大動脈", '"quoted"', "\t")


def a_painting(names: tuple[str, ...] = NAMES) -> Painted:
    layer = np.arange(len(names) + 1, dtype=np.uint8).reshape(1, 1, -1)
    return Painted((layer,), tuple(plain_segment(value, name) for value, name in enumerate(names, start=1)))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_chooses_its_segment(name: str) -> None:
    chosen = a_painting().only([name])
    assert name in [one.name for one in chosen.segments]
    assert {one.name for one in chosen.segments} <= {name, *(n for n in NAMES if name == str(NAMES.index(n) + 1))}
    assert sorted({0, *(one.value for one in chosen.segments)}) == np.unique(chosen.layers[0]).tolist()


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["a,b"], ["a", "b"]),
        (["b, a"], ["a", "b"]),
        (['"a, b"'], ["a, b"]),
        (['"a, b", b'], ["b", "a, b"]),
        (["a", "a, b"], ["a", "a, b"]),
        (['"the ""left"" one",a'], ["a", 'the "left" one']),
        (["größer"], ["gro\u0308ßer"]),
        (["lead , a"], ["a", " lead"]),
        (['"two\nlines",a'], ["a", "two\nlines"]),
        (["1,3"], ["a", "a, b"]),
        (["a,,b,"], ["a", "b"]),
    ],
)
def test_several_are_chosen_between_commas_or_one_by_one(wanted: list[str], names: list[str]) -> None:
    assert [one.name for one in a_painting().only(wanted).segments] == names


def test_an_unknown_one_is_named_alone() -> None:
    with pytest.raises(InputError, match=r"no segment 'c'; it has: a \(1\), b \(2\)"):
        a_painting(("a", "b")).only(["a,c"])


def test_segments_of_the_same_voxels_are_all_kept() -> None:
    layer = np.array([[[0, 5, 6]]], np.uint8)
    listed = [Segment(5, 0, {"name": name}) for name in "ab"] + [Segment(6, 0, {"name": "c"})]
    painted = numbered([layer], listed)
    masks = [painted.layers[one.layer] == one.value for one in painted.segments]
    assert [mask.ravel().tolist() for mask in masks] == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert [one.value for one in painted.segments] == [1, 2, 3]


def test_a_name_that_is_the_label_of_another_means_the_name() -> None:
    painting = a_painting(("2", "b"))
    assert [one.name for one in painting.only(["2"]).segments] == ["2"]
    assert [one.name for one in painting.only(["1"]).segments] == ["2"]
    assert [one.name for one in painting.only(["b"]).segments] == ["b"]
