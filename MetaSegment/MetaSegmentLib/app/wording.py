"""What the panel says: why it waits, how far it is, what came out. Plain functions from facts to sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, MetaSegmentError
from ..imports import import_error
from ..predictors.registry import METHODS
from ..scene.i18n import tr as _
from ..scene.inputs import why_not
from ..scene.slices import Overview
from ..settings import DEFAULT_METHOD
from ..task.history import RunNote

if TYPE_CHECKING:
    from ..series import SeriesResult

DEVICES = ("auto", "cpu", "cuda", "mps")

_INSTANT_METHOD = "protonet"


def obstacle(volume: Any | None, segmentation: Any | None, overview: Overview) -> str:
    """Why Segment cannot be pressed, or what to do to press it; empty when nothing is in the way."""
    found = obstacle_but_paint(volume, segmentation, overview)
    if not found and not any(not row.empty for row in overview.slices):
        return _("Paint the structure on at least one slice, better on three to five.")
    return found


def obstacle_but_paint(volume: Any | None, segmentation: Any | None, overview: Overview) -> str:
    """As :func:`obstacle`, where the paint may be at another time point."""
    if volume is None:
        return _("Choose the volume to segment.")
    problem = why_not(volume)
    if problem:
        return problem
    if segmentation is None:
        return _("Choose a segmentation, or create one, and paint the structure on some slices.")
    if segmentation.GetSegmentation().GetNumberOfSegments() == 0:
        return _("Add a segment and paint the structure on some slices.")
    return overview.problem


def advice(overview: Overview) -> str:
    """What would make a result better, before it is made; empty when nothing is to be said."""
    if overview.done:
        return _("{name} counts as painted wherever it is; hide it if it is done already.").format(
            name=overview.done[0]
        )
    if overview.doubt:
        return overview.doubt
    if len({row.index for row in overview.slices}) == 1:
        return _("One slice is painted. Two more, near both ends of the structure, make the result much better.")
    return ""


def expectation(gpu: str) -> str:
    """What to expect of this computer; ``gpu`` as :func:`MetaSegmentLib.scene.hardware.gpu` says."""
    if gpu:
        return _("{gpu} GPU found: results come within seconds.").format(gpu=gpu)
    return _("No GPU found, none needed: a preview takes seconds, the most accurate method up to a minute.")


def method_choices(chosen: str) -> list[tuple[str, str]]:
    """(title, name) of the methods in the panel's short list: instant, most accurate, and the chosen one."""
    choices = [
        (_("{title} (instant)").format(title=METHODS[_INSTANT_METHOD].title), _INSTANT_METHOD),
        (METHODS[DEFAULT_METHOD].title, DEFAULT_METHOD),
    ]
    if chosen in METHODS and chosen not in (_INSTANT_METHOD, DEFAULT_METHOD):
        choices.append((METHODS[chosen].title, chosen))
    return choices


def device_choices() -> list[tuple[str, str]]:
    """(title, name) of the devices."""
    titles = (_("Automatic"), _("Processor (CPU)"), _("NVIDIA GPU (CUDA)"), _("Apple GPU (MPS)"))
    return list(zip(titles, DEVICES, strict=True))


ASK = "?"
"""Stands for a folder that is yet to be chosen."""


def weights_choices(folder: str) -> list[tuple[str, str]]:
    """(title, folder) of the weights to choose from; ``folder`` is the one that was chosen, if any."""
    own = [(_("Own: {folder}").format(folder=Path(folder).name), folder)] if folder else []
    return [(_("As shipped"), ""), *own, (_("Choose a folder…"), ASK)]


def progress_text(stage: str, eta_s: float | None) -> str:
    """The stage and the time left."""
    if eta_s is None or eta_s < 1:
        return stage
    if eta_s < 90:
        return _("{stage}, {seconds} s left").format(stage=stage, seconds=round(eta_s))
    return _("{stage}, {minutes} min left").format(stage=stage, minutes=round(eta_s / 60))


def summary(report: Mapping[str, Any], seconds: float) -> str:
    """A line for each segment with its volume and estimated Dice, one for each warning, and a line on the run.

    Args:
        seconds: how long the user waited.
    """
    written = report.get("written", {})
    volumes = {str(label): volume for label, volume in written.get("volume_ml", {}).items()}
    lines = [_segment_line(segment, volumes.get(str(label))) for label, segment in report["segments"].items()]
    left_out = written.get("left_to_others_ml", 0)
    if left_out:
        lines.append(
            _("{volume:.2f} ml belong to other segments and were left out, unless Masking allows overlap.").format(
                volume=left_out
            )
        )
    masked = written.get("masked_ml", 0)
    if masked:
        lines.append(_("{volume:.2f} ml stay as they are, by the editor's Masking settings.").format(volume=masked))
    lines += report.get("warnings", ())
    method = method_title(report["method"])
    lines.append(
        _("{method}, {count} painted slices, {seconds:.1f} s on {device}").format(
            method=method, count=len(report["support_slices"]), seconds=seconds, device=report["device"]
        )
    )
    return "\n".join(lines)


