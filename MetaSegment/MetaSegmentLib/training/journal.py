"""Log of a training run: ``log.jsonl``, and the same figures for TensorBoard where that is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any


class Journal:
    """Figures by step, in a run's folder. Lines of a run that was stopped beyond its last checkpoint are dropped.

    Args:
        folder: of the run.
        step: where the run goes on from.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        path = folder / "log.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if _step(line) <= step]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._log = path.open("a", encoding="utf-8")
        self._board = _board(folder, step)

    def write(self, step: int, **figures: float) -> None:
        """One line, and one point of every curve."""
        rounded = {name: round(value, 6) for name, value in figures.items()}
        self._log.write(json.dumps({"step": step, **rounded}) + "\n")
        self._log.flush()
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._log.close()
        if self._board is not None:
            self._board.close()


def _step(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # the last line of a run that was killed
        return sys.maxsize


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        print("TensorBoard is not installed, so figures go to log.jsonl only.", file=sys.stderr)
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
