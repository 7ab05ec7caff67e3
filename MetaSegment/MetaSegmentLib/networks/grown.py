"""Weights of one plan as the first weights of another that sees more."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from ..errors import SettingsError
from .architectures import make_network
from .plan import Plan

_SEEN = "unet.conv_0.conv_0.conv.weight"
"""What reads the inputs."""
_JOINED = re.compile(r"unet\.upcat_(\d)\.convs\.conv_0\.conv\.weight")
"""What reads the features of one scale beside those of the next coarser one."""
_TURNED = ".deconv.weight"
"""Ending of those that have inputs before outputs."""


def grown(tensors: Mapping[str, Tensor], plan: Plan, into: Plan) -> dict[str, Tensor]:
    """Weights for ``into`` that answer as those of ``plan`` do, as far as architectures that begin with nothing allow.

    Inputs are matched by name; the weights of those that are new are 0. Where ``into`` is wider, its new channels are
    random, and what there was before reads them with weights of 0: nothing changes at first, and all can be learned.
    Tensors that only ``into`` has are random.

    Raises:
        SettingsError: ``into`` is narrower.
    """
    if plan.inputs == into.inputs and plan.architecture == into.architecture and plan.arguments == into.arguments:
        return dict(tensors)
    made = {name: value.detach().clone() for name, value in make_network(into).named_parameters()}
    if any(name in made and _is_narrower(made[name], value) for name, value in tensors.items() if name != _SEEN):
        raise SettingsError(f"Weights of the plan {plan.name} are too wide for {into.name}; use the former, or others.")
    for name, value in tensors.items():
        if name not in made or made[name].shape == value.shape:
            made[name] = value
        elif name.endswith(_TURNED):
            made[name] = _widened(value.transpose(0, 1), made[name].transpose(0, 1)).transpose(0, 1).contiguous()
        elif joined := _JOINED.fullmatch(name):
            before, after = (int(one.arguments["widths"][int(joined[1]) - 1]) for one in (plan, into))
            columns = [*range(before), *range(after, after + value.shape[1] - before)]
            made[name] = _widened(value, made[name], columns)
        elif name != _SEEN:
            made[name] = _widened(value, made[name])
    old = [one.name for one in plan.inputs if not one.source.startswith("support ")]
    new = [one.name for one in into.inputs if not one.source.startswith("support ")]
    columns = [new.index(name) for name in old if name in new]
    kept = tensors[_SEEN][:, [old.index(name) for name in old if name in new]]
    return {**made, _SEEN: _widened(kept, made[_SEEN], columns)}


def _is_narrower(one: Tensor, other: Tensor) -> bool:
    return any(a < b for a, b in zip(one.shape, other.shape, strict=False))


def _widened(value: Tensor, wider: Tensor, columns: Sequence[int] = ()) -> Tensor:
    """``wider`` with ``value`` in its first rows, which read nothing else: in these ``columns``, or the first ones."""
    wider = wider.clone()
    if value.ndim == 1:
        wider[: len(value)] = value
        return wider
    wider[: len(value)] = 0
    wider[: len(value), columns or range(value.shape[1])] = value
    return wider