def frames_summary(series: SeriesResult, seconds: float) -> str:
    """A line on the run over all time points, and one for each warning."""
    report = series.frames[series.painted[0]].report
    text = _("{method}, {count} time points, {painted} of them painted, {seconds:.1f} s on {device}").format(
        method=method_title(report["method"]),
        count=len(series.labels),
        painted=len(series.painted),
        seconds=seconds,
        device=report["device"],
    )
    return "\n".join([*series.warnings, text])


def method_title(name: str) -> str:
    """What a method is called; its name where it is not known here."""
    return METHODS[name].title if name in METHODS else name


def history(runs: Sequence[tuple[str, Sequence[RunNote]]]) -> str:
    """What runs did to each segment, a line each, the last one first; ``runs`` as :func:`runs_of` gives them."""
    lines = []
    for name, notes in runs:
        for note in reversed(notes):
            line = _("{name}: {method}, {count} painted slices, {day}, version {version}").format(
                name=name, method=method_title(note.method), count=note.slices, day=note.day, version=note.version
            )
            if note.estimated_dice is not None:
                line = _("{line}, estimated Dice {dice:.2f}").format(line=line, dice=note.estimated_dice)
            lines.append(line)
    return "\n".join(lines)


def run_step(segments: int) -> str:
    """What a run is called by undo and redo."""
    return _("MetaSegment, 1 segment") if segments == 1 else _("MetaSegment, {count} segments").format(count=segments)


def undo_text(step: str) -> str:
    """What the button says that takes back a step; an empty name is not known."""
    return _("Undo: {step}").format(step=step) if step else _("Undo")


def redo_text(step: str) -> str:
    """What the button says that brings back a step; an empty name is not known."""
    return _("Redo: {step}").format(step=step) if step else _("Redo")


def suggestion_text(suggestions: Sequence[Mapping[str, Any]]) -> str:
    """What the button to the suggested slice says."""
    if not suggestions:
        return _("Suggested slice")
    return _("Suggested slice: {index}").format(index=suggestions[0]["index"])


def failure(error: Exception) -> str:
    """One sentence with what to do; details belong into the log."""
    if isinstance(error, Cancelled) and str(error) == str(Cancelled()):
        return _("Cancelled.")  # without "nothing was changed": a preview may have been written
    if isinstance(error, MetaSegmentError):
        return str(error)
    explained = import_error(error)
    if explained is not None:
        return str(explained)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return _("The memory is used up; close other programs, crop the volume or choose the device Processor (CPU).")
    return _("The segmentation failed; the details are in Slicer's log (View menu, Error Log).")


def install_question(missing: Sequence[str], megabytes: int, gpu: str) -> str:
    """Asked once, before anything is installed; ``megabytes`` is about how much will be downloaded."""
    return _(
        "MetaSegment needs Python packages that are not installed yet: {packages}.\n\n"
        "Install them now? About {size} are downloaded; afterwards no network is needed. "
        "Slicer's own packages stay as they are.\n\n{expectation}"
    ).format(packages=", ".join(missing), size=_size(megabytes), expectation=expectation(gpu))


def extension_question() -> str:
    """Offers the PyTorch extension where it is missing."""
    return _(
        "PyTorch comes through Slicer's PyTorch extension, which is not installed yet.\n\n"
        "Install the PyTorch extension now? Slicer has to be restarted afterwards; nothing is closed by itself."
    )


def torch_by_pip_question() -> str:
    """Offers pip to those who do not want the PyTorch extension."""
    return _(
        "Install PyTorch with pip instead? It may be a build that does not suit this computer's GPU, "
        "and other extensions that use PyTorch get the same one."
    )


def _size(megabytes: int) -> str:
    if megabytes < 1000:
        return _("{number} MB").format(number=megabytes)
    return _("{number} GB, which takes some minutes,").format(number=round(megabytes / 1000))


def _segment_line(segment: Mapping[str, Any], volume_ml: float | None) -> str:
    """``volume_ml`` as it was written, which masks may have made less than the result."""
    if volume_ml is None:
        volume_ml = segment["volume_ml"]
    volume = _("{name}: {volume:.2f} ml").format(name=segment["name"], volume=volume_ml)
    if not segment["filled_voxels"]:
        return _("{volume}, nothing found on the slices that are not painted").format(volume=volume)
    if segment["estimated_dice"] is None:
        return volume
    return _("{volume}, estimated Dice {dice:.2f}").format(volume=volume, dice=segment["estimated_dice"])
