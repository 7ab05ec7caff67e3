"""The methods one can choose, train and compare.

A method is a :class:`~.protocol.Predictor`. Entering it in METHODS makes it appear on the command line, in the panel,
in the evaluation and in the tests that hold for all. Reading the table loads neither torch nor any method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError
from ..imports import explained_imports

if TYPE_CHECKING:
    from .protocol import Predictor


@dataclass(frozen=True)
class Maker:
    """How a method is made: a function or class of a module of this library, and its arguments."""

    module: str
    function: str
    arguments: tuple[Any, ...] = ()

    def make(self) -> Predictor:
        library = __name__.split(".", 1)[0]
        with explained_imports():
            maker: Callable[..., Predictor] = getattr(import_module(f"{library}.{self.module}"), self.function)
            return maker(*self.arguments)


@dataclass(frozen=True)
class MethodInfo:
    """An entry of the registry.

    Attributes:
        name: what a user types.
        title: what a user reads in a list.
        summary: one sentence for help pages.
        weights: names of the shipped weights it uses; the plan of the first one holds its calibration.
        maker: makes it.
        baseline: to compare with; not offered to users.
        network: whether it needs torch.
        joint: whether it predicts all structures together; the others predict one after the other.
        refine: whether detail finer than the frame is added to its answer.
        calibrated_as: name of its calibration in the plan; its own name by default.
        uses_baselines: whether it adds up, or lets a network see, the predictors without weights.
    """

    name: str
    title: str
    summary: str
    weights: tuple[str, ...]
    maker: Maker
    baseline: bool = False
    network: bool = True
    joint: bool = False
    refine: bool = True
    calibrated_as: str = ""
    uses_baselines: bool = True

    def make(self) -> Predictor:
        """The method itself; loads what it needs."""
        return self.maker.make()


_ALL = (
    MethodInfo(
        "fusion",
        "Most accurate",
        "Networks and predictors without weights together, each weighted by how well it predicts the painted slices.",
        ("context", "maml"),
        Maker("methods.fusion", "fused"),
    ),
    MethodInfo(
        "maml",
        "MAML",
        "A few gradient steps on the painted slices from meta-learned weights (Finn et al. 2017).",
        ("maml",),
        Maker("methods.gradient.maml", "Maml"),
    ),
    MethodInfo(
        "maml-joint",
        "MAML, N ways",
        "MAML with one inner loop over the painted slices of all structures, which share one network.",
        ("maml",),
        Maker("methods.gradient.maml", "Maml"),
        baseline=True,
        joint=True,
        calibrated_as="maml",
    ),
    MethodInfo(
        "context",
        "Context network",
        "A meta-learned network that attends to all painted slices (after Butoi et al. 2023); no gradient steps.",
        ("context",),
        Maker("methods.gradient.unadapted", "Unadapted", ("context",)),
        baseline=True,
    ),
    MethodInfo(
        "protonet",
        "ProtoNet",
        "Compares every pixel with prototypes of the painted classes, Euclidean distance (Snell et al. 2017); instant.",
        ("base",),
        Maker("methods.metric.protonet", "make"),
    ),
    MethodInfo(
        "protonet-joint",
        "ProtoNet, N ways",
        "ProtoNet in which all structures and the background compete in one softmax (Snell et al. 2017).",
        ("base",),
        Maker("methods.metric.n_way", "NWayProtoNet"),
        baseline=True,
        joint=True,
        calibrated_as="protonet",
    ),
    MethodInfo(
        "protonet-cosine",
        "ProtoNet, cosine",
        "ProtoNet with the cosine as distance (Wang et al. 2019).",
        ("base",),
        Maker("methods.metric.protonet", "make", ("cosine",)),
        baseline=True,
    ),
    MethodInfo(
        "protonet-global",
        "ProtoNet, global",
        "ProtoNet with a single prototype a class, as first published.",
        ("base",),
        Maker("methods.metric.protonet", "make", ("euclidean", "global")),
        baseline=True,
    ),
    MethodInfo(
        "protonet-position",
        "ProtoNet, position",
        "ProtoNet whose local prototypes count by how near they lie (Yu et al. 2021).",
        ("base",),
        Maker("methods.metric.protonet", "make", ("euclidean", "position")),
        baseline=True,
    ),
    MethodInfo(
        "protonet-map",
        "ProtoNet, map",
        "ProtoNet with a prototype for every position, averaged over the painted pixels near it.",
        ("base",),
        Maker("methods.metric.prototype_map", "make"),
        baseline=True,
        calibrated_as="protonet",
    ),
    MethodInfo(
        "protonet-map-cosine",
        "ProtoNet, map, cosine",
        "The same with the cosine as distance.",
        ("base",),
        Maker("methods.metric.prototype_map", "make", ("cosine",)),
        baseline=True,
        calibrated_as="protonet-cosine",
    ),
    MethodInfo(
        "matching",
        "Matching Networks",
        "Every pixel takes the label of the painted pixels that it resembles (Vinyals et al. 2016).",
        ("matching",),
        Maker("methods.metric.matching", "make"),
        baseline=True,
    ),
    MethodInfo(
        "matching-memory",
        "Matching Networks, memory",
        "The same, attending to painted pixels of other volumes as well, where there are some (Santoro et al. 2016).",
        ("matching",),
        Maker("methods.metric.memory", "MatchingMemory"),
        baseline=True,
        calibrated_as="matching",
    ),
    MethodInfo(
        "ridge",
        "Ridge head (R2D2)",
        "A ridge regression on meta-learned features, solved in closed form on the painted slices (Bertinetto 2019).",
        ("ridge",),
        Maker("methods.metric.ridge", "make"),
    ),
    MethodInfo(
        "fomaml",
        "First-order MAML",
        "MAML meta-trained without second derivatives (Finn et al. 2017).",
        ("fomaml",),
        Maker("methods.gradient.maml", "Maml", ("fomaml",)),
        baseline=True,
    ),
    MethodInfo(
        "reptile",
        "Reptile",
        "Gradient steps from weights that were moved towards those of many tasks (Nichol et al. 2018).",
        ("reptile",),
        Maker("methods.gradient.maml", "Maml", ("reptile",)),
        baseline=True,
    ),
    MethodInfo(
        "bayesian",
        "Bayesian MAML",
        "MAML with a Gaussian over the weights, whose samples' answers are averaged (Ravi and Beatson 2019).",
        ("bayesian",),
        Maker("methods.gradient.bayesian", "Bayesian"),
        baseline=True,
    ),
    MethodInfo(
        "variational",
        "MAML with drawn slices",
        "MAML that also learns from slices which an auto-encoder draws between the painted ones.",
        ("variational",),
        Maker("methods.gradient.variational", "Variational"),
        baseline=True,
    ),
    MethodInfo(
        "anil",
        "ANIL",
        "MAML whose gradient steps change the network's head only (Raghu et al. 2020).",
        ("anil",),
        Maker("methods.gradient.maml", "anil"),
        baseline=True,
    ),
    MethodInfo(
        "robust",
        "MAML, robust",
        "MAML meta-trained on images that an adversary disturbed (Goldblum et al. 2020).",
        ("robust",),
        Maker("methods.gradient.maml", "Maml", ("robust",)),
        baseline=True,
    ),
    MethodInfo(
        "meta-regularised",
        "MAML, meta-regularised",
        "MAML whose shared weights paid for what they know about training's tasks (Yin et al. 2020).",
        ("meta-regularised",),
        Maker("methods.gradient.maml", "Maml", ("meta-regularised",)),
        baseline=True,
    ),
    MethodInfo(
        "clustered",
        "MAML, clusters of tasks",
        "MAML from a mixture of experts that the painted slices choose (Vuorio et al. 2019, Yao et al. 2019).",
        ("clustered",),
        Maker("methods.gradient.clustered", "Clustered"),
        baseline=True,
    ),
    MethodInfo(
        "transfer-head",
        "Transfer learning, head",
        "Pre-trained features, a head trained on the painted slices; no meta-learning.",
        ("base",),
        Maker("methods.gradient.fine_tuning", "frozen"),
        baseline=True,
    ),
    MethodInfo(
        "transfer",
        "Transfer learning",
        "Pre-trained features, a head and then the whole network trained on the painted slices; no meta-learning.",
        ("base",),
        Maker("methods.gradient.fine_tuning", "tuned"),
        baseline=True,
    ),
    MethodInfo(
        "resnet-frozen",
        "Residual network, frozen",
        "Features learned from images without labels, as they are, under a head trained on the painted slices.",
        ("resnet",),
        Maker("methods.gradient.fine_tuning", "resnet_frozen"),
        baseline=True,
    ),
    MethodInfo(
        "resnet",
        "Residual network",
        "The same, then features and head trained on: transfer learning from images that nobody painted.",
        ("resnet",),
        Maker("methods.gradient.fine_tuning", "resnet"),
        baseline=True,
    ),
    MethodInfo(
        "scratch",
        "From scratch",
        "The same network trained on the painted slices alone, from random weights: what meta-learning has to beat.",
        ("baselines",),
        Maker("methods.gradient.fine_tuning", "scratch"),
        baseline=True,
    ),
    MethodInfo(
        "network",
        "Network without adaptation",
        "The trained network as it is: what adaptation has to beat.",
        ("base",),
        Maker("methods.gradient.unadapted", "Unadapted"),
        baseline=True,
    ),
    MethodInfo(
        "tent",
        "Test-time adaptation",
        "The trained network, made more decided on the slices that are not painted (TENT, Wang et al. 2021).",
        ("base",),
        Maker("methods.gradient.entropy", "Tent"),
        baseline=True,
        calibrated_as="network",
    ),
    MethodInfo(
        "experts",
        "Without networks",
        "Four of the predictors below, weighted as was learned beforehand: what meta-learning has to beat.",
        ("baselines",),
        Maker("methods.fusion", "baselines_only"),
        network=False,
    ),
    MethodInfo(
        "shape",
        "Shape interpolation",
        "Interpolates the painted outlines; does not look at the image.",
        ("baselines",),
        Maker("predictors.shape", "ShapeInterpolation"),
        network=False,
        uses_baselines=False,
    ),
    MethodInfo(
        "propagation",
        "Contour propagation",
        "Carries the painted outlines from slice to slice by image registration.",
        ("baselines",),
        Maker("predictors.propagation", "ContourPropagation"),
        baseline=True,
        network=False,
        uses_baselines=False,
    ),
    MethodInfo(
        "grow",
        "Grow from seeds",
        "Slicer's Grow from seeds on the working grid, with seeds made from the painted slices.",
        ("baselines",),
        Maker("predictors.grow_from_seeds", "GrowFromSeeds"),
        baseline=True,
        network=False,
    ),
    MethodInfo(
        "pixels",
        "Pixel classifier",
        "Boosted trees on the intensities and positions of the painted pixels.",
        ("baselines",),
        Maker("predictors.pixel_trees", "PixelTrees"),
        baseline=True,
        network=False,
        uses_baselines=False,
    ),
    MethodInfo(
        "random-walk",
        "Random walk",
        "Takes the label that a random walk through the image meets first (Grady 2006).",
        ("baselines",),
        Maker("predictors.random_walk", "RandomWalk"),
        baseline=True,
        network=False,
        uses_baselines=False,
    ),
)

METHODS: dict[str, MethodInfo] = {info.name: info for info in _ALL}

_PARTS = {
    "networks": Maker("methods.fusion", "baselines_only"),
    "context": Maker("methods.fusion", "fused", ("context",)),
    "maml": Maker("methods.fusion", "fused", ("maml",)),
    "prior": Maker("methods.fusion", "fused", ("prior",)),
    "shape": Maker("methods.fusion", "fused", ("shape",)),
    "propagation": Maker("methods.fusion", "fused", ("propagation",)),
    "grow": Maker("methods.fusion", "fused", ("grow",)),
    "pixels": Maker("methods.fusion", "fused", ("pixels",)),
    "detail": Maker("methods.fusion", "fused"),
}
ABLATIONS: dict[str, MethodInfo] = {
    (name := f"fusion-without-{part}"): MethodInfo(
        name,
        f"Most accurate, without {part}",
        "The default without one of its parts, to learn what that part is worth.",
        METHODS["experts" if part == "networks" else "fusion"].weights,
        maker,
        baseline=True,
        refine=part != "detail",
        calibrated_as="experts" if part == "networks" else "fusion",
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
        offered = ", ".join(info.name for info in METHODS.values() if not info.baseline)
        raise SettingsError(f"There is no method '{name}'; choose one of {offered}.") from None
