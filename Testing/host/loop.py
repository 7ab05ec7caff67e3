"""The event loop of the stand-in: as the application's, it keeps Python's global lock while it waits for events.

PySide6 lets the lock go whenever it enters Qt. Here the same functions of Qt are called through ``ctypes.PyDLL``, which
does not: a thread goes on only while Python code runs on the main thread, and no test can wait for it in another way.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore

from host.pythonqt import Wrapped

# By their names in the libraries of Microsoft's compiler and of all others. QFlags are passed as an int.
_LIBRARY, _EXEC, _PROCESS_EVENTS = (
    (
        "Qt6Core",
        "?exec@QEventLoop@@QEAAHV?$QFlags@W4ProcessEventsFlag@QEventLoop@@@@@Z",
        "?processEvents@QCoreApplication@@SAXV?$QFlags@W4ProcessEventsFlag@QEventLoop@@@@@Z",
    )
    if sys.platform == "win32"
    else (
        QtCore.__file__,
        "_ZN10QEventLoop4execE6QFlagsINS_17ProcessEventsFlagEE",
        "_ZN16QCoreApplication13processEventsE6QFlagsIN10QEventLoop17ProcessEventsFlagEE",
    )
)
_qt = ctypes.PyDLL(_LIBRARY)
_exec = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)((_EXEC, _qt))
_process_events = ctypes.PYFUNCTYPE(None, ctypes.c_int)((_PROCESS_EVENTS, _qt))
_ALL_EVENTS = 0

PATIENCE_SECONDS = 60.0


def process_events() -> None:
    """What is due now, without waiting."""
    _process_events(_ALL_EVENTS)


class QEventLoop(Wrapped, QtCore.QEventLoop):
    """``qt.QEventLoop``"""

    def exec_(self) -> int:
        return int(_exec(shiboken6.getCppPointer(self)[0], _ALL_EVENTS))

    exec = exec_

    def processEvents(self) -> None:
        process_events()


def wait(until: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Let events through until a condition holds, or for ``seconds`` at most.

    The condition is looked at whenever the loop has nothing more to do, so after whatever may have changed it. A timer
    of its own would be Python code that runs again and again, and give threads the time that the application does not.

    Returns:
        Whether it holds.
    """
    loop = QEventLoop()
    patience = QtCore.QTimer()
    patience.setSingleShot(True)
    patience.timeout.connect(loop.quit)
    errors: list[Exception] = []

    def look() -> None:
        try:
            if until():
                loop.quit()
        except Exception as error:  # out of a slot it would only be printed
            errors.append(error)
            loop.quit()

    dispatcher: Any = QtCore.QAbstractEventDispatcher.instance()
    dispatcher.aboutToBlock.connect(look)
    patience.start(round(1000 * seconds))
    try:
        if not until():
            loop.exec_()
    finally:
        dispatcher.aboutToBlock.disconnect(look)
    if errors:
        raise errors[0]
    return until()


class Heartbeat:
    """The longest time in seconds for which the main thread did not come back to its loop, while this is entered.

    It beats in Python, so threads get a turn with every beat: it measures how the panel feels, not how threads starve.
    """

    _MILLISECONDS = 5

    def __init__(self) -> None:
        self.longest = 0.0
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Heartbeat:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._timer.start(self._MILLISECONDS)
        return self

    def __exit__(self, *_error: object) -> None:
        self._beat()
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now
