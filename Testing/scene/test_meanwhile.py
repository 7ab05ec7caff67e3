"""What others do to a segment while a run is under way is told from what the user painted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from MetaSegmentLib import Cancelled, MetaSegmentError
from MetaSegmentLib.executors import InProcessExecutor
from MetaSegmentLib.scene import Session
from scene.bench import BALL, SUPPORT, Bench
from scene.lasting import lasting_executor
from scene.nodes import add_segmentation, look, paint, repaint


def supports(bench: Bench) -> list[int]:
    return list(bench.run().report["support_slices"])


def test_what_another_session_fills_is_not_taken_for_paint(bench: Bench) -> None:
    slow, quick = Session(executor=InProcessExecutor()), Session()
    run = slow.process(bench.volume, bench.segmentation, method="shape", wait=False)
    quick.process(bench.volume, bench.segmentation, method="propagation")
    run.wait(100)
    assert supports(bench) == SUPPORT


def test_each_of_two_sessions_takes_back_its_own_step(bench: Bench) -> None:
    another = add_segmentation(bench.scene)
    paint(another, bench.volume, "ball", bench.painted)
    second = Session(executor=lasting_executor())
    first_result = bench.run()
    second.process(bench.volume, another, method="shape")
    filled = look(another, bench.volume, "ball")
    assert bench.session.undo() and not bench.session.undo()
    np.testing.assert_array_equal(bench.look(), bench.painted)
    np.testing.assert_array_equal(look(another, bench.volume, "ball"), filled)
    assert bench.session.redo()
    np.testing.assert_array_equal(bench.look(), first_result.labels == 1)
    assert second.undo()
    np.testing.assert_array_equal(look(another, bench.volume, "ball"), bench.painted)


def test_a_preview_that_is_undone_during_the_run_does_not_hold_up_its_result(bench: Bench) -> None:
    bench.run(method="propagation")
    run = bench.start(same_step=True)
    bench.session.poll()
    assert bench.session.undo()
    np.testing.assert_array_equal(bench.look(), bench.painted)
    result = run.wait(100)
    np.testing.assert_array_equal(bench.look(), result.labels == 1)
    assert supports(bench) == SUPPORT


def test_what_the_user_paints_after_an_undo_stays(bench: Bench) -> None:
    bench.run(method="propagation")
    run = bench.start()
    bench.session.poll()
    bench.session.undo()
    edited = bench.look()
    edited[7] = np.roll(BALL[7], 2, axis=1)
    repaint(bench.segmentation, bench.volume, bench.ball, edited)
    run.wait(100)
    np.testing.assert_array_equal(bench.look()[7], edited[7])
    assert bench.look()[6].any()
    assert supports(bench) == [5, 7, 8, 11]


def test_a_run_may_begin_as_soon_as_another_one_was_cancelled(bench: Bench) -> None:
    run = bench.start()
    with pytest.raises(MetaSegmentError, match="under way"):
        bench.run()
    bench.session.cancel()
    result: Any = bench.run()
    assert result.labels.any() and isinstance(run.error, Cancelled)
