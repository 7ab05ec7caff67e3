"""How much a scanner's change costs: mean Dice of methods and of Slicer's tools over the severity of a corruption.

    python Testing/benchmarks/robustness.py --data DATA/msd_hippocampus DATA/openkbp --limit 4

corrupts whole volumes, so painted and other slices alike, as another scanner would; paints three slices ``inside``;
writes ``Testing/benchmarks/results/robustness.json``, ``.md`` and ``.png``. Only volumes that training kept out are
taken, or all of ``--all-volumes``. ``tent`` is ``network`` with test-time adaptation on slices that nobody painted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))
os.environ.setdefault("ITK_GLOBAL_DEFAULT_THREADER", "Platform")

import matplotlib  # noqa: E402

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from monai.transforms import AdjustContrast, GaussianSmooth, RandBiasField  # noqa: E402

from MetaSegmentLib import Settings, adapt  # noqa: E402
from MetaSegmentLib.data.datasets import choose, find_cases, load  # noqa: E402
from MetaSegmentLib.data.protocol import paint, painted_slices, query_dice  # noqa: E402
from MetaSegmentLib.evaluation import tools  # noqa: E402
from MetaSegmentLib.evaluation.records import Painted  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402

RESULTS = Path(__file__).with_name("results")
SEVERITIES = (0, 1, 2, 3)
TOOLS = ("fill_between_slices", "grow_from_seeds", "random_walker")

Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def inverted(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Blended with its negative; at the last severity it is the negative."""
    return image + (1 - 2 * image) * severity / 3


