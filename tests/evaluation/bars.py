"""A data set that a classifier learns in a second: a bright bar at one of three sides."""

import torch

from dale_demo.data import Dataset

CLASSES = ("top", "bottom", "left")


def bars(count: int, seed: int) -> Dataset:
    """12×12 images with noise and a bright bar at one of three sides."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 90, (count, 1, 12, 12), generator=generator)
    labels = torch.arange(count) % 3
    images[labels == 0, :, :4] += 140
    images[labels == 1, :, 8:] += 140
    images[labels == 2, :, :, :4] += 140
    return Dataset("bars", images.to(torch.uint8), labels, CLASSES)
