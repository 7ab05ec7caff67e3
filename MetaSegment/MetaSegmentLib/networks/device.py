"""Which processor computes, and what happens when its memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ..errors import MetaSegmentError, SettingsError

if TYPE_CHECKING:
    import torch

BATCH = 8
"""Slices that go through a network at once, to begin with."""

Answer = TypeVar("Answer")


def choose_device(name: str = "auto") -> torch.device:
    """The device called ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        SettingsError: no such device, or not in this machine.
    """
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "mps" if has_mps else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not (kind == "cuda" and number.isdigit())):
        raise SettingsError(f"There is no device '{name}'; choose auto, cpu, cuda, cuda:N or mps.")
    if kind == "cuda" and (not has_cuda or int(number or 0) >= torch.cuda.device_count()):
        raise SettingsError(f"The device '{name}' is not in this machine; choose auto or cpu.")
    if kind == "mps" and not has_mps:
        raise SettingsError("This machine has no Apple GPU that torch can use; choose auto or cpu.")
    return torch.device(name)


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
        MetaSegmentError: even the CPU's memory does not hold one slice.
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
            raise MetaSegmentError("The memory of this machine is used up; close other programs or crop the volume.")
