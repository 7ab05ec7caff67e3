"""Standard streams that outlast their readers, words, text and options of the command line, and the progress bar."""

from __future__ import annotations

import argparse
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from .progress import ProgressCallback
from .settings import DEFAULT_METHOD, Settings

DONE, FAILED, INTERRUPTED = 0, 1, 130
"""Exit statuses; wrong usage is argparse's 2."""


class Outlasting:
    """A stream of text that goes on when its reader has left or its disk is full.

    Attributes:
        lost: why the last of what was written is not there; None while all is.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: Exception | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self, error: Exception) -> None:
        self.lost = self.lost or error
        # What still waits would be written when Python ends, and change the exit status.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def outlasting_streams() -> Iterator[Outlasting]:
    """Standard output and standard error that never fail; yields the first.

    A character that the terminal lacks becomes a question mark.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    output, errors = (Outlasting(stream or cast("TextIO", io.StringIO())) for stream in before)
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = cast("TextIO", output), cast("TextIO", errors)
    try:
        yield output
    finally:
        output.flush()
        errors.flush()
        sys.stdout, sys.stderr = before


def words(text: str) -> tuple[str, ...]:
    """The parts of "A, B" between the commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def one_line(text: str) -> str:
    """A text whose control characters and line ends are shown as ``\\n``, ``\\x1b``, …: names may hold any."""
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in text
    )


@contextmanager
def progress_bar(quiet: bool) -> Iterator[ProgressCallback | None]:
    """A callback that draws stage, share done and time left on stderr, or None when nobody is looking."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    layout = "{desc} {percentage:3.0f}% |{bar}| {postfix}"
    with tqdm(bar_format=layout, total=1, leave=False, file=sys.stderr) as bar:

        def show(stage: str, done: int, total: int, eta_s: float | None) -> None:
            bar.total, bar.n = max(total, 1), done
            bar.set_description_str(stage, refresh=False)
            bar.set_postfix_str("" if eta_s is None else f"{eta_s:.0f} s left", refresh=False)
            bar.refresh()

        yield show


def _open_closed() -> None:
    """Put nothing in the place of standard streams that are closed.

    The next file to be opened would get the number of one, and what a C library prints would go into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def add_method_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say how to segment; :class:`~.settings.Settings` in words."""
    add = parser.add_argument
    add("--method", default=DEFAULT_METHOD, help="see 'metasegment methods'; default: %(default)s, the most accurate")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps; default: %(default)s")
    add("--weights", default="", metavar="FOLDER", help="weights of your own, as 'metasegment train' writes them")
    add("--seed", type=int, default=0, help="same input, seed and device give the same output; default: %(default)s")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """What was chosen with :func:`add_method_arguments`.

    Raises:
        SettingsError: a seed that is none.
    """
    return Settings(arguments.method, arguments.device, arguments.seed, arguments.weights)


def positive(text: str) -> int:
    """A whole number from 1 on, as the type of an option."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return number
