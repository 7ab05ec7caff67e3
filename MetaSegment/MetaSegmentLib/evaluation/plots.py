"""The figures of an evaluation as PNG files: curves, reliability, and estimated against true Dice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .curves import pool
from .runner import PEERS, Record
from .tables import estimates


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def plot(records: Sequence[Record], methods: Sequence[str], title: str, file: Path) -> None:
    """One PNG of four panels for one data set and K; Slicer's tools, which give no probabilities, are points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 10), layout="constrained")
    roc, precision_recall, reliability, trust = figure.subplots(2, 2).flat
    figure.suptitle(title)
    for number, name in enumerate((*PEERS, *methods)):
        colour = f"C{number}"
        results = [record["methods"][name] for record in records]
        histograms = [scores["histogram"] for scores in results if "histogram" in scores]
        if not histograms:
            continue
        curves = pool(histograms)
        recall, fallout, precision = (
            curves["true_positive_rate"],
            curves["false_positive_rate"],
            curves["precision"],
        )
        if name in PEERS:
            roc.plot(fallout[1], recall[1], "x", color=colour, label=name)
            precision_recall.plot(recall[1], precision[1], "x", color=colour, label=name)
            continue
        roc.plot(fallout, recall, label=f"{name} ({curves['roc_area']:.3f})", color=colour)
        precision_recall.plot(recall, precision, label=f"{name} ({curves['pr_area']:.3f})", color=colour)
        said, found, _ = zip(*curves["reliability"], strict=True)
        reliability.plot(said, found, "o-", label=f"{name} ({curves['calibration_error']:.3f})", color=colour)
        if pairs := estimates(records, name):
            trust.plot(*zip(*pairs, strict=True), ".", color=colour, label=name)
    roc.set(title="ROC (area)", xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 0.2))
    precision_recall.set(
        title="Precision and recall (area)", xlabel="recall", ylabel="precision", xlim=(0.5, 1), ylim=(0.5, 1)
    )
    reliability.set(title="Reliability (calibration error)", xlabel="probability", ylabel="share in the structure")
    trust.set(title="Estimated and true Dice", xlabel="estimated", ylabel="true", xlim=(0, 1), ylim=(0, 1))
    for panel in (reliability, trust):
        panel.plot((0, 1), (0, 1), ":", color="grey", zorder=0)
    for panel in (roc, precision_recall, reliability, trust):
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize="small")
        panel.grid(alpha=0.3)
    figure.savefig(file, dpi=100)
