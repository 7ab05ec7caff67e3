"""Episodes on disk: what a network sees of a task, and the truth, ready to be learned from.

One safetensors file an episode, so that any number of processes can write and read and a stop loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from ..networks.episode import Episode
from ..replacing import replacing
from ..task.frame import GRID, Region, make_region, resize
from .config import EpisodeSettings
from .tasks import Task, TaskMaker


@dataclass(frozen=True)
class TrainingEpisode:
    """Inputs (N, channels, GRID, GRID) and truth (N, GRID, GRID) of painted and of query slices."""

    support: NDArray[np.float16]
    support_truth: NDArray[np.bool_]
    query: NDArray[np.float16]
    query_truth: NDArray[np.bool_]


def truth_on_grid(mask: NDArray[np.bool_], region: Region, slices: tuple[int, ...]) -> NDArray[np.bool_]:
    """(N, GRID, GRID): the true mask of some slices."""
    cut = region.window.cut(mask[list(slices)], edge=False)
    return np.asarray(resize(cut, (GRID, GRID)) > 0.5)


def make_episode(
    task: Task, random: np.random.Generator, settings: EpisodeSettings | None = None
) -> TrainingEpisode | None:
    """Run the experts on a task; None when it has nothing to learn from."""
    settings = settings or EpisodeSettings()
    episode = Episode(make_region(task.volume, task.support, 1))
    asked = tuple(int(i) for i in np.sort(random.permutation(episode.region.queries)[: settings.keep_queries]))
    painted = tuple(int(i) for i in np.sort(random.permutation(episode.region.support)[: settings.keep_painted]))
    left_out = episode.left_out(painted)
    if len(left_out.slices) < 2 or len(asked) < 2:
        return None
    return TrainingEpisode(
        left_out.inputs.astype(np.float16),
        np.stack([episode.region.mask(i) for i in left_out.slices]),
        episode.queries(asked).inputs.astype(np.float16),
        truth_on_grid(task.mask, episode.region, asked),
    )


def write_episodes(
    maker: TaskMaker,
    folder: Path,
    numbers: range,
    settings: EpisodeSettings,
    told: Callable[[int], None] = lambda number: None,
) -> None:
    """Write episodes ``numbers`` of the settings' seed; those that are there are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        path = folder / f"{number:06d}.safetensors"
        if not path.exists():
            random = np.random.default_rng((settings.seed, number))
            episode = None
            while episode is None:
                task = maker.make(random)
                episode = make_episode(task, random, settings)
            with replacing(path) as waiting:
                save_file(vars(episode), waiting, metadata={"source": task.source})
        told(number)


def read_episode(path: Path) -> TrainingEpisode:
    return TrainingEpisode(**load_file(path))