def gamma(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    return np.asarray(AdjustContrast((1.0, 1.5, 2.2, 3.5)[severity])(image[None])[0])


def bias_field(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    if not severity:
        return image
    field = RandBiasField(prob=1.0, coeff_range=(0.1 * severity, 0.1 * severity + 0.05))
    field.set_random_state(int(random.integers(2**31)))
    return np.asarray(field(image[None])[0])


def noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    return image + random.normal(0, 0.08 * severity, image.shape) if severity else image


def thickness(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Each slice is an average over its neighbours, as thick ones are."""
    return np.asarray(GaussianSmooth((0.7 * severity, 0, 0))(image[None])[0]) if severity else image


def modality(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Grey values through a curve that is not monotone, as tissues change places between modalities."""
    knots = np.linspace(0, 1, 6)
    curve = np.interp(image, knots, random.permutation(knots))
    return image + (curve - image) * severity / 3


CORRUPTIONS: dict[str, Corruption] = {
    one.__name__: one for one in (inverted, gamma, bias_field, noise, thickness, modality)
}


def corrupted(painted: Painted, name: str, severity: int, seed: int) -> Painted:
    """The same case as another scanner would show it."""
    front = np.moveaxis(painted.image, painted.axis, 0).astype(np.float32)
    low, high = np.percentile(front, (0.5, 99.5))
    unit = np.clip((front - low) / (high - low or 1), 0, 1)
    changed = CORRUPTIONS[name](unit, severity, np.random.default_rng(seed)).astype(np.float32)
    image = np.ascontiguousarray(np.moveaxis(1000 * changed, 0, painted.axis))
    return Painted(image, painted.spacing, painted.truth, painted.slices, painted.axis)


def cases(folders: list[Path], limit: int, k: int, all_volumes: bool) -> list[Painted]:
    found = []
    for folder in folders:
        for case in choose(find_cases(folder, only_held_out=not all_volumes), (k,), limit)[k]:
            image, spacing, labels = load(case.volume)
            truth = labels == case.value
            found.append(Painted(image, spacing, truth, painted_slices(truth, k, "inside", case.axis), case.axis))
    return found


def dice_of_all(case: Painted, methods: Sequence[str], compared: Sequence[str] = TOOLS) -> dict[str, float]:
    """Dice of each method and tool; what the methods share is computed once."""
    labels, axis = paint(case.truth, case.slices, case.axis), case.axis
    adapted = adapt(case.image, labels, case.spacing, axis=axis, settings=Settings(methods[0]))
    masks = {}
    for method in methods:
        adapted = adapted.update(labels, method=method)
        masks[method] = adapted.predict().labels == 1
    masks |= {tool: tools.apply(tool, case) for tool in compared}
    return {name: query_dice(mask, case.truth, case.slices, axis) for name, mask in masks.items()}


def measure(
    painted: list[Painted],
    methods: Sequence[str],
    compared: Sequence[str],
    names: Sequence[str],
    severities: Sequence[int],
) -> dict[str, dict[str, list[float]]]:
    """Corruption → method → mean Dice by severity."""
    plain = [dice_of_all(corrupted(one, "noise", 0, 0), methods, compared) for one in painted]
    table: dict[str, dict[str, list[float]]] = {}
    for name in names:
        steps = [plain]
        for severity in severities[1:]:
            changed = (corrupted(one, name, severity, number) for number, one in enumerate(painted))
            steps.append([dice_of_all(one, methods, compared) for one in changed])
        table[name] = {one: [round(fmean(d[one] for d in step), 4) for step in steps] for one in plain[0]}
        print(name, json.dumps(table[name]), flush=True)
    return table


def as_text(
    table: dict[str, dict[str, list[float]]], count: int, about: str, severities: Sequence[int] = SEVERITIES
) -> str:
    tried = [str(one) for one in severities]
    lines = [
        f"Mean Dice, K = 3 `inside`, {count} cases of {about}; "
        f"severity {', '.join(tried)}, and what the last one costs.",
        "",
    ]
    lines += [f"| corruption | method | {' | '.join(tried)} | loss |", "|---|---|" + "---|" * (len(tried) + 1)]
    for name, methods in table.items():
        for method, dice in methods.items():
            values = " | ".join(f"{one:.3f}" for one in dice)
            lines.append(f"| {name} | {method} | {values} | {dice[0] - dice[-1]:.3f} |")
    return "\n".join(lines) + "\n"


def plot(table: dict[str, dict[str, list[float]]], file: Path, severities: Sequence[int] = SEVERITIES) -> None:
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), sharex=True, sharey=True, layout="constrained")
    for axis, (name, methods) in zip(axes.flat, table.items(), strict=False):
        for method, dice in methods.items():
            axis.plot(severities, dice, "--" if method in TOOLS else "-", marker=".", label=method)
        axis.set(title=name.replace("_", " "), xticks=severities)
    for axis in axes[-1]:
        axis.set_xlabel("severity")
    for axis in axes[:, 0]:
        axis.set_ylabel("mean Dice")
    axes.flat[0].legend(fontsize=7)
    with replacing(file) as waiting:
        figure.savefig(waiting, dpi=80, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--limit", type=int, default=4, help="cases of each folder")
    parser.add_argument("--methods", default="fusion,network,tent,protonet")
    parser.add_argument("--all-volumes", action="store_true", help="of folders that no weights were trained on")
    parser.add_argument("--corruptions", default=",".join(CORRUPTIONS), help="names of those to try")
    parser.add_argument("--severities", default="0,1,2,3", help="to try, beginning with 0")
    parser.add_argument("--without-tools", action="store_true", help="leave Slicer's tools out")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--name", default="robustness", help="of the files that are written")
    arguments = parser.parse_args()
    painted = cases(arguments.data, arguments.limit, 3, arguments.all_volumes)
    severities = [int(word) for word in arguments.severities.split(",")]
    if severities[0] != 0:
        parser.error("--severities begins with 0, the images as they are")
    compared = () if arguments.without_tools else TOOLS
    table = measure(painted, arguments.methods.split(","), compared, arguments.corruptions.split(","), severities)
    text = as_text(table, len(painted), ", ".join(folder.name for folder in arguments.data), severities)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for ending, content in ((".json", json.dumps(table, indent=1) + "\n"), (".md", text)):
        with replacing(arguments.output / f"{arguments.name}{ending}") as waiting:
            waiting.write_text(content, encoding="utf-8")
    plot(table, arguments.output / f"{arguments.name}.png", severities)
    print(text)


if __name__ == "__main__":
    main()
