"""Standard error is put away while readers work, whoever else does so at the same time, and is always brought back."""

from __future__ import annotations

import os
import threading

import pytest

from MetaSegmentLib.files.quiet import Quiet


def test_threads_that_overlap_leave_standard_error_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    quiet, inside, leave = Quiet(), threading.Event(), threading.Event()

    def other() -> None:
        with quiet:
            inside.set()
            assert leave.wait(10)
            os.write(2, b"hidden too\n")

    before = os.fstat(2)
    thread = threading.Thread(target=other)
    with quiet:
        thread.start()
        assert inside.wait(10)
        os.write(2, b"hidden\n")
    os.write(2, b"still hidden\n")
    leave.set()
    thread.join()
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
    assert os.path.sameopenfile(2, 2) and os.fstat(2).st_ino == before.st_ino


def test_an_error_inside_brings_it_back(capfd: pytest.CaptureFixture[str]) -> None:
    quiet = Quiet()
    for _time in range(3):
        with pytest.raises(ValueError), quiet:
            raise ValueError
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
