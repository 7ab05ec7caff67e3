"""Episodes that stay in the memory of the device they are learned on, so that each is read once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch

from .config import TrainingSettings
from .drawing import list_episodes, number_seed, on_device, some_slices
from .episodes import EpisodeTensors, read_episode
from .objectives import Batch

_LOOK_AGAIN = 200
"""New files are looked for each time that so many episodes have been drawn,"""
_AT_ONCE = 32
"""and at most so many are read then."""
_SHARE = 0.5
"""Of a GPU's free memory that episodes may fill."""
_CPU_BYTES = 1 << 30


class Resident:
    """Draws from the episodes of a folder, to which others may be added meanwhile.

    When their memory is full, a new episode takes the place of one that has been there.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self._folder, self._device = folder, device
        self._most = int(_SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else _CPU_BYTES
        self._held: list[EpisodeTensors] = []
        self._bytes = 0
        self._read: set[Path] = set()

    def __len__(self) -> int:
        """How many episodes are held."""
        return len(self._held)

    def draws(self, settings: TrainingSettings, step: int) -> Iterator[tuple[int, Batch]]:
        """Numbers and augmented episodes from an update on, without end."""
        for number in count(step * settings.tasks):
            random = torch.Generator().manual_seed(number_seed(settings.seed, number))
            if not self._held or number % _LOOK_AGAIN == 0:
                self._read_new(random)
            episode = self._held[int(torch.randint(len(self._held), (), generator=random))]
            yield (
                number,
                on_device(some_slices(episode, settings, random, augmented=True), self._device, settings.precision),
            )

    def _read_new(self, random: torch.Generator) -> None:
        for file in [file for file in list_episodes(self._folder) if file not in self._read][:_AT_ONCE]:
            self._read.add(file)
            parts = {name: torch.from_numpy(part).to(self._device) for name, part in vars(read_episode(file)).items()}
            size = sum(part.nbytes for part in parts.values())
            if self._held and self._bytes + size > self._most:
                place = int(torch.randint(len(self._held), (), generator=random))
                self._bytes -= sum(part.nbytes for part in vars(self._held.pop(place)).values())
            self._held.append(EpisodeTensors(**parts))
            self._bytes += size
