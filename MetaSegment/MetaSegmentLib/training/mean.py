"""The mean of weights that several runs led to from one start ("model soups", Wortsman et al., ICML 2022).

Runs that go on from the same weights stay in one basin of the loss, where the mean of what they found is often better
than each of them, and costs no time when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..errors import InputError
from ..networks import weights
from ..version import __version__


def store_mean(folders: Sequence[Path], output: Path) -> list[str]:
    """Write the mean of the weights in ``folders``, of all that each has, with plan and calibration of the first one.

    Returns:
        Their names.

    Raises:
        InputError: fewer than two folders, no weights that all have, or weights of different networks.
        WeightsError: damaged weights.
    """
    if len(folders) < 2:
        raise InputError("Name at least two folders of weights with --of.")
    folders = [weights.Weights.of(str(folder)).folder or folder for folder in folders]
    names = sorted(set.intersection(*(set(weights.names(folder)) for folder in folders)))
    if not names:
        raise InputError("The folders have no weights of the same name.")
    output.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = [weights.load(name, folder) for folder in folders]
        plans = [weights.load_plan(name, folder) for folder in folders]
        alike = all(plan.name == plans[0].name for plan in plans)
        if not alike or any(_shapes(one) != _shapes(found[0]) for one in found):
            raise InputError(f"The weights '{name}' are of different networks; only those of the same have a mean.")
        means = {key: torch.stack([one[key].double() for one in found]).mean(0).float() for key in found[0]}
        weights.store(name, means, replace(plans[0], commit=__version__), output)
    return names


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in tensors.items()}
