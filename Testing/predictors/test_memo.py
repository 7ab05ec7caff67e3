"""The cache: exact keys, bounded, least recently used first, safe to use from several threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from MetaSegmentLib.predictors.memo import Memo

MB = 2**20


def an_array(number: int = 0, mb: float = 1) -> np.ndarray:
    return np.full(int(mb * MB), number, np.uint8)


@pytest.fixture
def counted():
    """A memo of 3 MB, and what was computed for it, in order."""
    memo, computed = Memo(limit_mb=3), []

    def get(key, mb=1.0):
        def compute():
            computed.append(key)
            return an_array(len(computed), mb)

        return memo.get(key, compute)

    return memo, computed, get


def test_what_is_there_is_not_computed_again(counted):
    memo, computed, get = counted
    first = get("a")
    assert get("a") is first and computed == ["a"] and "a" in memo and "b" not in memo


@pytest.mark.parametrize("other", [("logits", "shape", 1, b"\x00", (3, 4)), ("logits", "shape", 0, b"\x01", (3, 4))])
def test_keys_that_differ_anywhere_are_different(counted, other):
    _, computed, get = counted
    key = ("logits", "shape", 0, b"\x00", (3, 4))
    get(key)
    get(other)
    assert computed == [key, other]


def test_an_equal_key_made_anew_finds_the_value(counted):
    _, computed, get = counted
    get(("a", (1, 2), bytes([1, 2])))
    get(("a", tuple(range(1, 3)), b"\x01\x02"))
    assert len(computed) == 1


def test_what_was_used_longest_ago_is_dropped(counted):
    memo, computed, get = counted
    for key in "abc":
        get(key)
    get("a")
    get("d")
    assert [key for key in "abcd" if key in memo] == ["a", "c", "d"]
    get("b")
    assert computed == [*"abcd", "b"]


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0.1, 0.4, 1.0, 2.5])), max_size=40))
def test_arrays_never_take_more_than_the_limit(steps):
    memo, sizes = Memo(limit_mb=3), {}
    for key, mb in steps:
        memo.get(key, lambda mb=mb: an_array(mb=mb))
        sizes.setdefault(key, mb)
        held = {other: mb for other, mb in sizes.items() if other in memo}
        assert key in held and sum(int(mb * MB) for mb in held.values()) <= 3 * MB
        sizes = held


def test_a_value_beyond_the_limit_is_answered_and_drops_all_others(counted):
    memo, _, get = counted
    get("a")
    assert len(get("large", mb=5)) == 5 * MB
    assert "a" not in memo
    get("b")
    assert "large" not in memo and "b" in memo


def test_arrays_in_tuples_and_lists_count_too():
    memo = Memo(limit_mb=3)
    memo.get("a", lambda: (an_array(), [an_array(), "word"]))
    memo.get("b", lambda: an_array())
    assert "a" in memo
    memo.get("c", lambda: an_array(mb=0.5))
    assert "a" not in memo and "b" in memo


def test_what_is_let_go_of_is_computed_again_and_the_room_is_free(counted):
    memo, computed, get = counted
    for key in "abc":
        get(key)
    memo.clear()
    assert not any(key in memo for key in "abc")
    for key in "abc":
        get(key)
    assert all(key in memo for key in "abc") and computed == [*"abcabc"]


def test_an_error_is_the_callers_and_nothing_is_kept(counted):
    memo, _, get = counted

    def broken():
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        memo.get("a", broken)
    assert "a" not in memo and len(get("a")) == MB


def test_threads_compute_side_by_side():
    """Were the lock held meanwhile, the first would wait for the second, and the second for the lock."""
    memo, arrived = Memo(), threading.Barrier(2, timeout=20)

    def compute():
        arrived.wait()
        return an_array()

    with ThreadPoolExecutor(2) as pool:
        assert all(len(one) == MB for one in pool.map(lambda key: memo.get(key, compute), "ab"))


def test_a_value_may_ask_for_another():
    memo = Memo()
    assert memo.get("sum", lambda: memo.get("part", lambda: 2) + 1) == 3 and "part" in memo


def test_many_threads_get_the_value_of_their_key_and_the_limit_holds():
    memo = Memo(limit_mb=2)

    def ask(number):
        key = number % 7
        return key, memo.get(key, lambda: an_array(key, 0.5))[0]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(400)))
    assert all(key == value for key, value in answers)
    assert sum(key in memo for key in range(7)) <= 4
