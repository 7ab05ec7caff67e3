"""Configuration of ``metasegment train``: a TOML file over the shipped one, and the command line over both.

``default.toml`` beside this file holds all values, those behind the shipped weights; the dataclasses have the same for
who uses them without a file. A user's file may name as few of its keys as it likes; its list of sources replaces the
shipped one. Everything here reads without torch.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ..errors import InputError, SettingsError
from ..replacing import replacing

SHIPPED = Path(__file__).with_name("default.toml")
NAME = "config.toml"
"""The file in the folder of a run, or of episodes: how it was made."""

Table = dict[str, Any]
Settings = TypeVar("Settings")


def option(default: Any, meaning: str) -> Any:
    """A key of the file, and of the command line with the same name."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class TaskSettings:
    """How tasks are painted and what their images suffer: the table ``[tasks]``."""

    painted: tuple[int, ...] = option((2, 3, 3, 4, 5, 5, 6, 8), "numbers of painted slices to draw from")
    inside: float = option(0.65, "share of tasks painted evenly inside the structure; the others also at its ends")
    uneven: float = option(0.3, "share with slices moved by one at random, as people paint")
    empty: float = option(0.15, "share with one or two empty slices named beyond the structure")
    beside: float = option(0.0, "share of those on which the very first empty slices are named")
    sloppy: float = option(0.0, "share painted with a shaky hand, now and then a slice beside the true one")
    derived: float = option(0.0, "share whose structure is a surface, a side, a part, the core or the coat of another")
    scattered: float = option(0.0, "share of label maps' structures that are several labels, wherever these lie")
    thickness: tuple[int, ...] = option((1, 1, 2, 3, 4), "voxels a slice is thick, to draw from")
    thickest: float = option(6.0, "times a pixel; slices that would be further apart stay as they are")
    deformed: float = option(0.3, "share of volumes turned, scaled and bent with their structure")
    disturbed: float = option(0.5, "scale of the chances of bias field, contrast, blur, noise, ringing, inversion")


@dataclass(frozen=True)
class EpisodeSettings:
    """How many episodes are written, and what each keeps: the table ``[episodes]``."""

    plan: str = option("slice-v1", "of the network: what it sees")
    count: int = option(600, "episodes to write")
    jobs: int = option(0, "processes that write them; 0: one a core")
    keep_painted: int = option(5, "at most so many painted slices of a task are kept")
    keep_queries: int = option(12, "at most so many of its other slices are kept")
    tiled: float = option(0.0, "share that shows a part of the structure's window, as tiles of large ones do")
    seed: int = option(0, "of everything random")


@dataclass(frozen=True)
class TrainingSettings:
    """How one stage is trained: the table ``[training]`` for all stages, ``[training.STAGE]`` for one."""

    stage: str = "base"
    plan: str = option("slice-v1", "of the network: what it sees")
    steps: int = option(4000, "updates; the learning rate falls to zero over them along a cosine")
    seconds: float = option(0.0, "of training, over which it falls if they end before the updates; 0: no limit")
    tasks: int = option(2, "episodes an update, for each process")
    support: int = option(3, "painted slices taken from an episode for an update")
    queries: int = option(4, "other slices taken from it")
    rate: float = option(2e-3, "highest learning rate")
    anchor: float = option(0.0, "times the way from the weights it began with, added to the gradient")
    decay: float = option(0.998, "of the running average of the weights that is kept as the result")
    seed: int = option(0, "of everything random")
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = option("auto", "float32 or bf16; auto: bf16 on a GPU that has it")
    workers: int = option(-1, "processes that read episodes ahead; -1: four beside a GPU, none without")
    validate_every: int = option(250, "updates between two validations")
    save_every: float = option(60.0, "seconds between two checkpoints")


@dataclass(frozen=True)
class BurstSettings:
    """How a burst uses its time: the table ``[burst]``."""

    plan: str = option("context-v2", "of the network: what it sees")
    seconds: float = option(540.0, "from the start to the end of training")
    together: int = option(24, "episodes an update, computed at once")
    kept_out: int = option(24, "episodes of held-out volumes to validate on")
    queries: int = option(7, "slices to predict taken from an episode for an update")
    rate: float = option(2e-3, "highest learning rate")


@dataclass(frozen=True)
class Share:
    """One of ``[[sources]]``: a folder below ``--data``, what is made of it, and its share of the tasks."""

    folder: str
    kind: str
    share: float


