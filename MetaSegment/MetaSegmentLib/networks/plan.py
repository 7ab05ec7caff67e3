"""How trained weights are to be used: written into the header of their file, so that a file explains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import SettingsError, WeightsError
from ..task.frame import FrameSettings

MANY = 5
"""Painted slices of a structure from which fusion weights are those for many."""
DENSE = 8
"""The same for those that lie densely; between the two numbers weights change evenly."""
HEADER = "plan"
"""Key of the plan in the metadata of a safetensors file."""


@dataclass(frozen=True)
class Input:
    """A plane that a network sees of a slice: value = scale · shown + offset.

    Attributes:
        name: what the plane is called.
        source: ``image``; ``painted image`` or ``painted shape`` of the ``step``-th nearest painted slice; ``support
            image``, ``support shape`` or ``support place`` of the ``step``-th of SUPPORTS painted slices, in their
            order; one of :data:`~.encode.SCALARS`; the name of a predictor, for its logit; or that with `` score``, for
            its Dice on left-out painted slices.
        step: slices away from the slice in question, or which of the nearest painted slices (1, 2).
    """

    name: str
    source: str
    step: int = 0
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """What was fitted on held-out episodes, so that a method's answers are to be believed.

    Attributes:
        temperature: logits are divided by this, which changes no label but makes probabilities those that were met
            (Guo et al., ICML 2017).
        dice_bias, dice_slope, dice_scarcity: how the expected Dice follows from the one that the probabilities imply;
            see ``answer/calibration.py``.
        dice_agreement: what it counts for it that the answer agrees more with simple predictors than is to be expected
            by ``agreement_slope``, ``agreement_scarcity`` and ``agreement_bias``; 0 where they are not asked.
        fusion_weights: of predictors and methods by name, where the method is a sum.
        few_fusion_weights: the same where fewer than MANY slices are painted: what is carried over wide gaps by shape
            alone is worth less.
        dense_fusion_weights: the same where DENSE or more are painted: over narrow gaps it is worth more.
    """

    temperature: float = 1.0
    dice_bias: float = 0.5
    dice_slope: float = 1.0
    dice_scarcity: float = 0.0
    dice_agreement: float = 0.0
    agreement_slope: float = 1.0
    agreement_scarcity: float = 0.0
    agreement_bias: float = 0.0
    fusion_weights: Mapping[str, float] = field(default_factory=dict)
    few_fusion_weights: Mapping[str, float] = field(default_factory=dict)
    dense_fusion_weights: Mapping[str, float] = field(default_factory=dict)

    def weights_for(self, painted: int) -> Mapping[str, float]:
        """The fusion weights for so many painted slices."""
        many, dense = self.fusion_weights, self.dense_fusion_weights
        if painted < MANY:
            return self.few_fusion_weights or many
        if painted == MANY or not dense:
            return many
        share = min((painted - MANY) / (DENSE - MANY), 1.0)
        return {name: (1 - share) * many.get(name, 0.0) + share * dense.get(name, 0.0) for name in {**many, **dense}}


@dataclass(frozen=True)
class Plan:
    """How weights are to be used.

    Attributes:
        name: of the plan; weights of one plan have the same shapes.
        frame: the lattice that the network was trained on.
        architecture: name in :data:`~.architectures.ARCHITECTURES`; empty where there is no network.
        arguments: of the architecture.
        inputs: what the network sees of a slice, in order.
        structures: how many structures it predicts at once; 0 for any number.
        calibration: by the name of the method that uses the weights.
        data: what the weights were trained on.
        commit: version of the code that made them.
    """

    name: str
    frame: FrameSettings = field(default_factory=FrameSettings)
    architecture: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    structures: int = 1
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    data: str = ""
    commit: str = ""

    def place(self, name: str) -> int:
        """Which plane of the network's input is called ``name``, for plans of one structure."""
        return [one.name for one in self.inputs].index(name)

    @property
    def image_places(self) -> tuple[int, ...]:
        """The planes that hold intensities."""
        return tuple(place for place, one in enumerate(self.inputs) if "image" in one.source)

    def to_text(self) -> str:
        """The plan as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Plan:
        """Read what :meth:`to_text` wrote.

        Raises:
            WeightsError: it is not a plan, or one of a later version.
        """
        try:
            about = json.loads(text)
            about["frame"] = FrameSettings(**about["frame"])
            about["inputs"] = tuple(Input(**one) for one in about["inputs"])
            about["calibration"] = {name: Calibration(**one) for name, one in about["calibration"].items()}
            return cls(**about)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WeightsError("The weights are of another version of MetaSegment; install it again.") from error


def _logit(name: str, scale: float, offset: float = 0.0) -> Input:
    return Input(name, name, 0, scale, offset)


SLICE_V1_INPUTS = (
    Input("image below", "image", -1),
    Input("image", "image"),
    Input("image above", "image", 1),
    _logit("shape", 5.0),
    _logit("propagation", 5.0),
    Input("grow below", "grow", -1, 6.0, -3.0),
    _logit("grow", 6.0, -3.0),
    Input("grow above", "grow", 1, 6.0, -3.0),
    _logit("pixels", 4.0),
    Input("painted image 1", "painted image", 1),
    Input("painted shape 1", "painted shape", 1, 10.0),
    Input("painted image 2", "painted image", 2),
    Input("painted shape 2", "painted shape", 2, 10.0),
    Input("distance 1", "distance", 1),
    Input("distance 2", "distance", 2),
    Input("outside", "outside"),
    Input("anisotropy", "anisotropy"),
    Input("painted slices", "painted slices"),
)
"""What the networks of the plan ``slice-v1`` see of a slice."""

SLICE_V1 = Plan(
    "slice-v1",
    architecture="slice-unet",
    arguments={"widths": [16, 24, 32, 48, 64, 16], "embedding": 16},
    inputs=SLICE_V1_INPUTS,
)
"""A 2.5D U-Net that sees a slice, its neighbours, the two nearest painted slices, and four predictors."""

SUPPORTS = 8
"""Painted slices that a network of the plan ``context-v1`` sees; of more, that many spread evenly."""

CONTEXT_V1_INPUTS = (
    *(Input(f"image {step:+}", "image", step) for step in (-3, -2)),
    *SLICE_V1_INPUTS,
    *(Input(f"image {step:+}", "image", step) for step in (2, 3)),
    *(Input(f"{name} score", f"{name} score", 0, 0.2, 0.8) for name in ("shape", "propagation", "grow", "pixels")),
    *(Input(f"support image {n}", "support image", n) for n in range(1, SUPPORTS + 1)),
    *(Input(f"support shape {n}", "support shape", n, 10.0) for n in range(1, SUPPORTS + 1)),
    *(Input(f"support place {n}", "support place", n) for n in range(1, SUPPORTS + 1)),
)
"""What the networks of the plan ``context-v1`` see of a slice."""

CONTEXT_V1 = Plan(
    "context-v1",
    architecture="context-unet",
    arguments={"widths": [16, 24, 32, 48, 64, 16], "embedding": 16, "support_widths": [16, 24, 32], "heads": 2},
    inputs=CONTEXT_V1_INPUTS,
)
"""The network of ``slice-v1`` that looks three slices far and attends to all painted slices."""

CONTEXT_V2 = Plan(
    "context-v2",
    architecture="context-unet",
    arguments={
        "widths": [16, 32, 64, 96, 128, 16],
        "embedding": 16,
        "support_widths": [16, 24, 32],
        "attention_widths": [32, 48],
        "heads": 2,
    },
    inputs=CONTEXT_V1_INPUTS,
)
"""The network of ``context-v1``, wider where slices are small."""

RESNET_V1 = Plan(
    "resnet-v1",
    architecture="resnet",
    arguments={"widths": [16, 32, 64, 128], "embedding": 256},
    inputs=SLICE_V1_INPUTS,
)
"""A residual network that sees a slice and its neighbours, under a head that sees the predictors too."""

PLANS = {plan.name: plan for plan in (SLICE_V1, CONTEXT_V1, CONTEXT_V2, RESNET_V1)}


def plan_named(name: str) -> Plan:
    """One of PLANS.

    Raises:
        SettingsError: there is none of that name.
    """
    if name not in PLANS:
        raise SettingsError(f"There is no plan '{name}'; use one of {', '.join(PLANS)}.")
    return PLANS[name]
