"""The stand-in's event loop starves threads as the application's does; nothing that the panel needs starves in it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def steps() -> Iterator[Callable[[], int]]:
    """How many steps of a millisecond a thread has made since it was last asked."""
    made, last, stop = [0], [0], threading.Event()

    def walk() -> None:
        while not stop.is_set():
            time.sleep(0.001)
            made[0] += 1

    def since() -> int:
        before, last[0] = last[0], made[0]
        return last[0] - before

    thread = threading.Thread(target=walk)
    thread.start()
    yield since
    stop.set()
    thread.join()


def test_a_thread_starves_in_the_loop_and_runs_in_that_of_pyside(module: Any, steps: Callable[[], int]) -> None:
    import qt
    from PySide6 import QtCore

    plain, loop = QtCore.QEventLoop(), qt.QEventLoop()
    qt.QTimer.singleShot(500, plain.quit)
    plain.exec()
    in_pyside = steps()
    qt.QTimer.singleShot(500, loop.quit)
    loop.exec_()
    here = steps()
    assert 5 * here < in_pyside


def test_a_thread_gets_one_step_with_each_tick_of_a_timer(module: Any, steps: Callable[[], int]) -> None:
    """What was seen in the application: with a timer of 50 to 100 ms, 103 steps in 10 s."""
    import qt

    ticks: list[None] = []
    timer, loop = qt.QTimer(), qt.QEventLoop()
    timer.connect("timeout()", lambda: ticks.append(None))
    timer.start(50)
    qt.QTimer.singleShot(1000, loop.quit)
    steps()
    loop.exec_()
    assert 0 < steps() <= 2 * len(ticks) + 5


def test_waiting_ends_with_an_event_or_with_patience_and_passes_errors_on(module: Any) -> None:
    import qt

    from host.loop import wait

    seen: list[int] = []
    qt.QTimer.singleShot(20, lambda: seen.append(1))
    assert wait(lambda: bool(seen), 10)
    start = time.perf_counter()
    assert not wait(lambda: False, 0.1)
    assert time.perf_counter() - start < 5
    with pytest.raises(ZeroDivisionError):
        wait(lambda: bool(1 // 0))
    qt.QTimer.singleShot(20, seen.clear)
    with pytest.raises(ZeroDivisionError):
        wait(lambda: bool(1 // len(seen)) and False, 10)


def test_a_child_process_is_heard(module: Any) -> None:
    import qt

    from host.loop import wait

    heard, ended = bytearray(), []
    child = qt.QProcess()
    child.connect("readyReadStandardOutput()", lambda: heard.extend(child.readAllStandardOutput().data()))
    child.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append(code))
    child.start(sys.executable, ["-c", "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"])
    for text in (b"one\n", b"two\n"):
        child.write(text)
        assert wait(lambda text=text: text.strip().upper() in heard, 30)
    child.closeWriteChannel()
    assert wait(lambda: bool(ended), 30) and ended == [0]
    assert heard.split() == [b"ONE", b"TWO"]


def test_the_heartbeat_notices_who_holds_the_loop(heartbeat: Any) -> None:
    import qt

    from host.loop import wait

    with heartbeat:
        wait(lambda: False, 0.2)
    assert 0 < heartbeat.longest < 0.15
    with heartbeat:
        qt.QTimer.singleShot(20, lambda: time.sleep(0.2))
        wait(lambda: False, 0.4)
    assert heartbeat.longest >= 0.2


METHOD = "propagation"  # a quarter of a second of work in many small steps, without torch


@pytest.fixture
def timed(desk: Any) -> Callable[..., float]:
    """Seconds from pressing Segment to the result, nothing known from before; infinite if not done in ``at_most``."""
    from host.loop import wait

    desk.put_ball()
    desk.parameters.method = METHOD
    desk.segment()  # loads what is loaded once

    def timed(at_most: float = 60.0) -> float:
        desk.logic.session.forget()
        start = time.perf_counter()
        desk.ui.applyButton.click()
        done = wait(lambda: not desk.logic.session.running, at_most)
        return time.perf_counter() - start if done else float("inf")

    return timed


@pytest.fixture
def engine_seconds(desk: Any, timed: Any) -> Callable[[], float]:
    """What the same run takes where nothing else goes on."""

    def seconds() -> float:
        desk.logic.session.forget()
        start = time.perf_counter()
        desk.logic.process(desk.volume, desk.segmentation, method=METHOD)
        return time.perf_counter() - start

    return seconds


def test_a_run_in_the_panel_takes_what_it_takes_elsewhere(timed: Any, engine_seconds: Callable[[], float]) -> None:
    """One pair of several is enough: other programs may take the computer's time in the middle of the others."""
    ratios = (timed() / (engine_seconds() + 0.1) for _ in range(6))
    assert any(ratio <= 1.5 for ratio in ratios)


def test_a_run_does_not_hold_the_panel(timed: Any, heartbeat: Any) -> None:
    """Twice the 50 ms that nobody feels, for a busy computer; one run of several is enough for the same reason."""

    def longest() -> float:
        with heartbeat:
            timed()
        return heartbeat.longest

    assert any(longest() < 0.1 for _ in range(6))


def test_while_a_run_is_under_way_threads_have_most_of_the_time(
    desk: Any, in_a_thread: None, steps: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PySide6 import QtCore

    import MetaSegmentLib.engine as engine
    from host.loop import wait

    held = threading.Event()
    monkeypatch.setattr(engine, "adapt", lambda *_: held.wait(60) and None)
    desk.put_ball()
    desk.ui.applyButton.click()
    steps()
    wait(lambda: False, 0.5)
    here = steps()
    desk.logic.session.cancel()
    held.set()
    desk.settle()
    plain = QtCore.QEventLoop()
    QtCore.QTimer.singleShot(500, plain.quit)
    steps()
    plain.exec()
    assert here > 0.5 * steps()


def test_without_turns_a_thread_starves(
    desk: Any, in_a_thread: None, timed: Any, engine_seconds: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the loop shows what the turns are there for; one run of several is enough for the same reason."""
    import qt

    from MetaSegmentLib.scene import session

    def starves() -> bool:
        limit = 3 * min(engine_seconds() for _ in range(3))
        with monkeypatch.context() as patch:
            patch.setattr(session, "let_threads_run", lambda: None)
            patch.setattr(desk.logic.session, "_schedule", lambda call, _: qt.QTimer.singleShot(50, call))
            seconds = timed(limit)
        desk.logic.session.cancel()
        desk.settle()
        return seconds == float("inf")

    assert any(starves() for _ in range(3))
