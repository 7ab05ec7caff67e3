"""Networks by name, as plans refer to them."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ..errors import WeightsError
from .context_unet import ContextNetwork
from .plan import Plan
from .resnet import ResNetNetwork
from .slice_unet import SliceNetwork

ARCHITECTURES: dict[str, Callable[[Plan], nn.Module]] = {
    "slice-unet": SliceNetwork,
    "context-unet": ContextNetwork,
    "resnet": ResNetNetwork,
}


def make_network(plan: Plan) -> nn.Module:
    """The network of a plan, untrained.

    Raises:
        WeightsError: an architecture that this version does not know.
    """
    if plan.architecture not in ARCHITECTURES:
        raise WeightsError("The weights are of another version of MetaSegment; install it again.")
    return ARCHITECTURES[plan.architecture](plan)


def slice_network(plan: Plan) -> SliceNetwork:
    """The network of a plan whose architecture has features and a head.

    Raises:
        WeightsError: the plan is for another kind of network.
    """
    network = make_network(plan)
    if not isinstance(network, SliceNetwork):
        raise WeightsError("These weights are not for this method; choose others.")
    return network
