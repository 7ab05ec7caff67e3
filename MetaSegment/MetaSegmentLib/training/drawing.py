"""Which episode comes next: number n of a seed is always the same, so a run that goes on meets what was due."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset

from ..errors import InputError
from ..networks.plan import plan_named
from .augment import augment
from .config import TrainingSettings
from .distributed import Ranks
from .episodes import EpisodeTensors, TrainingEpisode, read_episode
from .objectives import Batch

_LOOK_AGAIN = 100
"""New files are looked for each time that so many episodes have been drawn."""
_LARGEST_SEED = 2**63


class Draws(Dataset):
    """Episodes of a folder by number: a random one, some of its slices, augmented; files may be added meanwhile."""

    def __init__(self, folder: Path, settings: TrainingSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._files: list[Path] = []
        self._drawn = 0

    def __getitem__(self, number: int) -> Batch:
        random = torch.Generator().manual_seed(number_seed(self._settings.seed, number))
        if self._drawn % _LOOK_AGAIN == 0:
            self._files = list_episodes(self._folder)
        self._drawn += 1
        episode = read_episode(self._files[int(torch.randint(len(self._files), (), generator=random))])
        return some_slices(episode, self._settings, random, augmented=True)


def list_episodes(folder: Path) -> list[Path]:
    """The files of a folder of episodes, in order.

    Raises:
        InputError: it has none.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError("There are no episodes in that folder; make them first with: metasegment train episodes.")
    return files


def number_seed(seed: int, number: int) -> int:
    """One seed for each pair."""
    return (seed * 1_000_003 + number) * 2_654_435_761 % _LARGEST_SEED


def some_slices(
    episode: TrainingEpisode | EpisodeTensors, settings: TrainingSettings, random: torch.Generator, augmented: bool
) -> Batch:
    """At most so many painted and query slices of an episode as the settings allow, where the episode is."""
    support = torch.randperm(len(episode.support), generator=random)[: settings.support]
    query = torch.randperm(len(episode.query), generator=random)[: settings.queries]
    inputs = torch.cat([torch.as_tensor(episode.support)[support], torch.as_tensor(episode.query)[query]]).float()
    truth = torch.cat(
        [torch.as_tensor(episode.support_truth)[support], torch.as_tensor(episode.query_truth)[query]]
    ).float()
    if augmented:
        inputs, truth = augment(inputs, truth, plan_named(settings.plan), random)
    n = len(support)
    return Batch(inputs[:n], truth[:n], inputs[n:], truth[n:])


def stream(
    folder: Path, settings: TrainingSettings, ranks: Ranks, step: int, device: torch.device
) -> Iterator[tuple[int, Batch]]:
    """Numbers and episodes for this process from an update on, on its device, read ahead by other processes."""
    update = settings.tasks * ranks.count
    mine = range(step * update + ranks.rank, settings.steps * update, ranks.count)
    workers = settings.workers if settings.workers >= 0 else 4 if device.type == "cuda" else 0
    loader = DataLoader(
        Draws(folder, settings),
        batch_size=None,
        sampler=mine,
        num_workers=workers,
        worker_init_fn=_start_worker if workers else None,
    )
    for number, batch in zip(mine, loader, strict=True):
        yield number, on_device(batch, device, settings.precision)


def on_device(batch: Batch, device: torch.device, precision: str) -> Batch:
    """The same on a device, in the layout that convolutions are quickest in."""
    layout = quickest_layout(device, precision)
    support, query = (
        inputs.to(device, memory_format=layout, non_blocking=True) for inputs in (batch.support, batch.query)
    )
    return Batch(support, batch.support_truth.to(device), query, batch.query_truth.to(device))


def quickest_layout(device: torch.device, precision: str) -> torch.memory_format:
    """For convolutions: channels last is 30 % faster, but for half floats on a CPU, where it takes twice as long."""
    return torch.contiguous_format if device.type == "cpu" and precision == "bf16" else torch.channels_last


def _start_worker(number: int) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
