"""Images made hard on purpose, so that a network learns to do without what is easily disturbed.

The fast gradient sign method (Goodfellow et al., ICLR 2015): x' = x + ε · sign(∇ₓ L), the step that raises L most among
all that move no pixel by more than ε, to first order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SIZE = 0.1
"""Of a step, where the 1st and 99th percentile of the intensities lie at -1 and 1."""


def disturbed(loss: Callable[[Tensor], Tensor], inputs: Tensor, places: Sequence[int], size: float = SIZE) -> Tensor:
    """Inputs (N, channels, H, W) after a step of the adversary on the planes at ``places``; the others stay.

    Args:
        loss: of such inputs, which the step raises.
        size: ε.
    """
    free = inputs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(free), free)
    step = torch.zeros_like(inputs)
    step[:, list(places)] = size * gradient[:, list(places)].sign()
    return inputs + step
