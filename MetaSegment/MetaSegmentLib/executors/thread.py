"""One background thread for as long as its owner lives: some GPU libraries start anew in every thread."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

Job = Callable[[], Any]
_Queue = SimpleQueue["tuple[Job, Future[Any]] | None"]

_SECONDS_TO_STOP = 10.0


class Worker:
    """Runs jobs one after the other in a thread of its own; the thread starts with the first job.

    Attributes:
        stopping: set when the owner goes or the program ends; jobs poll it.
    """

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._jobs: _Queue = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> Future[Any]:
        """Queue a job; it must not touch Qt or MRML."""
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(self._jobs,), name="MetaSegment", daemon=True)
            # Also called at exit, before daemon threads are torn down in the middle of native code.
            weakref.finalize(self, _stop, self.stopping, self._jobs, self._thread)
            self._thread.start()
        future: Future[Any] = Future()
        self._jobs.put((job, future))
        return future


def _work(jobs: _Queue) -> None:
    while (item := jobs.get()) is not None:
        job, future = item
        try:
            future.set_result(job())
        except BaseException as error:  # whatever happened is the caller's to see
            future.set_exception(error)
        del item, job, future  # an idle thread must not keep volumes alive


def _stop(stopping: threading.Event, jobs: _Queue, thread: threading.Thread) -> None:
    stopping.set()
    jobs.put(None)
    if thread is not threading.current_thread():  # which may be the one that lets go of the last reference
        thread.join(_SECONDS_TO_STOP)
