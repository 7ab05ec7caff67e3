"""The engine in a process of its own: the same answers, corrections as fast as ever, and no memory that grows."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from executors.requests import SHAPE, SUPPORT, a_request, resident_mb, run
from MetaSegmentLib import InputError, Result, SettingsError
from MetaSegmentLib.executors import InProcessExecutor, ProcessExecutor, warm_engine
from MetaSegmentLib.settings import DEFAULT_METHOD


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    made = ProcessExecutor()
    yield made
    made.close()


def same(a: Result, b: Result) -> None:
    for name in ("labels", "uncertainty", "probabilities"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.estimated_dice, a.suggested_slices) == (b.estimated_dice, b.suggested_slices)
    changing = ("seconds", "peak_memory_mb")
    first, second = ({k: v for k, v in r.report.items() if k not in changing} for r in (a, b))
    assert first == second


@pytest.mark.parametrize("method", ["shape", DEFAULT_METHOD])
def test_the_same_answer_in_and_out_of_this_process(executor: ProcessExecutor, method: str) -> None:
    here = InProcessExecutor()
    same(run(executor, a_request(method, method)), here.compute(a_request(method)))
    more = [*SUPPORT, 6]
    same(run(executor, a_request(method, method, more, axis=0)), here.compute(a_request(method, 1, more, axis=0)))


def test_slices_that_a_request_named_are_not_named_for_the_next_one() -> None:
    here, request = InProcessExecutor(), a_request("shape", axis=0)
    first = here.compute(request)
    empty = [*SUPPORT, SHAPE[0] - 1]
    told = here.compute(replace(request, slices={1: empty}))
    assert told.report["segments"]["1"]["support_slices"] == empty
    same(here.compute(request), first)


def test_a_correction_is_quicker_than_the_first_run(executor: ProcessExecutor) -> None:
    run(executor, a_request(DEFAULT_METHOD, "warm"))

    def seconds(slices: list[int], axis: int | None) -> float:
        request = a_request(DEFAULT_METHOD, "a volume", slices, axis=axis)
        total: float = run(executor, request).report["seconds"]["total"]
        return total

    first = seconds(SUPPORT, None)
    assert seconds(SUPPORT, 0) < 0.7 * first


def test_errors_of_the_engine(executor: ProcessExecutor) -> None:
    with pytest.raises(SettingsError):
        run(executor, a_request("magic"))
    with pytest.raises(InputError, match="dimensions"):
        run(executor, a_request("shape", "four", image=np.zeros((3, 4, 5, 3), np.uint8)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_twenty_runs_take_no_more_memory_than_two(executor: ProcessExecutor) -> None:
    whole = a_request()
    part = {"image": whole.image[2:14], "labels": whole.labels[2:14]}

    def once(n: int) -> Any:
        return run(executor, a_request("protonet", n, probabilities=n % 2 == 0, **part)).labels

    def both() -> tuple[float, float]:
        gc.collect()
        assert executor.pid is not None
        return resident_mb(os.getpid()), resident_mb(executor.pid)

    for n in range(3):
        once(n)
    before = both()
    for n in range(20):
        once(n)
    after = both()
    print("MB more in 20 runs, here and there:", [round(b - a, 1) for a, b in zip(before, after, strict=True)])
    assert all(b - a <= 50 for a, b in zip(before, after, strict=True))


def test_copying_is_done_in_pieces() -> None:
    request = a_request("shape", image=np.ones((64, 256, 256), np.int16))
    executor = InProcessExecutor()
    steps = executor.submit(request)
    assert sum(1 for _ in steps) >= 2
    executor.close()


def test_what_is_loaded_beforehand_is_there() -> None:
    """A name that is not would be passed over in silence."""
    own = [name for name in warm_engine._LOADED_LATE if name.startswith(".")]
    assert own and all(importlib.util.find_spec(name, warm_engine.__package__) for name in own)
