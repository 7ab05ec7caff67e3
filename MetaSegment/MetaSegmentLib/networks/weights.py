"""Shipped weights: safetensors files, each with its SHA-256 in ``checksums.json``. No pickle, ever."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..replacing import replacing
from .plan import HEADER, Plan

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parents[1] / "weights"
_CHECKSUMS = "checksums.json"


@dataclass(frozen=True)
class Weights:
    """Where a run takes its weights from.

    Attributes:
        folder: a lab's own, as ``metasegment train`` and ``metasegment calibrate`` write them; what it lacks is taken
            from those that are shipped. None for the shipped ones alone.
    """

    folder: Path | None = None

    @classmethod
    def of(cls, folder: str) -> Weights:
        """Those of a folder by its path; the shipped ones where it is empty.

        Raises:
            WeightsError: it holds none.
        """
        if not folder:
            return cls()
        if not lists_weights(Path(folder)):
            raise WeightsError("There are no weights in that folder; give one that 'metasegment train' has written.")
        return cls(Path(folder).resolve())

    def checksum(self, name: str) -> str:
        """See :func:`checksum`."""
        return checksum(name, self.place(name))

    def load(self, name: str) -> dict[str, Tensor]:
        """See :func:`load`."""
        return load(name, self.place(name))

    def load_plan(self, name: str) -> Plan:
        """See :func:`load_plan`; weights that were trained and not calibrated yet have the shipped calibration."""
        plan = load_plan(name, self.place(name))
        if plan.calibration or self.place(name) == FOLDER or name not in names():
            return plan
        return replace(plan, calibration=load_plan(name).calibration)

    def place(self, name: str) -> Path:
        """The folder that the weights ``name`` are taken from."""
        return self.folder if self.folder is not None and name in names(self.folder) else FOLDER


def lists_weights(folder: Path) -> bool:
    """Whether there are weights in a folder."""
    return (folder / _CHECKSUMS).is_file()


def names(folder: Path = FOLDER) -> list[str]:
    """Names of the weights that should be there."""
    return sorted(_checksums(folder))


def checksum(name: str, folder: Path = FOLDER) -> str:
    """SHA-256 that the weights ``name`` must have.

    Raises:
        WeightsError: no such weights.
    """
    known = _checksums(folder)
    if name not in known:
        raise WeightsError(f"There are no weights '{name}'; install MetaSegment again.")
    return known[name]


def load(name: str, folder: Path = FOLDER) -> dict[str, Tensor]:
    """Load weights by name, on the CPU, in single precision, after verifying their checksum.

    Raises:
        WeightsError: missing, or not the bytes that were shipped.
    """
    from safetensors.torch import load as parse

    return {key: value.float() for key, value in parse(_read(name, folder)).items()}


def load_plan(name: str, folder: Path = FOLDER) -> Plan:
    """How the weights ``name`` are to be used; needs no package beyond Python's own.

    Raises:
        WeightsError: as :func:`load`, or weights of another version.
    """
    return _plan(name, folder, checksum(name, folder))


def store(name: str, tensors: dict[str, Tensor], plan: Plan, folder: Path = FOLDER, half: bool = False) -> None:
    """Write weights with their plan, and their checksum, each beside its place and renamed.

    Args:
        half: in half precision, for what is shipped to compare with and need not be large.
    """
    from safetensors.torch import save

    parts = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    parts = {key: value.half() for key, value in parts.items()} if half else parts
    _write(name, save(parts, metadata={HEADER: plan.to_text()}), folder)


def store_plan(name: str, plan: Plan, folder: Path = FOLDER) -> None:
    """Give weights another plan; their numbers stay as they are.

    Raises:
        WeightsError: as :func:`load`.
    """
    content = _read(name, folder)
    header, start = _header(content)
    header["__metadata__"] = {HEADER: plan.to_text()}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
    _write(name, struct.pack("<Q", len(text)) + text + content[start:], folder)


def copy(name: str, folder: Path, source: Path = FOLDER) -> None:
    """Put weights, checked and as they are, into another folder.

    Raises:
        WeightsError: as :func:`load`.
    """
    _write(name, _read(name, source), folder)


def same_numbers(name: str, one: Path, other: Path) -> bool:
    """Whether weights in two folders differ in their plan at most.

    Raises:
        WeightsError: as :func:`load`.
    """
    contents = [_read(name, folder) for folder in (one, other)]
    return len({content[_header(content)[1] :] for content in contents}) == 1


def _write(name: str, content: bytes, folder: Path) -> None:
    known = _checksums(folder) if lists_weights(folder) else {}
    known[name] = hashlib.sha256(content).hexdigest()
    with replacing(folder / f"{name}.safetensors") as waiting:
        waiting.write_bytes(content)
    with replacing(folder / _CHECKSUMS) as waiting:
        waiting.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _read(name: str, folder: Path) -> bytes:
    expected = checksum(name, folder)
    try:
        content = (folder / f"{name}.safetensors").read_bytes()
    except OSError as error:
        raise WeightsError(f"The weights '{name}' are missing; install MetaSegment again.") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise WeightsError(f"The weights '{name}' are damaged (wrong checksum); install MetaSegment again.")
    return content


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """The JSON header of a safetensors file, and where its tensors begin."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), 8 + length


@lru_cache
def _plan(name: str, folder: Path, checksum: str) -> Plan:
    header, _ = _header(_read(name, folder))
    return Plan.from_text(header.get("__metadata__", {}).get(HEADER, ""))


def _checksums(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise WeightsError("The list of weights is missing or damaged; install MetaSegment again.") from error
