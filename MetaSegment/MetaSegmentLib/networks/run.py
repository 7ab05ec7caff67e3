"""Running a network over slices, batch after batch, on whatever device there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from ..predictors.context import Context
from ..task.frame import Stack

_LARGE = 144 * 144
"""Pixels of a slice, up to which as many go through a network at once as the device allows."""


def run_network(
    network: nn.Module,
    parameters: Mapping[str, Tensor],
    inputs: Sequence[NDArray[Any]],
    stage: str,
    context: Context,
) -> Stack:
    """Outputs of a network for N inputs (channels, H, W), without gradients.

    Args:
        parameters: used instead of the network's own.
        stage: name of the work for the progress.
    """

    def forward(device: torch.device, batch: int) -> Stack:
        there = {name: value.detach().to(device) for name, value in parameters.items()}
        network.to(device)  # its buffers
        parts = []
        batch = _of_this_size(batch, inputs)
        starts = range(0, len(inputs), batch)
        with torch.inference_mode():
            for start in context.progress.steps(stage, starts):
                chosen = [inputs[place] for place in range(start, min(start + batch, len(inputs)))]
                part = torch.from_numpy(np.stack(chosen).astype(np.float32)).to(device)
                part = part.contiguous(memory_format=torch.channels_last)
                parts.append(functional_call(network, there, (part,)).float().cpu().numpy())
        return np.concatenate(parts)

    return context.device.run(forward)


def _of_this_size(batch: int, inputs: Sequence[NDArray[Any]]) -> int:
    """How many slices at once; fewer of large ones, since attention needs the square of their pixels."""
    pixels = inputs[0].shape[-2] * inputs[0].shape[-1]
    return max(1, round(batch * min(1.0, (_LARGE / pixels) ** 2)))
