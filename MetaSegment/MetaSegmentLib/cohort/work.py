"""What a worker does with a case. The support is read and adapted to once and stays, for all cases that share it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial
from typing import Any

from ..errors import InputError, MemoryExhausted, MetaSegmentError
from ..files.atomic import output_error
from ..files.kept import Kept
from ..files.many import run_job
from ..files.named_slices import read_named_slices
from ..files.run import Done, Job
from ..imports import import_error
from .order import Order, Outcome, checksum_of, program
from .picture import doubt, picture

_supports = Kept(4)
"""Cases with the same support come one after the other, and may have several."""


def perform(order: Order) -> Outcome:
    """Segment one case: its output, record and picture appear together, or nothing does. Never raises an Exception."""
    start = time.monotonic()
    ended = partial(_ended, order, start)
    try:
        if order.program != program():
            raise MetaSegmentError(
                "The worker has another version of MetaSegment or other weights; install the same one everywhere."
            )
        return ended("done", checksum=_segment(order))
    except MemoryExhausted as error:
        return ended("memory", str(error))
    except MetaSegmentError as error:
        return ended("failed", str(error))
    except Exception as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            return ended("memory", str(MemoryExhausted()))
        return ended("failed", _sentence(error, order))


def forget() -> None:
    """Let go of all supports."""
    _supports.clear()


def _segment(order: Order) -> str:
    """Write the files of a case; returns the checksum of its output."""
    job = _job(order)
    written = ""

    def beside(done: Done) -> None:
        nonlocal written
        written = checksum_of(done.output)
        _write_record(order, done, written)

    try:
        order.output.parent.mkdir(parents=True, exist_ok=True)
        order.record.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, order.record.parent.parent) from error
    if order.settings.sparing:
        forget()
    run_job(job, kept=_supports, beside=beside)
    return written


def _job(order: Order) -> Job:
    case, settings = order.case, order.settings
    if case.method:
        settings = replace(settings, method=case.method)
    # Paint of its own alone is like any other; beside that of others it weighs more.
    support, own = (case.support, case.own) if case.support else ((case.own,) if case.own else (), None)
    if not support:
        raise InputError("The case has no paint; name painted slices of it, or of another patient with their image.")
    images = case.support_images if case.support else ()
    if len(images) not in (0, len(support)) or (len(support) > 1 and not images):
        raise InputError("Of several supports each needs the image that it was painted on.")
    return Job(
        case.image,
        support[0],
        order.output,
        images[0] if images else None,
        others=tuple(zip(support[1:], images[1:], strict=True)),
        own=own,
        slices=read_named_slices(case.slices),
        channel=case.frame,
        settings=settings,
    )


def _write_record(order: Order, done: Done, checksum: str) -> None:
    """The report of the case, and its picture, in the same commit as its output."""
    record = {
        "id": order.case.id,
        "key": order.key,
        "checksum": checksum,
        "doubt": doubt(done.results, done.report),
        "report": done.report,
    }
    text = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        drawn = picture(done.image, done.grid, done.results, done.axis)
        done.staging.path(order.picture).write_bytes(drawn)
        done.staging.path(order.record).write_text(text, encoding="utf-8")
    except OSError as error:
        raise output_error(error, order.record.parent) from error


def _ended(order: Order, start: float, state: Any, sentence: str = "", checksum: str = "") -> Outcome:
    if state == "memory":
        forget()
    return Outcome(order.case.id, state, sentence, round(time.monotonic() - start, 3), checksum)


def _sentence(error: Exception, order: Order) -> str:
    if (explained := import_error(error)) is not None:
        return str(explained)
    if isinstance(error, OSError):
        return str(output_error(error, order.output.parent))
    return (
        f"Something unexpected went wrong ({type(error).__name__}); segment this case alone with --verbose to see it."
    )
