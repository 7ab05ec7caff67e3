"""Which processor computes, and what happens when its memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from .errors import MemoryExhausted, SettingsError
from .imports import explained_imports

if TYPE_CHECKING:
    import torch

BATCH = 8
"""Slices that go through a network at once, to begin with."""

Answer = TypeVar("Answer")


def choose_device(name: str = "auto") -> torch.device:
    """The device called ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        SettingsError: no such device, or not in this machine.
        DependencyError: torch is not installed.
    """
    kind, number = _parsed(name)
    with explained_imports():
        import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "mps" if has_mps else "cpu")
    if kind == "cuda" and (not has_cuda or int(number or 0) >= torch.cuda.device_count()):
        raise SettingsError(f"The device '{name}' is not in this machine; choose auto or cpu.")
    if kind == "mps" and not has_mps:
        raise SettingsError("This machine has no Apple GPU that torch can use; choose auto or cpu.")
    return torch.device(name)


def _parsed(name: str) -> tuple[str, str]:
    kind, _, number = name.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdigit())):
        raise SettingsError(f"There is no device '{name}'; choose auto, cpu, cuda, cuda:N or mps.")
    return kind, number


@dataclass
class Device:
    """Where networks run; the CPU from the moment on when a GPU's memory does not suffice.

    Attributes:
        name: as for :func:`choose_device`; looked up on first use, so that what needs no network needs no torch.
        batch: slices at once; halved when memory runs out.
    """

    name: str = "auto"
    batch: int = BATCH
    _chosen: torch.device | None = field(default=None, repr=False)

    @property
    def current(self) -> torch.device:
        """The device itself.

        Raises:
            SettingsError: no such device, or not in this machine.
        """
        if self._chosen is None:
            self._chosen = choose_device(self.name)
        return self._chosen

    def check(self, needed: bool) -> None:
        """Refuse a device that there is not, before any work; where it is not ``needed``, torch may be missing.

        Raises:
            SettingsError: no such device, or not in this machine.
            DependencyError: torch is needed and not installed.
        """
        kind, _ = _parsed(self.name)
        if needed or (kind in ("cuda", "mps") and find_spec("torch") is not None):
            _ = self.current

    def run(self, compute: Callable[[torch.device, int], Answer]) -> Answer:
        """``compute(device, batch)``; falls back when memory runs out, and stays there.

        Raises:
            MemoryExhausted: even the CPU's memory does not hold one slice.
        """
        answer, self._chosen, self.batch = within_memory(compute, self.current, self.batch)
        return answer

    def __str__(self) -> str:
        return "cpu" if self._chosen is None else str(self._chosen)


def out_of_memory(error: BaseException) -> bool:
    """Whether this is a device that ran out of memory."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )


def within_memory(
    compute: Callable[[torch.device, int], Answer], device: torch.device, batch: int = BATCH
) -> tuple[Answer, torch.device, int]:
    """Run ``compute(device, batch)``; when memory runs out, halve the batch down to one, then go to the CPU.

    Returns:
        The answer, and the device and batch that worked, to go on with.

    Raises:
        MemoryExhausted: even the CPU's memory does not hold one slice.
    """
    import torch

    while True:
        try:
            return compute(device, batch), device, batch
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if batch > 1:
            batch //= 2
        elif device.type != "cpu":
            device, batch = torch.device("cpu"), BATCH
        else:
            raise MemoryExhausted
