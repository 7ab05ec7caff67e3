"""Lists of words on the command line, text that stays on its line, and the progress bar."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from .progress import ProgressCallback


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
