"""What a worker process answers, and that nothing it does harms the one that asked."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import MetaSegmentLib
from executors.pretender import pretender
from executors.requests import SHAPE, a_request, is_running, run, start, wait_for
from MetaSegmentLib import Cancelled, MetaSegmentError, SettingsError, WeightsError
from MetaSegmentLib.executors import InProcessExecutor, ProcessExecutor, StartAnew
from MetaSegmentLib.executors.process import WorkerTraceback
from MetaSegmentLib.pieces import drain

AT_ONCE = 0.6
"""Seconds; 0.3 are meant, and tests may share their processors."""


def test_arrays_come_back_as_they_are(executor: ProcessExecutor) -> None:
    request = a_request(labels=np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE))
    result = run(executor, request)
    np.testing.assert_array_equal(result.labels, request.labels)
    assert result.labels.dtype == np.uint16
    assert result.report["image"] == request.image.sum()
    assert result.estimated_dice == {1: 0.5, 2: None}
    assert result.uncertainty.dtype == np.float16 and (result.uncertainty == 0.5).all()
    assert result.probabilities.shape == (2, *SHAPE)
    assert result.report["pid"] != os.getpid() and result.report["number"] == 3


def test_what_nobody_looks_at_is_not_sent(executor: ProcessExecutor) -> None:
    with pytest.raises(SettingsError, match="without probabilities"):
        _ = run(executor, a_request(probabilities=False)).probabilities


def test_a_result_outlives_its_worker(executor: ProcessExecutor) -> None:
    result = run(executor, a_request())
    executor.close()
    assert result.labels.sum() == a_request().labels.sum()


def test_names_of_any_language(executor: ProcessExecutor) -> None:
    names = {1: "Müller’s Leber", 2: "肝臓", 3: 'a "quoted"\nname'}
    assert run(executor, a_request(names=names)).report["names"] == list(names.values())


def test_voxels_travel_once(executor: ProcessExecutor) -> None:
    first = run(executor, a_request(origin="a"))
    other = a_request().image * 0
    assert run(executor, a_request(origin="a", image=other)).report["image"] == first.report["image"]
    assert run(executor, a_request(origin="b", image=other)).report["image"] == 0
    executor.forget()
    assert run(executor, a_request(origin="b")).report["image"] == first.report["image"]


def test_a_library_that_prints_disturbs_nobody(executor: ProcessExecutor) -> None:
    assert run(executor, a_request("noisy")).report["image"]


def test_errors_keep_their_class_and_their_sentence(executor: ProcessExecutor) -> None:
    with pytest.raises(WeightsError, match=r"The weights of “Müller” are damaged; install them again\."):
        run(executor, a_request("weights"))
    with pytest.raises(MetaSegmentError, match="memory of this machine"):
        run(executor, a_request("memory"))
    assert run(executor, a_request())


def test_what_was_not_foreseen_is_for_the_log(executor: ProcessExecutor) -> None:
    with pytest.raises(MetaSegmentError, match="in the log") as caught:
        run(executor, a_request("unforeseen"))
    assert "a detail" not in str(caught.value)
    assert isinstance(caught.value.__cause__, WorkerTraceback) and "RuntimeError: a detail" in str(
        caught.value.__cause__
    )


@pytest.mark.parametrize("method", ["crash", "killed"])
def test_a_crash_is_one_sentence_and_the_next_run_works(
    executor: ProcessExecutor, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(MetaSegmentError, match=r"ended unexpectedly, .* try again\.$"):
        run(executor, a_request(method))
    assert run(executor, a_request()).report["image"]
    assert "Segmentation fault" in caplog.text or method == "killed"


def test_killed_in_the_middle(executor: ProcessExecutor) -> None:
    handle = start(executor, a_request("busy"))
    assert executor.pid is not None
    os.kill(executor.pid, signal.SIGKILL)
    wait_for(lambda: handle.done, 2)
    with pytest.raises(MetaSegmentError, match="ended unexpectedly"):
        handle.result()
    assert run(executor, a_request()).report["image"]


def test_killed_between_two_runs_goes_unnoticed(executor: ProcessExecutor) -> None:
    first = run(executor, a_request()).report["pid"]
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    second = run(executor, a_request())
    assert second.report["pid"] != first and second.report["image"] == a_request().image.sum()


def test_a_worker_that_hears_stops_and_stays(executor: ProcessExecutor) -> None:
    handle = start(executor, a_request("obedient"))
    pid = executor.pid
    handle.cancel()
    assert wait_for(lambda: handle.done) < AT_ONCE
    with pytest.raises(Cancelled):
        handle.result()
    assert run(executor, a_request()).report["pid"] == pid


@pytest.mark.parametrize("method", ["asleep", "busy", "stuck"])
def test_a_worker_that_does_not_hear_is_replaced(executor: ProcessExecutor, method: str) -> None:
    handle = start(executor, a_request(method))
    pid = executor.pid
    assert pid is not None
    handle.cancel()
    assert wait_for(lambda: handle.done) < AT_ONCE
    with pytest.raises(Cancelled):
        handle.result()
    wait_for(lambda: not is_running(pid), 1)
    assert run(executor, a_request()).report["pid"] != pid


def test_a_worker_that_was_stopped_is_replaced(executor: ProcessExecutor) -> None:
    handle = start(executor, a_request("busy"))
    pid = executor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    handle.cancel()
    assert wait_for(lambda: handle.done) < AT_ONCE
    wait_for(lambda: not is_running(pid), 1)
    assert run(executor, a_request()).report["image"]


def test_cancelled_before_it_has_begun(executor: ProcessExecutor) -> None:
    pid = run(executor, a_request()).report["pid"]
    first = start(executor, a_request("obedient"))
    waiting = drain(executor.submit(a_request(origin="another volume")))
    waiting.cancel()
    assert wait_for(lambda: waiting.done) < AT_ONCE
    with pytest.raises(Cancelled):
        waiting.result()
    assert executor.pid == pid
    first.cancel()
    after = run(executor, a_request(origin="another volume"))
    assert after.report["image"] == a_request().image.sum() and after.report["pid"] == pid


def test_closing_in_the_middle(executor: ProcessExecutor) -> None:
    handle = start(executor, a_request("busy"))
    pid = executor.pid
    assert pid is not None
    executor.close()
    with pytest.raises(Cancelled):
        handle.result()
    wait_for(lambda: not is_running(pid), 1)
    assert run(executor, a_request()).report["image"], "it may be used again"


def test_an_idle_worker_with_a_gpu_leaves_and_is_not_missed(
    nothing_left: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text(
        "class cuda:\n    is_initialized = staticmethod(lambda: True)\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    arguments = pretender("0.2")
    arguments[2] = f"import torch; {arguments[2]}"
    executor = ProcessExecutor(arguments=arguments)
    pid = run(executor, a_request()).report["pid"]
    wait_for(lambda: not is_running(pid))
    for _ in range(3):
        try:
            result = run(executor, a_request())
            break
        except StartAnew:
            continue
    assert result.report["pid"] != pid and result.report["image"]
    executor.close()


@pytest.mark.parametrize("arguments", [["/no/such/python"], ["/bin/false"]], ids=["absent", "broken"])
def test_without_a_process_a_thread_computes(
    nothing_left: None, arguments: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    executor = ProcessExecutor(arguments=arguments)
    request = a_request("shape")
    try:
        result = run(executor, request)
    except StartAnew:
        result = run(executor, request)
    assert executor.shares_lock and "a thread is used" in caplog.text
    np.testing.assert_array_equal(result.labels, InProcessExecutor().compute(request).labels)
    executor.close()


@pytest.fixture
def folder_with_spaces(tmp_path: Path) -> Iterator[Path]:
    """The library, and a launcher that starts Python as a child of its own, as Slicer's does."""
    folder = tmp_path / "Programme (x86) ü" / "Meta Segment"
    folder.mkdir(parents=True)
    library = Path(MetaSegmentLib.__file__).parent
    shutil.copytree(library, folder / "MetaSegmentLib", ignore=shutil.ignore_patterns("__pycache__"))
    launcher = folder / "PythonSlicer"
    launcher.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n', encoding="utf-8")
    launcher.chmod(0o755)
    yield folder


