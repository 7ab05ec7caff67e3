"""Checkpoints: all that a run needs to go on as if it had never stopped, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import InputError
from ..replacing import replacing

FILE = "state.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run.

    Attributes:
        model, average: trained tensors and their running average, by name.
        optimiser: state of the optimiser by parameter number and name.
        about: step, settings and what else is worth keeping, as JSON would hold it.
    """

    model: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimiser: Mapping[int, Mapping[str, Tensor]]
    about: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Beside its place, then renamed: a kill at any moment leaves the old checkpoint or the new one."""
        tensors = {f"model/{name}": value for name, value in self.model.items()}
        tensors |= {f"average/{name}": value for name, value in self.average.items()}
        for number, state in self.optimiser.items():
            tensors |= {f"optimiser/{number}/{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        with replacing(folder / FILE) as waiting:
            save_file(tensors, waiting, metadata={name: json.dumps(value) for name, value in self.about.items()})

    @classmethod
    def read(cls, folder: Path) -> Checkpoint | None:
        """The checkpoint of a run's folder, if it has one.

        Raises:
            InputError: there is one, and it is damaged.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            tensors = load_file(path)
            with safe_open(path, "pt") as file:
                about = {name: json.loads(text) for name, text in file.metadata().items()}
        except (OSError, SafetensorError, ValueError) as error:
            raise InputError("The checkpoint of this run is damaged; start again with another --output.") from error
        optimiser: dict[int, dict[str, Tensor]] = {}
        for number, name in (key.split("/")[1:] for key in tensors if key.startswith("optimiser/")):
            optimiser.setdefault(int(number), {})[name] = tensors[f"optimiser/{number}/{name}"]
        return cls(_below("model/", tensors), _below("average/", tensors), optimiser, about)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
