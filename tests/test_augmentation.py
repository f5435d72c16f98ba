"""Augmented images: by how much they move, and how many of them."""

import math

import pytest
import torch

from dale_demo.augmentation import MAX_SHIFT, augmented


def disc(count, side=28):
    """`count` images of a white disc in the middle, and its area in pixels."""
    ramp = torch.arange(side) - (side - 1) / 2
    image = (ramp[:, None] ** 2 + ramp**2 < 36).to(torch.uint8) * 255
    return image.expand(count, 1, side, side), int(image.sum()) / 255


def test_augmented_images_are_a_little_elsewhere():
    images, area = disc(500)
    moved = augmented(images, 1.0, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert moved.dtype == torch.uint8
    mass = moved.double().sum((1, 2, 3)) / 255
    centres = [
        (moved.double() * at).sum((1, 2, 3)) / 255 / mass
        for at in (torch.arange(28.0), torch.arange(28.0)[:, None])
    ]
    for centre in centres:
        off = centre - 13.5
        # Scaled by up to e^0.1, and mixed with the other direction by turn and shear.
        assert off.abs().max() < MAX_SHIFT * 1.35
        # Uniform up to MAX_SHIFT has a standard deviation of MAX_SHIFT/√3.
        assert off.std().item() == pytest.approx(MAX_SHIFT / math.sqrt(3), rel=0.1)
        assert off.mean().abs() < 0.2
    assert (mass / area).min() > 0.75
    assert (mass / area).max() < 1.3


def test_as_many_are_augmented_as_asked():
    images, _ = disc(2000)
    images = images.clone()
    images[:, :, 0, 0] = torch.arange(2000).remainder(200)[:, None] + 1
    moved = augmented(images, 0.3, torch.Generator().manual_seed(0))
    changed = (moved != images).flatten(1).any(1)
    assert changed.double().mean().item() == pytest.approx(0.3, abs=0.05)
    assert not (augmented(images, 0.0, torch.Generator()) != images).any()
