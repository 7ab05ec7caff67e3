"""What gradient steps on painted slices do to the slices that are asked for, step by step.

    metasegment train episodes --data DATA --config context.toml --episodes runs/held-out --held-out --count 48
    python Testing/benchmarks/learning_curves.py --episodes runs/held-out

takes episodes of persons that training kept out, of the plan of ``context``, whose planes those of ``maml`` are among,
and writes ``Testing/benchmarks/results/learning_curves.json``, ``.md`` and ``.png``. All ways learn from the inner
painted slices, each predicted from the others, but for the last: it is told the truth of every second slice that nobody
painted, which no user does, and so shows what steps are worth when they learn from what they are asked for. All are
judged on the others of these slices. Of an episode four painted slices are kept at most, and seven others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.func import functional_call
from tqdm import tqdm

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))

from MetaSegmentLib.data.protocol import dice  # noqa: E402
from MetaSegmentLib.methods.gradient.inner_loop import (  # noqa: E402
    HEAD,
    Parameters,
    adaptable,
    inner_loop,
    split_weights,
)
from MetaSegmentLib.networks.architectures import slice_network  # noqa: E402
from MetaSegmentLib.networks.losses import segmentation_loss  # noqa: E402
from MetaSegmentLib.networks.weights import Weights  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402
from MetaSegmentLib.training.augment import augment  # noqa: E402
from MetaSegmentLib.training.drawing import list_episodes  # noqa: E402
from MetaSegmentLib.training.episodes import TrainingEpisode, read_episode  # noqa: E402

RESULTS = Path(__file__).with_name("results")
STEPS = (0, 1, 2, 4, 8, 16, 32)

Point = tuple[float, float]
"""Loss on the slices learned from, Dice of all judged queries together."""


@dataclass(frozen=True)
class Way:
    """How to learn: from which weights, by Adam at a rate or, without one, by learned step sizes."""

    weights: str
    rate: float = 0.0
    head_only: bool = False
    augmented: bool = False
    told: bool = False


WAYS = {
    "`maml`, its learned step sizes": Way("maml"),
    "`context`, head, Adam .01": Way("context", 0.01, head_only=True),
    "`context`, all, Adam 3e-5": Way("context", 3e-5),
    "`context`, all, Adam 3e-4": Way("context", 3e-4),
    "`context`, all, augmented, Adam 1e-4": Way("context", 1e-4, augmented=True),
    "`context`, all, Adam 3e-4, told every second query": Way("context", 3e-4, told=True),
}


class Learner:
    """One way of learning, on one episode after the other."""

    def __init__(self, way: Way, weights: Weights) -> None:
        self.way = way
        self.plan = weights.load_plan(way.weights)
        self.network = slice_network(self.plan).eval()
        self.start, self.rates = split_weights(weights.load(way.weights))
        shown = weights.load_plan("context")
        self._planes = [shown.place(one.name) for one in self.plan.inputs]

    def curve(self, episode: TrainingEpisode) -> list[Point] | None:
        """A point for each of STEPS; None where no painted slice lies between others."""
        support, query = (torch.from_numpy(part[:, self._planes]).float() for part in (episode.support, episode.query))
        painted, truth = (torch.from_numpy(part).float() for part in (episode.support_truth, episode.query_truth))
        inside = self.network.lies_inside(support)
        if not inside.any() or len(query) < 2:
            return None
        given, wanted = (query[::2], truth[::2]) if self.way.told else (support[inside], painted[inside])
        return [self._point(found, given, wanted, query[1::2], truth[1::2]) for found in self._steps(given, wanted)]

    def _steps(self, given: Tensor, wanted: Tensor) -> Iterator[Parameters]:
        """The parameters after each of STEPS."""
        names = HEAD if self.way.head_only else adaptable(self.start)
        found = {name: value.clone().requires_grad_(name in names) for name, value in self.start.items()}
        advance = self._by_adam(found, names) if self.way.rate else self._by_rates(found)
        random = torch.Generator().manual_seed(0)
        for step in range(STEPS[-1] + 1):
            if step in STEPS:
                yield found
            if step == STEPS[-1]:
                return
            both = augment(given, wanted, self.plan, random) if self.way.augmented else (given, wanted)
            advance(*both)

    def _by_adam(self, found: Parameters, names: tuple[str, ...] | list[str]) -> Callable[[Tensor, Tensor], None]:
        optimiser = torch.optim.Adam([found[name] for name in names], lr=self.way.rate)

        def advance(inputs: Tensor, truth: Tensor) -> None:
            optimiser.zero_grad()
            segmentation_loss(functional_call(self.network, found, (inputs,)), truth).backward()
            optimiser.step()

        return advance

    def _by_rates(self, found: Parameters) -> Callable[[Tensor, Tensor], None]:
        def advance(inputs: Tensor, truth: Tensor) -> None:
            free = {name: value.detach().requires_grad_(name in self.rates) for name, value in found.items()}
            found.update(inner_loop(self.network, free, self.rates, inputs, truth, 1, True))

        return advance

    @torch.no_grad()
    def _point(self, found: Parameters, given: Tensor, wanted: Tensor, query: Tensor, truth: Tensor) -> Point:
        loss = segmentation_loss(functional_call(self.network, found, (given,)), wanted)
        mask = functional_call(self.network, found, (query,)) > 0
        return float(loss), dice(mask.numpy(), truth.numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=Path, required=True)
    parser.add_argument("--weights", default="", help="folder of weights; default: the shipped ones")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--output", type=Path, default=RESULTS)
    args = parser.parse_args()
    weights = Weights.of(args.weights)
    learners = {name: Learner(way, weights) for name, way in WAYS.items()}
    curves: dict[str, list[list[Point]]] = {name: [] for name in WAYS}
    for path in tqdm(list_episodes(args.episodes)[: args.limit], unit="episode"):
        episode = read_episode(path)
        for name, learner in learners.items():
            if (curve := learner.curve(episode)) is not None:
                curves[name].append(curve)
    found = {name: figures(np.array(points)) for name, points in curves.items()}
    args.output.mkdir(parents=True, exist_ok=True)
    for ending, text in ((".json", json.dumps(found, indent=1) + "\n"), (".md", to_markdown(found))):
        with replacing(args.output / f"learning_curves{ending}") as waiting:
            waiting.write_text(text, encoding="utf-8")
    plot(found, args.output / "learning_curves.png")
    print(to_markdown(found))


def figures(points: np.ndarray) -> dict:
    """Of (episodes, steps, 2) points: means at every step, and the change of Dice from step 0 with its interval."""
    changes = points[:, :, 1] - points[:, :1, 1]
    random = np.random.default_rng(0)
    draws = changes[random.integers(len(changes), size=(2000, len(changes)))].mean(1)
    return {
        "episodes": len(points),
        "loss": points[:, :, 0].mean(0).tolist(),
        "dice": points[:, :, 1].mean(0).tolist(),
        "change": changes.mean(0).tolist(),
        "interval": np.percentile(draws, (2.5, 97.5), axis=0).T.tolist(),
    }


def to_markdown(found: dict) -> str:
    count = next(iter(found.values()))["episodes"]
    steps = " | ".join(map(str, STEPS))
    lines = [
        "Mean Dice of slices that are asked for after so many steps, and the mean loss on the slices learned from; "
        f"{count} episodes of persons kept out of training.",
        "",
        f"| learned by | {steps} | best change of Dice | loss, {steps} |",
        "|---|" + "---:|" * (2 * len(STEPS) + 1),
    ]
    for name, one in found.items():
        best = 1 + int(np.argmax(one["change"][1:]))
        low, high = one["interval"][best]
        cells = [f"{mean:.3f}" for mean in one["dice"]]
        cells.append(f"{one['change'][best]:+.3f} [{low:+.3f}, {high:+.3f}] after {STEPS[best]}")
        cells += [f"{loss:.3f}" for loss in one["loss"]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(found: dict, file: Path) -> None:
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(1, 2)
    places = np.arange(len(STEPS))
    for name, one in found.items():
        low, high = np.transpose(one["interval"])
        (line,) = panels[0].plot(places, one["change"], label=name.replace("`", ""), linewidth=1.2)
        panels[0].fill_between(places, low, high, alpha=0.12, color=line.get_color())
        panels[1].plot(places, one["loss"], color=line.get_color(), linewidth=1.2)
    titles = ("change of Dice on slices asked for", "loss on slices learned from")
    for panel, title in zip(panels, titles, strict=True):
        panel.set(title=title, xlabel="gradient steps", xticks=places, xticklabels=STEPS)
        panel.grid(alpha=0.3)
    panels[0].axhline(0, color="black", linewidth=0.6)
    panels[0].legend(fontsize="x-small")
    figure.savefig(file, dpi=100)


if __name__ == "__main__":
    main()