class Config:
    """The files, the last one before what the command line chose.

    Args:
        path: a user's TOML file; only the shipped one without.
        chosen: keys of the command line, whatever their table.
        sources: the mixture of the command line, if any.

    Raises:
        InputError: no such file, or not TOML.
        SettingsError: an unknown table or key, or a value of the wrong kind.
    """

    def __init__(
        self, path: Path | None = None, chosen: Mapping[str, Any] | None = None, sources: Sequence[Share] = ()
    ) -> None:
        self._layers = [_read(file) for file in (SHIPPED, path) if file is not None]
        self._chosen = dict(chosen or {})
        self._sources = tuple(sources)
        for layer in self._layers:
            if unknown := set(layer) - {"sources", "tasks", "episodes", "training", "burst"}:
                raise SettingsError(f"The config file has an unknown table '{min(unknown)}'.")

    def with_sources(self, sources: Sequence[Share]) -> Config:
        """The same with another mixture of task sources."""
        other = copy(self)
        other._sources = tuple(sources)
        return other

    @property
    def sources(self) -> tuple[Share, ...]:
        """The mixture of task sources."""
        if self._sources:
            return self._sources
        tables = next(layer["sources"] for layer in reversed(self._layers) if "sources" in layer)
        return tuple(_make(Share, table) for table in tables)

    @property
    def tasks(self) -> TaskSettings:
        """The table ``[tasks]``."""
        return self._settings(TaskSettings, [layer.get("tasks", {}) for layer in self._layers])

    @property
    def episodes(self) -> EpisodeSettings:
        """The table ``[episodes]``."""
        return self._settings(EpisodeSettings, [layer.get("episodes", {}) for layer in self._layers])

    @property
    def burst(self) -> BurstSettings:
        """The table ``[burst]``."""
        return self._settings(BurstSettings, [layer.get("burst", {}) for layer in self._layers])

    def training(self, stage: str) -> TrainingSettings:
        """The settings of a stage."""
        tables: list[Mapping[str, Any]] = []
        for layer in self._layers:
            table = layer.get("training", {})
            tables.append({key: value for key, value in table.items() if not isinstance(value, dict)})
            tables.append(table.get(stage, {}))
        return self._settings(TrainingSettings, [*tables, {"stage": stage}])

    def _settings(self, kind: type[Settings], tables: Sequence[Mapping[str, Any]]) -> Settings:
        known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
        chosen = {key: value for key, value in self._chosen.items() if key in known}
        merged: Table = {}
        for table in (*tables, chosen):
            merged |= table
        return _make(kind, merged)


def write_config(folder: Path, tables: Mapping[str, Any]) -> None:
    """Write ``config.toml``, which ``--config`` reads again: a table a key, of dataclasses; a tuple becomes [[key]]."""
    lines = []
    for name, value in tables.items():
        for one in value if isinstance(value, tuple) else (value,):
            lines.append(f"[[{name}]]" if isinstance(value, tuple) else f"[{name}]")
            # Numbers, strings, lists and true/false are written the same in JSON and in TOML.
            lines += [f"{key} = {json.dumps(item)}" for key, item in asdict(one).items() if key != "stage"]
            lines.append("")
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / NAME) as waiting:
        waiting.write_text("\n".join(lines), encoding="utf-8")


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("The config file cannot be read; check its name.") from error
    except ValueError as error:
        raise InputError(f"The config file is not TOML: {error}.") from error


def _make(kind: type[Settings], table: Mapping[str, Any]) -> Settings:
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        if key not in known:
            raise SettingsError(f"The config file has an unknown key '{key}'; known are: {', '.join(known)}.")
        values[key] = _checked(key, value, str(known[key].type))
    try:
        return kind(**values)
    except TypeError as error:
        raise SettingsError(f"A table of the config file lacks keys; it needs: {', '.join(known)}.") from error


def _checked(key: str, value: Any, kind: str) -> Any:
    """The value as its field has it: whole numbers pass for fractions, lists become tuples."""
    fits = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "str": isinstance(value, str),
        "tuple[int, ...]": isinstance(value, list | tuple) and all(isinstance(one, int) for one in value) and value,
    }
    if isinstance(value, int | float) and value < 0 and key != "workers":
        raise SettingsError(f"The value of '{key}' is below 0; give a larger one.")
    if not fits[kind]:
        raise SettingsError(f"The value of '{key}' is of the wrong kind; give {_KINDS[kind]}.")
    return tuple(value) if isinstance(value, list) else float(value) if kind == "float" else value


_KINDS = {"int": "a whole number", "float": "a number", "str": "a text", "tuple[int, ...]": "a list of whole numbers"}
