"""Images shifted, turned, scaled and sheared a little, as handwriting varies."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_SHIFT, MAX_TURN, MAX_SCALE, MAX_SHEAR = 2.0, math.radians(10), 0.1, 0.1
"""Of an augmented image: pixels, radians, share of its size, and pixels sideways per pixel down."""


def augmented(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Shift, turn, scale and shear a random `share` of uint8 images [B, C, H, W]; same shape.

    Each amount is uniform up to its maximum. What comes in from outside the image is black.
    """
    chosen = torch.rand(len(images), generator=generator) < share
    down, right, turn, scale, shear = 2 * torch.rand((5, len(images)), generator=generator) - 1
    angle, factor = turn * MAX_TURN, torch.exp(scale * MAX_SCALE)
    cos, sin, slant = angle.cos() * factor, angle.sin() * factor, shear * MAX_SHEAR
    # Output coordinates → input coordinates, in which an image reaches from −1 to 1.
    height, width = images.shape[2:]
    rows = (
        (cos, slant * cos - sin, 2 * MAX_SHIFT / width * right),
        (
            sin,
            slant * sin + cos,
            2 * MAX_SHIFT / height * down,
        ),
    )
    maps = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    moved = F.grid_sample(images.float(), grid, align_corners=False).round().to(torch.uint8)
    return torch.where(chosen.reshape(-1, 1, 1, 1), moved, images)
