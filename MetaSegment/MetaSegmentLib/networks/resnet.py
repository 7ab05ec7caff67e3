"""A residual network on a slice and its neighbours, whose features of all scales are read at once.

Hypercolumns (Hariharan et al., CVPR 2015): what every block of a ResNet (He et al., CVPR 2016) says, enlarged to the
size of the slice and put together. A linear head on these and on the predictors' logits decides. The backbone sees
images alone, so that it can learn from images that nobody painted; see ``training/twins.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.resnet import ResNet, ResNetBlock, ResNetFeatures
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .plan import Plan
from .slice_unet import SliceNetwork

SEEN = ("image below", "image", "image above")


class Backbone(ResNet):
    """MONAI's 2D ResNet of four blocks, at ½, ¼, ⅛ and 1/16 of the size, with instance normalisation.

    (N, 3, H, W) → five features, of the first convolution and of each block.
    """

    forward = ResNetFeatures.forward  # type: ignore[assignment]  # the other class takes no widths

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(
            ResNetBlock,
            [1] * len(widths),
            list(widths),
            spatial_dims=2,
            n_input_channels=len(SEEN),
            conv1_t_size=7,
            conv1_t_stride=2,
            no_max_pool=True,
            feed_forward=False,
        )
        # MONAI's argument does not reach the blocks; statistics of a batch would let slices see each other.
        for part in list(self.modules()):
            for name, child in part.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(part, name, nn.InstanceNorm2d(child.num_features, affine=True))


class ResNetNetwork(SliceNetwork):
    """A slice network whose features are those of a residual network."""

    def build(self, plan: Plan) -> None:
        self.backbone = Backbone(plan.arguments["widths"])
        self._seen = [plan.place(name) for name in SEEN]

    def embed(self, inputs: Tensor) -> Tensor:
        """(N, channels, H, W) inputs → (N, embedding, H, W) features."""
        shown = inputs[:, self._seen]
        return torch.cat([enlarged(features, shown.shape[-2:]) for features in self.backbone(shown)], dim=1)


def enlarged(features: Tensor, size: Sequence[int]) -> Tensor:
    """(N, C, h, w) → (N, C, *size), linearly; as products of matrices, whose gradient is the same twice on a GPU."""
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    rows, columns = (_weights(n, m, features) for n, m in zip(features.shape[-2:], size, strict=True))
    return rows.T @ features @ columns


def _weights(n: int, m: int, like: Tensor) -> Tensor:
    """(n, m) what each of n samples counts for each of m that lie evenly among them."""
    each = torch.eye(n, dtype=like.dtype, device=like.device)
    return interpolate(each[None], m, mode="linear", align_corners=False)[0]
