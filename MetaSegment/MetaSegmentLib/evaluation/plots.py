"""The figures of an evaluation as PNG files: curves, reliability, estimated against true Dice, gains of a slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .curves import Curves, pool
from .layout import TITLES
from .records import Record
from .tables import BEST_OF, Row, compared, estimates, scores_of

_STYLES = ("-", "--", "-.", ":")
_MARKERS = "XosPdv"
_COLOURS = 10


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def plot(records: Sequence[Record], methods: Sequence[str], title: str, file: Path) -> None:
    """One PNG of four panels; the tools compared with, which give no probabilities, are points."""
    figure, (roc, precision_recall, reliability, estimate) = _panels(title)
    for number, name in enumerate(name for name in compared(records) if name not in BEST_OF):
        if curves := _curves(records, name):
            style: dict[str, Any] = {"marker": _MARKERS[number % len(_MARKERS)], "color": "black", "linestyle": ""}
            roc.plot(curves["false_positive_rate"][1], curves["true_positive_rate"][1], label=TITLES[name], **style)
            precision_recall.plot(curves["true_positive_rate"][1], curves["precision"][1], **style)
    for number, name in enumerate(methods):
        curves = _curves(records, name)
        if not curves:
            continue
        style = {"color": f"C{number % _COLOURS}", "linestyle": _STYLES[number // _COLOURS % len(_STYLES)]}
        recall = curves["true_positive_rate"]
        roc.plot(curves["false_positive_rate"], recall, label=f"{name} ({curves['roc_area']:.3f})", **style)
        precision_recall.plot(recall, curves["precision"], label=f"{name} ({curves['pr_area']:.3f})", **style)
        predicted, found, _ = zip(*curves["reliability"], strict=True)
        reliability.plot(predicted, found, marker=".", label=f"{name} ({curves['calibration_error']:.3f})", **style)
        if pairs := estimates(records, name):
            estimate.plot(*zip(*pairs, strict=True), ".", color=style["color"], alpha=0.6, label=name)
    for panel in (reliability, estimate):
        panel.plot((0, 1), (0, 1), color="grey", linewidth=0.8, zorder=0)
    for panel in (roc, precision_recall, reliability, estimate):
        panel.grid(alpha=0.3)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize="x-small")
    figure.savefig(file, dpi=110)


def plot_gains(rows: Sequence[Row], file: Path) -> None:
    """One PNG: what each choice of one more slice gains, with its confidence interval."""
    from matplotlib.figure import Figure

    groups = list(dict.fromkeys((row["placement"], row["k"], row["method"]) for row in rows))
    choices = list(dict.fromkeys(row["choice"] for row in rows if row["gain"] is not None))
    figure = Figure(figsize=(2.5 + 2.2 * len(groups), 4), layout="constrained")
    panel = figure.subplots()
    width = 0.8 / max(len(choices), 1)
    for number, choice in enumerate(choices):
        for place, group in enumerate(groups):
            for row in rows:
                if (row["placement"], row["k"], row["method"]) == group and row["choice"] == choice:
                    low, high = row["gain_interval"] or (row["gain"], row["gain"])
                    panel.bar(
                        place + (number - (len(choices) - 1) / 2) * width,
                        row["gain"],
                        width * 0.9,
                        yerr=[[row["gain"] - low], [high - row["gain"]]],
                        color=f"C{number}",
                        capsize=3,
                        label=choice if place == 0 else None,
                    )
    names = [f"{method}\n{placement}, K = {k}" for placement, k, method in groups]
    panel.set_xticks(range(len(groups)), names)
    panel.set(title="One more painted slice", ylabel="gain in Dice (95 % interval)")
    panel.grid(alpha=0.3, axis="y")
    panel.set_axisbelow(True)
    panel.legend()
    figure.savefig(file, dpi=110)


def _panels(title: str) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 11), layout="constrained")
    figure.suptitle(title)
    panels = list(figure.subplots(2, 2).flat)
    labels = (
        ("ROC (area)", "false positive rate", "true positive rate", (0, 0.2), (0.5, 1)),
        ("Precision and recall (area)", "recall", "precision", (0.5, 1), (0.5, 1)),
        ("Reliability (calibration error)", "probability", "share in the structure", (0, 1), (0, 1)),
        ("Estimated and true Dice", "estimated", "true", (0, 1), (0, 1)),
    )
    for panel, (heading, x, y, x_limits, y_limits) in zip(panels, labels, strict=True):
        panel.set(title=heading, xlabel=x, ylabel=y, xlim=x_limits, ylim=y_limits)
    return figure, panels


def _curves(records: Sequence[Record], name: str) -> Curves | None:
    histograms = [scores["histogram"] for r in records if "histogram" in (scores := scores_of(r, name))]
    return pool(histograms) if histograms else None
