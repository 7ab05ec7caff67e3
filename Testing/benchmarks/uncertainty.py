"""Whether the uncertainty of a Bayesian method tells more than that of MAML: of wrong slices, and of its own errors.

    python Testing/benchmarks/uncertainty.py --episodes runs/held-out

takes episodes of persons that training kept out (``metasegment train episodes --held-out``), and writes
``Testing/benchmarks/results/uncertainty.json`` and ``.md``. Both methods adapt to an episode's painted slices, and then
answer its other slices. Their logits are divided by a temperature, which is fitted on every second episode and used on
the others. Looked at are the pixels at most four from the outline that was found.

- **Entropy** of a slice: its mean over these pixels. **Mutual information**: the entropy of the mean probability of the
  samples less the mean of their entropies; not of MAML, which has but one answer.
- **AUROC, Dice < .8**: how well it tells the slices that are wrong from those that are not, all slices together.
- **AUROC, worse half**: the same for slices whose Dice is below the median of their episode, mean over episodes.
- **Pick**: pixels that are wrong on the slice with the largest sum of it, over those of the worst slice of the episode,
  mean over episodes: what painting the suggested slice corrects of what painting one slice can. Expected gain is what
  the product suggests slices by.
- **Calibration error**: of the probabilities of these pixels, in fifteen bins (Guo et al., ICML 2017).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.special import expit, xlogy
from sklearn.metrics import roc_auc_score
from torch.func import functional_call

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "MetaSegment"))

from MetaSegmentLib.answer.suggestions import expected_gain  # noqa: E402
from MetaSegmentLib.methods.gradient.inner_loop import Parameters, inner_loop, split_weights  # noqa: E402
from MetaSegmentLib.methods.gradient.posterior import SIGMA_PREFIX, draw, posterior  # noqa: E402
from MetaSegmentLib.networks.architectures import slice_network  # noqa: E402
from MetaSegmentLib.networks.weights import Weights  # noqa: E402
from MetaSegmentLib.replacing import replacing  # noqa: E402
from MetaSegmentLib.training.drawing import list_episodes  # noqa: E402
from MetaSegmentLib.training.episodes import TrainingEpisode, read_episode  # noqa: E402

RESULTS = Path(__file__).with_name("results")
BAND = 4
"""Pixels."""
SAMPLES = 8
FIGURES = ("auroc_wrong", "auroc_worse_half", "pick")
TEMPERATURES = np.geomspace(0.5, 4, 25)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """Of one method to one episode: (M, N, H, W) logits of its samples, truth (N, H, W), and what follows."""

    samples: Array
    truth: NDArray[np.bool_]

    @property
    def logits(self) -> Array:
        p = expit(self.samples).mean(0).clip(1e-7, 1 - 1e-7)
        return np.asarray(np.log(p / (1 - p)))

    @property
    def dice(self) -> Array:
        found = self.logits > 0
        both, sums = (found & self.truth).sum((1, 2)), found.sum((1, 2)) + self.truth.sum((1, 2))
        return np.where(sums > 0, 2 * both / np.maximum(sums, 1), 1.0)

    @property
    def band(self) -> NDArray[np.bool_]:
        """(N, H, W) pixels near the outline; near that of half of the highest probability where none is found."""
        p = expit(self.logits)
        found = [one > min(0.5, one.max() / 2) for one in p]
        wide = (binary_dilation(one, iterations=BAND) & ~binary_erosion(one, iterations=BAND) for one in found)
        return np.stack(list(wide))

    def entropy(self, temperature: float) -> Array:
        return self._mean(entropy(expit(self.logits / temperature)))

    def expected_gain(self, temperature: float) -> Array:
        p = expit(self.logits / temperature)
        return np.array([expected_gain(one, one > 0.5) for one in p])

    def pick(self, total: Array) -> float:
        """Errors of the slice with the largest ``total``, over those of the worst; NaN where there is none."""
        errors = ((self.logits > 0) != self.truth).sum((1, 2))
        return float(errors[total.argmax()] / errors.max()) if errors.any() else float("nan")

    def mutual_information(self) -> Array:
        p = expit(self.samples)
        return self._mean(entropy(p.mean(0)) - entropy(p).mean(0))

    def _mean(self, values: Array) -> Array:
        band = self.band
        return np.asarray((values * band).sum((1, 2)) / band.sum((1, 2)).clip(1))


def entropy(p: Array) -> Array:
    """In nats."""
    return np.asarray(-xlogy(p, p) - xlogy(1 - p, 1 - p))


class Asked:
    """MAML and its Bayesian relative, with their shipped weights or those of a folder."""

    def __init__(self, weights: Weights) -> None:
        self.stored = {name: weights.load(name) for name in ("maml", "bayesian")}
        self.network = slice_network(weights.load_plan("maml")).eval()

    def answer(self, name: str, episode: TrainingEpisode) -> Answer:
        stored, network = self.stored[name], self.network
        start, rates = split_weights(stored)
        prior = {**start, **{key: value for key, value in stored.items() if key.startswith(SIGMA_PREFIX)}}
        found: Parameters = {key: value.clone().requires_grad_() for key, value in prior.items()}
        support, query = (torch.from_numpy(part).float() for part in (episode.support, episode.query))
        inside = network.lies_inside(support)
        random = torch.Generator().manual_seed(0)
        if inside.any():
            painted = (support[inside], torch.from_numpy(episode.support_truth).float()[inside])
            if name == "maml":
                found = inner_loop(network, found, rates, *painted)
            else:
                found = posterior(network, found, rates, *painted, random=random)
        with torch.no_grad():
            count = SAMPLES if name == "bayesian" else 1
            samples = [functional_call(network, draw(found, random), (query,)) for _ in range(count)]
        return Answer(torch.stack(samples).double().numpy(), episode.query_truth)


def fit_temperature(answers: list[Answer]) -> float:
    """The one of TEMPERATURES under which the truth near the outlines is likeliest."""
    logits = np.concatenate([one.logits[one.band] for one in answers])
    signs = np.concatenate([one.truth[one.band] for one in answers]) * 2.0 - 1
    losses = [np.logaddexp(0, -signs * logits / t).mean() for t in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def calibration_error(p: Array, truth: NDArray[np.bool_], bins: int = 15) -> float:
    """Σ share of a bin · |mean probability − share that is true|."""
    place = np.minimum((p * bins).astype(int), bins - 1)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (p, truth.astype(float))]
    return float(np.abs(sums[0] - sums[1]).sum() / len(p))


def auroc(wrong: NDArray[np.bool_], score: Array) -> float:
    return float(roc_auc_score(wrong, score)) if 0 < wrong.sum() < len(wrong) else float("nan")


Columns = dict[str, dict[str, list[Array]]]


def scores_of(answers: dict[str, list[Answer]]) -> tuple[Columns, dict[str, dict[str, float]]]:
    """Score and Dice of every slice by method and kind of uncertainty, and figures of the probabilities."""
    columns: Columns = {}
    figures: dict[str, dict[str, float]] = {}
    for name, own in answers.items():
        halves = [fit_temperature(own[half::2]) for half in (1, 0)]  # of the other half
        at = [halves[number % 2] for number in range(len(own))]
        kinds = {"entropy": [one.entropy(t) for one, t in zip(own, at, strict=True)]}
        if len(own[0].samples) > 1:
            kinds["mutual information"] = [one.mutual_information() for one in own]
        totals = {
            kind: [v * one.band.sum((1, 2)) for v, one in zip(values, own, strict=True)]
            for kind, values in kinds.items()
        }
        kinds["expected gain"] = totals["expected gain"] = [
            one.expected_gain(t) for one, t in zip(own, at, strict=True)
        ]
        for kind, values in kinds.items():
            dice = [one.dice for one in own]
            picks = [np.asarray(one.pick(total)) for one, total in zip(own, totals[kind], strict=True)]
            within = [np.asarray(auroc(d < np.median(d), s)) for s, d in zip(values, dice, strict=True)]
            columns[f"{name}, {kind}"] = {"score": values, "dice": dice, "within": within, "pick": picks}
        truth = np.concatenate([one.truth[one.band] for one in own])
        raw = np.concatenate([expit(one.logits[one.band]) for one in own])
        cool = np.concatenate([expit(one.logits[one.band] / t) for one, t in zip(own, at, strict=True)])
        figures[name] = {
            "dice": float(np.mean([one.dice.mean() for one in own])),
            "temperature": float(np.mean(halves)),
            "calibration_error": calibration_error(cool, truth),
            "calibration_error_without_temperature": calibration_error(raw, truth),
        }
    return columns, figures


def judge(column: dict[str, list[Array]], chosen: NDArray[np.int64]) -> tuple[float, float, float]:
    """AUROC of Dice < .8 and of the worse half, and the pick, over some episodes."""
    score, dice = ([column[key][n] for n in chosen] for key in ("score", "dice"))
    pooled = auroc(np.concatenate(dice) < 0.8, np.concatenate(score))
    return pooled, *(float(np.nanmean(np.asarray(column[key])[chosen])) for key in ("within", "pick"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=Path, required=True)
    parser.add_argument("--weights", default="", help="folder of weights; default: the shipped ones")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--output", type=Path, default=RESULTS)
    args = parser.parse_args()
    asked = Asked(Weights.of(args.weights))
    episodes = [read_episode(path) for path in list_episodes(args.episodes)[: args.limit]]
    columns, figures = scores_of({name: [asked.answer(name, one) for one in episodes] for name in asked.stored})
    everything, random = np.arange(len(episodes)), np.random.default_rng(0)
    draws = [random.choice(everything, len(everything)) for _ in range(500)]
    first = next(iter(columns))
    usual = [judge(columns[first], chosen) for chosen in draws]
    rows = []
    for name, column in columns.items():
        row = {"uncertainty": name, **dict(zip(FIGURES, judge(column, everything), strict=True))}
        if name != first:
            others = [judge(column, chosen) for chosen in draws]
            for place, key in enumerate(FIGURES):
                gains = [one[place] - base[place] for one, base in zip(others, usual, strict=True)]
                row[f"{key}_gain_interval"] = [float(v) for v in np.nanpercentile(gains, (2.5, 97.5))]
        rows.append(row)
    wrong = float(np.mean(np.concatenate(columns[first]["dice"]) < 0.8))
    slices = sum(len(one.query) for one in episodes)
    found = {"episodes": len(episodes), "slices": slices, "wrong": wrong, "methods": figures, "uncertainties": rows}
    for ending, text in ((".json", json.dumps(found, indent=1) + "\n"), (".md", to_markdown(found))):
        with replacing(args.output / f"uncertainty{ending}") as waiting:
            waiting.write_text(text, encoding="utf-8")
    print(to_markdown(found))


def to_markdown(found: dict) -> str:
    lines = [
        f"{found['episodes']} episodes of persons kept out of training, {found['slices']} slices, of which "
        f"{found['wrong']:.0%} are wrong (Dice < .8 with `maml`).",
        "",
        "| uncertainty of a slice | AUROC, Dice < .8 | over the first | AUROC, worse half | over the first "
        "| pick | over the first |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in found["uncertainties"]:
        cells = [row["uncertainty"]]
        for key in FIGURES:
            interval = row.get(f"{key}_gain_interval")
            cells += [f"{row[key]:.3f}", f"[{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else ""]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| method | mean Dice of a slice | calibration error near the outline | without temperature | temperature |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, one in found["methods"].items():
        errors = f"{one['calibration_error']:.3f} | {one['calibration_error_without_temperature']:.3f}"
        lines.append(f"| `{name}` | {one['dice']:.4f} | {errors} | {one['temperature']:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
