"""Outlines and what they enclose: the mask comes back bit for bit, holes and islands in them included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from MetaSegmentLib.files.contours import filled, outlines


def a_mask(seed: int, smooth: float) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).normal(size=(19, 23)), smooth) > 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.7, 1.5, 3.0]), st.floats(0, 7))
def test_a_mask_comes_back_from_its_outlines(seed: int, smooth: float, angle: float) -> None:
    """Also by programs that add contours up, for which a hole must be part of the contour around it; and from rounded
    positions in a patient who lies askew."""
    mask = a_mask(seed, smooth)
    turn = 0.7 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    polygons = [np.round(one @ turn, 5) @ np.linalg.inv(turn) for one in outlines(mask)]
    np.testing.assert_array_equal(filled(polygons, mask.shape), mask)
    added = np.logical_or.reduce([np.zeros_like(mask), *(filled([one], mask.shape) for one in polygons)])
    np.testing.assert_array_equal(added, mask)


@pytest.mark.parametrize("smooth", [0.0, 1.5])
def test_outlines_run_half_way_between_inside_and_outside(smooth: float) -> None:
    mask = np.pad(a_mask(5, smooth), 1)
    points = np.concatenate(outlines(mask))
    low, high = np.floor(points).astype(int), np.ceil(points).astype(int)
    assert (np.abs(points - low).sum(axis=1) == 0.5).all(), "half a pixel from the next centre, along one axis"
    assert (mask[low[:, 1], low[:, 0]] != mask[high[:, 1], high[:, 0]]).all()


def test_a_ring_is_one_contour_and_an_island_in_it_another() -> None:
    j, i = np.indices((25, 25))
    far = np.hypot(j - 12, i - 12)
    ring, island = (far < 11) & (far > 7), far < 3
    assert len(outlines(ring)) == 1 and len(outlines(ring | island)) == 2
    assert outlines(np.zeros((5, 5), bool)) == []
    assert len(outlines(np.ones((5, 7), bool))[0]) == 8, "no points on straight lines, and the edge of the image is one"


def test_what_lies_outside_the_image_is_cut_off() -> None:
    square = np.array([[-5.0, -5.0], [2.5, -5.0], [2.5, 1.5], [-5.0, 1.5]])
    np.testing.assert_array_equal(np.argwhere(filled([square], (4, 4))), [(j, i) for j in (0, 1) for i in (0, 1, 2)])
    assert not filled([square - 100], (4, 4)).any() and not filled([square + 100], (4, 4)).any()
