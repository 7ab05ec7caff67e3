"""Episodes on disk: what a network sees of a task, and the truth, ready to be learned from.

One safetensors file an episode, so that any number of processes can write and read and a stop loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor

from ..networks.encode import encode, encode_left_out, truth_of
from ..networks.plan import SLICE_V1, Plan, plan_named
from ..predictors.context import Context
from ..predictors.ensemble import Ensemble
from ..predictors.grow_along_paths import GrowAlongPaths
from ..replacing import replacing
from ..task.task import make_task
from .config import Config, EpisodeSettings
from .sources import find_sources
from .tasks import DrawnTask, TaskMaker
from .tiled import random_tile

STAND_INS = {"grow": GrowAlongPaths}
"""Without Slicer's own code, so that networks learn from what they will see."""


@dataclass(frozen=True)
class TrainingEpisode:
    """Inputs (N, channels, H, W) and truth (N, H, W) of painted and of query slices."""

    support: NDArray[np.float16]
    support_truth: NDArray[np.bool_]
    query: NDArray[np.float16]
    query_truth: NDArray[np.bool_]


@dataclass(frozen=True)
class EpisodeTensors:
    """The same as tensors, on whatever device."""

    support: Tensor
    support_truth: Tensor
    query: Tensor
    query_truth: Tensor


def make_episode(
    drawn: DrawnTask, random: np.random.Generator, settings: EpisodeSettings | None = None, plan: Plan = SLICE_V1
) -> TrainingEpisode | None:
    """What a network of ``plan`` sees of a task; None when it has nothing to learn from."""
    settings = settings or EpisodeSettings()
    tile = None
    if settings.tiled and random.random() < settings.tiled:
        tile = random_tile(drawn.paint, 1, drawn.volume.spacing, plan.frame, random)
        if tile is None:
            return None
    task = make_task(drawn.volume, tile.paint if tile else drawn.paint, (1,), plan.frame, tile)
    ensemble = Ensemble(task, Context(), stand_ins=STAND_INS)
    asked = tuple(int(i) for i in np.sort(random.permutation(task.queries)[: settings.keep_queries]))
    painted = tuple(int(i) for i in np.sort(random.permutation(task.slices)[: settings.keep_painted]))
    left_out = encode_left_out(ensemble, plan, painted)
    if len(left_out) < 2 or len(asked) < 2:
        return None
    return TrainingEpisode(
        left_out.array().astype(np.float16),
        truth_of(task, left_out.slices) > 0.5,
        encode(ensemble, asked, plan).array().astype(np.float16),
        task.frame.cut_mask(drawn.mask[list(asked)]),
    )


@dataclass(frozen=True)
class EpisodeOrder:
    """Episodes of a folder of data, by their numbers; plain data, so that other processes can write them.

    Attributes:
        data: data sets, or one.
        held_out: draw from the volumes kept for validation instead of the others.
        folder: where the episodes are written.
    """

    data: Path
    held_out: bool
    folder: Path
    config: Config

    def find(self, number: int) -> Path | None:
        """The file of an episode that an earlier run has written."""
        path = self._path(number)
        return path if path.exists() else None

    def write(self, number: int) -> Path:
        """Write one episode of the settings' seed; the same whichever process does it."""
        settings = self.config.episodes
        maker = TaskMaker(find_sources(self.data, self.config.sources), self.held_out, self.config.tasks)
        random = np.random.default_rng((settings.seed, number))
        episode = None
        while episode is None:
            task = maker.make(random)
            episode = make_episode(task, random, settings, plan_named(settings.plan))
        # safetensors writes the memory as it lies, whatever the order of the axes in it.
        parts = {name: np.ascontiguousarray(part) for name, part in vars(episode).items()}
        with replacing(self._path(number)) as waiting:
            save_file(parts, waiting, metadata={"source": task.source})
        return self._path(number)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.safetensors"


def read_episode(path: Path) -> TrainingEpisode:
    return TrainingEpisode(**load_file(path))