def test_folders_with_spaces_and_a_launcher_in_between(nothing_left: None, folder_with_spaces: Path) -> None:
    code = (
        "import os, sys, time\n"
        f"sys.path[:0] = [{str(folder_with_spaces)!r}, {str(Path(__file__).parents[1])!r}]\n"
        "from executors.requests import a_request, is_running, run, start, wait_for\n"
        "from MetaSegmentLib.executors import ProcessExecutor\n"
        f"executor = ProcessExecutor({str(folder_with_spaces / 'PythonSlicer')!r})\n"
        "assert run(executor, a_request('shape')).labels.any()\n"
        "handle, pid = start(executor, a_request('shape', origin=2)), executor.pid\n"
        "executor.close()\n"
        "wait_for(lambda: not is_running(pid), 2)\n"
        "print(executor.shares_lock, 'Meta Segment' in sys.modules['MetaSegmentLib'].__file__)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_getting_ready_does_not_wait(executor: ProcessExecutor) -> None:
    begin = time.monotonic()
    executor.warm_up()
    assert time.monotonic() - begin < AT_ONCE
    assert run(executor, a_request()).report["image"]


def test_logs_name_nobody(executor: ProcessExecutor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(MetaSegmentError):
        run(executor, a_request("crash", names={1: "Erika Mustermann"}))
    assert caplog.text and "Mustermann" not in caplog.text
