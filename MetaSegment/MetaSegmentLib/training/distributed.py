"""Several processes that train one network: on the GPUs of one machine or of many, started by ``torchrun``.

Inner loops call the network functionally, which DistributedDataParallel does not see, so gradients are averaged here,
in one message an update. Every process draws other episodes and applies the same update.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from ..device import choose_device


@dataclass(frozen=True)
class Ranks:
    """Which of ``count`` processes this one is; ``local`` counts those on the same machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def average(self, parameters: Sequence[Tensor], loss: float, stop: bool) -> tuple[float, bool]:
        """Average ``.grad`` over all processes; those without an episode that needs a parameter count as 0 for it.

        Returns:
            The mean loss, and whether any process wants to stop.
        """
        if self.count == 1:
            return loss, stop
        device = parameters[0].device
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        present = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=device)
        status = torch.tensor([loss, float(stop)], device=device)
        message = torch.cat([*(g.float().flatten() for g in gradients), present, status])
        dist.all_reduce(message)
        sums = message.split([*(g.numel() for g in gradients), len(present), 2])
        for parameter, total, present_here in zip(parameters, sums, sums[-2].tolist(), strict=False):
            parameter.grad = (total / self.count).view_as(parameter).to(parameter.dtype) if present_here else None
        mean, wish = sums[-1].tolist()
        return mean / self.count, wish > 0

    def agree(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the first one's values."""
        if self.count > 1:
            with torch.no_grad():
                for tensor in tensors:
                    dist.broadcast(tensor, 0)


@contextmanager
def joined(name: str = "auto") -> Iterator[tuple[Ranks, torch.device]]:
    """This process among those that ``torchrun`` started (alone without it), and its device.

    GPUs are dealt out in turn. More processes than GPUs are allowed, since a small network leaves a GPU idle between
    its kernels; NCCL refuses that, so Gloo carries their messages, as it does on CPUs.

    Raises:
        SettingsError: no such device.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    ranks = Ranks(int(os.environ.get("RANK", "0")), count, int(os.environ.get("LOCAL_RANK", "0")))
    device = choose_device(name)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", ranks.local % torch.cuda.device_count())
    if count == 1:
        yield ranks, device
        return
    alone = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) <= torch.cuda.device_count()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" and alone else "gloo")
    try:
        yield ranks, device
    finally:
        dist.destroy_process_group()
