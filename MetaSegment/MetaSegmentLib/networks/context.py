"""What methods need to run a network: device, weights, progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..progress import Progress
from ..task.frame import Stack
from . import weights
from .device import BATCH, within_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass
class Tools:
    """Lent to methods for one run.

    Attributes:
        device: where networks run; becomes the CPU when a GPU's memory does not suffice.
        seed: for everything random.
        batch: slices at once; halved when memory runs out.
    """

    device: torch.device
    seed: int = 0
    progress: Progress = field(default_factory=Progress)
    batch: int = BATCH
    _loaded: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def again(self, progress: Progress) -> Tools:
        """The same tools for another run."""
        return Tools(self.device, self.seed, progress, self.batch, self._loaded)

    def weights(self, name: str) -> dict[str, Tensor]:
        """Shipped weights on the device, read once."""
        if name not in self._loaded:
            self._loaded[name] = weights.load(name)
        return {key: value.to(self.device) for key, value in self._loaded[name].items()}

    def run(
        self, network: nn.Module, parameters: Mapping[str, Tensor], inputs: Sequence[NDArray[Any]], stage: str
    ) -> Stack:
        """Outputs of a network for N inputs (channels, H, W), batch after batch, without gradients."""
        import torch
        from torch.func import functional_call

        def forward(device: torch.device, batch: int) -> Stack:
            there = {name: value.detach().to(device) for name, value in parameters.items()}
            parts = []
            starts = range(0, len(inputs), batch)
            with torch.inference_mode():
                for start in self.progress.steps(stage, starts):
                    part = torch.from_numpy(np.stack(inputs[start : start + batch]).astype(np.float32)).to(device)
                    part = part.contiguous(memory_format=torch.channels_last)
                    parts.append(functional_call(network, there, (part,)).float().cpu().numpy())
            return np.concatenate(parts)

        answer, self.device, self.batch = within_memory(forward, self.device, self.batch)
        return answer
