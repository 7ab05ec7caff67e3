"""Curves of training as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

_PANELS = {"loss": ("loss", "held_out_loss"), "Dice": ("held_out_dice",), "learning rate": ("rate",)}


def plot_curves(curves: Mapping[str, Sequence[tuple[int, float]]], file: Path) -> None:
    """One PNG of curves (update, value) by name; nothing where matplotlib is not installed."""
    if not curves or find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3), layout="constrained")
    for panel, (title, names) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for name in names:
            if points := curves.get(name):
                panel.plot(*zip(*points, strict=True), label=name.replace("_", " "), linewidth=1)
        panel.set(title=title, xlabel="update")
        panel.grid(alpha=0.3)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize="x-small")
    figure.savefig(file, dpi=100)
