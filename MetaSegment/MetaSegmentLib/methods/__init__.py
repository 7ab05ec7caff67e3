"""The methods one can choose, train and compare.

A method is one class with ``adapt(episode, tools) → adapted`` and ``adapted.predict(slices) → logits``. Entering it
in METHODS makes it appear on the command line, in the panel, in the evaluation and in the tests that hold for all.
Reading the table loads neither torch nor any method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from ..errors import SettingsError

if TYPE_CHECKING:
    from ..networks.context import Tools
    from ..networks.episode import Episode
    from ..task.frame import Stack


class AdaptedMethod(Protocol):
    """A method that has seen the painted slices."""

    def predict(self, slices: tuple[int, ...]) -> Stack:
        """(N, GRID, GRID) logits of the structure on unpainted slices of the region."""

    def left_out(self) -> Stack | None:
        """(S, GRID, GRID) logits of each slice that ``episode.left_out`` holds, predicted without its own paint;
        None where that would cost too much."""


class Method(Protocol):
    def adapt(self, episode: Episode, tools: Tools, before: AdaptedMethod | None = None) -> AdaptedMethod:
        """Learn from the painted slices of an episode.

        ``before`` is what an earlier call of the same method gave for the same structure with other painted slices.
        """


@dataclass(frozen=True)
class Trust:
    """What makes the word of a method good; fitted on held-out training volumes.

    Attributes:
        temperature: logits are divided by this, which changes no label but makes probabilities those that were met
            (Guo et al., ICML 2017).
        optimism: how far the Dice that its probabilities promise is above the true one with many painted slices, on
            the scale of logits; see ``advice.estimate_dice``.
    """

    temperature: float = 1.0
    optimism: float = 0.5


@dataclass(frozen=True)
class MethodInfo:
    """An entry of the registry.

    Attributes:
        name: what a user types.
        title: what a user reads in a list.
        summary: one sentence for help pages.
        weights: names of the shipped weights it uses.
        trust: how its probabilities are to be read.
    """

    name: str
    title: str
    summary: str
    weights: tuple[str, ...]
    _maker: tuple[str, str, tuple[str, ...]]
    trust: Trust = Trust()

    def make(self) -> Method:
        """The method itself; loads what it needs."""
        module, function, arguments = self._maker
        maker: Callable[..., Method] = getattr(import_module(f".{module}", __name__), function)
        return maker(*arguments)


# Networks by themselves are overconfident: .5 promised is .5 met, but .99 is less.
_NETWORK = Trust(1.5, 1.0)
_PROTOTYPES = Trust(1.5, 1.2)
_EXPERTS = Trust(1.0, -0.2)

_ALL = (
    MethodInfo(
        "fusion",
        "Most accurate",
        "MAML and all experts together, weighted by how well each predicts the painted slices from one another.",
        ("maml",),
        ("fusion", "Fused", ()),
    ),
    MethodInfo(
        "maml",
        "MAML",
        "A few gradient steps on the painted slices from meta-learned weights (Finn et al. 2017).",
        ("maml",),
        ("gradient.maml", "Maml", ()),
        _NETWORK,
    ),
    MethodInfo(
        "protonet",
        "ProtoNet",
        "Compares every pixel with prototypes of the painted classes, Euclidean distance (Snell et al. 2017); instant.",
        ("base",),
        ("metric.protonet", "make", ()),
        _PROTOTYPES,
    ),
    MethodInfo(
        "protonet-cosine",
        "ProtoNet, cosine",
        "ProtoNet with the cosine as distance (Wang et al. 2019).",
        ("base",),
        ("metric.protonet", "make", ("cosine",)),
        Trust(1.75, 1.7),
    ),
    MethodInfo(
        "protonet-global",
        "ProtoNet, global",
        "ProtoNet with a single prototype a class, as first published.",
        ("base",),
        ("metric.protonet", "make", ("euclidean", "global")),
        _PROTOTYPES,
    ),
    MethodInfo(
        "protonet-position",
        "ProtoNet, position",
        "ProtoNet whose local prototypes count by how near they lie (Yu et al. 2021).",
        ("base",),
        ("metric.protonet", "make", ("euclidean", "position")),
        _PROTOTYPES,
    ),
    MethodInfo(
        "matching",
        "Matching Networks",
        "Every pixel takes the label of the painted pixels that it resembles (Vinyals et al. 2016).",
        ("matching",),
        ("metric.matching", "make", ()),
        _NETWORK,
    ),
    MethodInfo(
        "ridge",
        "Ridge head (R2D2)",
        "A ridge regression on meta-learned features, solved in closed form on the painted slices (Bertinetto 2019).",
        ("ridge",),
        ("metric.ridge", "make", ()),
        _NETWORK,
    ),
    MethodInfo(
        "fomaml",
        "First-order MAML",
        "MAML meta-trained without second derivatives (Finn et al. 2017).",
        ("fomaml",),
        ("gradient.maml", "Maml", ("fomaml",)),
        _NETWORK,
    ),
    MethodInfo(
        "reptile",
        "Reptile",
        "Gradient steps from weights that were moved towards those of many tasks (Nichol et al. 2018).",
        ("reptile",),
        ("gradient.maml", "Maml", ("reptile",)),
        _NETWORK,
    ),
    MethodInfo(
        "anil",
        "ANIL",
        "MAML whose gradient steps change the network's head only (Raghu et al. 2020).",
        ("anil",),
        ("gradient.maml", "anil", ()),
        _NETWORK,
    ),
    MethodInfo(
        "transfer-head",
        "Transfer learning, head",
        "Pre-trained features, a head trained on the painted slices; no meta-learning.",
        ("base",),
        ("gradient.fine_tuning", "frozen", ()),
        _NETWORK,
    ),
    MethodInfo(
        "transfer",
        "Transfer learning",
        "Pre-trained features, a head and then the whole network trained on the painted slices; no meta-learning.",
        ("base",),
        ("gradient.fine_tuning", "tuned", ()),
        _NETWORK,
    ),
    MethodInfo(
        "scratch",
        "From scratch",
        "The same network trained on the painted slices alone, from random weights: what meta-learning has to beat.",
        (),
        ("gradient.fine_tuning", "scratch", ()),
        Trust(1.0, 1.2),
    ),
    MethodInfo(
        "network",
        "Network without adaptation",
        "The trained network as it is: what adaptation has to beat.",
        ("base",),
        ("gradient.direct", "Direct", ()),
        _NETWORK,
    ),
    MethodInfo(
        "experts",
        "Experts without networks",
        "The four experts below with fixed weights: what meta-learning has to beat.",
        (),
        ("fusion", "ExpertsOnly", ()),
        _EXPERTS,
    ),
    MethodInfo(
        "shape",
        "Shape interpolation",
        "Interpolates the painted outlines; does not look at the image.",
        (),
        ("single", "SingleExpert", ("shape",)),
        Trust(1.0, -0.7),
    ),
    MethodInfo(
        "propagation",
        "Contour propagation",
        "Carries the painted outlines from slice to slice by image registration.",
        (),
        ("single", "SingleExpert", ("propagation",)),
        Trust(1.0, -0.9),
    ),
    MethodInfo(
        "grow",
        "Grow from seeds",
        "Slicer's Grow from seeds on the working grid, with seeds made from the painted slices.",
        (),
        ("single", "SingleExpert", ("grow",)),
        Trust(1.0, -1.6),
    ),
    MethodInfo(
        "pixels",
        "Pixel classifier",
        "Boosted trees on the intensities and positions of the painted pixels.",
        (),
        ("single", "SingleExpert", ("pixels",)),
    ),
)

METHODS: dict[str, MethodInfo] = {info.name: info for info in _ALL}

_PARTS = {
    "networks": ("ExpertsOnly", ()),
    "adaptation": ("Fused", ("adaptation",)),
    "prior": ("Fused", ("prior",)),
    "shape": ("Fused", ("shape",)),
    "propagation": ("Fused", ("propagation",)),
    "grow": ("Fused", ("grow",)),
    "pixels": ("Fused", ("pixels",)),
    "detail": ("Fused", ("detail",)),
}
ABLATIONS: dict[str, MethodInfo] = {
    (name := f"fusion-without-{part}"): MethodInfo(
        name,
        f"Most accurate, without {part}",
        "The default without one of its parts, to learn what that part is worth.",
        () if part == "networks" else METHODS["fusion"].weights,
        ("fusion", *maker),
        _EXPERTS if part == "networks" else METHODS["fusion"].trust,
    )
    for part, maker in _PARTS.items()
}
"""For the evaluation only; not offered to users."""


def find_method(name: str) -> MethodInfo:
    """The registered method or ablation of that name.

    Raises:
        SettingsError: there is none.
    """
    try:
        return METHODS.get(name) or ABLATIONS[name]
    except KeyError:
        raise SettingsError(f"There is no method '{name}'; choose one of {', '.join(METHODS)}.") from None
