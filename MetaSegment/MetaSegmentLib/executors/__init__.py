"""Where a run is computed: in this process, or in one of its own that may fail alone (no Qt, no MRML).

    executor = ProcessExecutor()
    handle = drain(executor.submit(request))
    while not handle.done: ...
    result = handle.result()

The engine knows nothing of this; it is called by the executors as by anybody else.
"""

from .choice import background_executor, own_interpreter
from .in_process import InProcessExecutor
from .process import ProcessExecutor
from .protocol import Executor, Handle, Report, Request, StartAnew

__all__ = [
    "Executor",
    "Handle",
    "InProcessExecutor",
    "ProcessExecutor",
    "Report",
    "Request",
    "StartAnew",
    "background_executor",
    "own_interpreter",
]
