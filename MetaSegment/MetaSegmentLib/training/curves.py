"""Curves of training as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

_PANELS = {"loss": ("loss", "held_out_loss"), "Dice": ("held_out_dice",), "learning rate": ("rate",)}


def plot_curves(lines: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]], file: Path) -> None:
    """One PNG, a row a stage: curves (update, value) by stage and name; nothing where matplotlib is not installed."""
    if not lines or find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3 * len(lines)), layout="constrained")
    panels = figure.subplots(len(lines), len(_PANELS), squeeze=False)
    for row, (stage, curves) in zip(panels, lines.items(), strict=True):
        for panel, (title, names) in zip(row, _PANELS.items(), strict=True):
            for name in names:
                if points := curves.get(name):
                    panel.plot(*zip(*points, strict=True), label=name.replace("_", " "), linewidth=1)
            panel.set(title=f"{stage}: {title}", xlabel="update")
            panel.grid(alpha=0.3)
            if panel.get_legend_handles_labels()[0]:
                panel.legend(fontsize="x-small")
    figure.savefig(file, dpi=100)
