"""How well a stage does on episodes of volumes that were kept out of training."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor

from ..networks.slice_unet import SliceNetwork
from .config import TrainingSettings
from .drawing import list_episodes, number_seed, on_device, some_slices
from .episodes import read_episode
from .objectives import Objective

MOST_EPISODES = 40


def validate(
    folder: Path, objective: Objective, network: SliceNetwork, tensors: dict[str, Tensor], settings: TrainingSettings
) -> dict[str, float]:
    """Mean ``dice`` of query slices, episode by episode, and the stage's ``loss``; always of the same slices.

    Args:
        folder: held-out episodes; the first forty count.
        network: gives the architecture.
        tensors: weights to try, the stage's own among them.

    Raises:
        InputError: no episodes there.
    """
    tried = deepcopy(network)
    device = next(tried.parameters()).device
    tensors = {name: value.to(device) for name, value in tensors.items()}
    tried.load_state_dict({name: tensors[name] for name in tried.state_dict()})
    own = {name: tensors[name].clone().requires_grad_() for name in objective.loss.extra_parameters(tried)}
    losses, scores = [], []
    for number, path in enumerate(list_episodes(folder)[:MOST_EPISODES]):
        random = torch.Generator().manual_seed(number_seed(settings.seed, number))
        drawn = on_device(
            some_slices(read_episode(path), settings, random, augmented=False), device, settings.precision
        )
        losses.append(objective.loss.backward(tried, own, drawn, 0.0))
        found = objective.loss.predict(tried, own, drawn).detach() > 0
        truth = drawn.query_truth > 0.5
        together = int(found.sum() + truth.sum())
        scores.append(2 * int((found & truth).sum()) / together if together else 1.0)
    return {"dice": sum(scores) / len(scores), "loss": sum(losses) / len(losses)}
