"""The images that show a restoration: on the page, and in its splash."""

import numpy as np
import torch

from dale_demo.drawing.frames import tone_map
from dale_demo.restoration import Restoration
from dale_demo.ui.restore.gallery import Item
from dale_demo.ui.restore.images import GreyImage, grey, heat


def views(image: GreyImage, restoration: Restoration) -> list[Item]:
    """The image, noised and restored in each way."""
    noised = torch.from_numpy(restoration.noised)
    level = max(float(noised.log().std()), 0.05)
    spread = restoration.spread[0, 0]
    return [
        (grey(np.asarray(image / 255)), "original", ""),
        (tone_map(noised, 0, level)[0].numpy(), "noised", "what the network is given"),
        (grey(restoration.tweedie[0, 0]), "one Tweedie step", "blurs what is uncertain"),
        (grey(restoration.flow[0, 0]), "probability flow", "one sharp answer"),
        (grey(restoration.mean[0, 0]), "mean of the samples", ""),
        (
            heat(spread, max(float(spread.max()), 1e-3)),
            "uncertainty",
            f"standard deviation of the samples, up to {spread.max():.0%}",
        ),
    ]
