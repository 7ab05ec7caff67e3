"""MAML that also learns from slices drawn between the painted ones; see ``drawn_slices.py``."""

from __future__ import annotations

from itertools import pairwise

import torch

from ...networks.encode import encode
from ...networks.plan import Plan
from ...predictors.ensemble import Ensemble
from .adapting import Slices
from .drawn_slices import drawn, stored_vae
from .inner_loop import Parameters
from .maml import Maml


class Variational(Maml):
    """Draws one slice in the middle of every gap between painted slices that both show the structure."""

    def __init__(self, weights: str = "variational") -> None:
        super().__init__(weights)

    def more_support(self, ensemble: Ensemble, plan: Plan, stored: Parameters) -> Slices | None:
        structure = ensemble.task.structure
        gaps = [(a, b) for a, b in pairwise(structure.slices) if {a, b} <= set(structure.filled) and b - a > 1]
        if not gaps:
            return None
        middles = tuple((a + b) // 2 for a, b in gaps)
        ensemble.prepare(middles)
        real = torch.from_numpy(encode(ensemble, middles, plan).array())
        random = torch.Generator().manual_seed(ensemble.context.seed)
        inputs, truth = drawn(real, plan, stored_vae(stored), random)
        return inputs.numpy(), truth.numpy()
