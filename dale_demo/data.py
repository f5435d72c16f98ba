"""Load labelled images (torchvision sets, IDX files, image folders) and map pixels into x > 0."""

import logging
import math
import os
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checks import shown
from dale_demo.data_files import DataError, require_file
from dale_demo.datasets import (
    DATASETS,
    KMNIST,
    KMNIST_7K,
    KMNIST_7K_IMAGES,
    KMNIST_10K,
    KMNIST_10K_HELD_OUT,
    DatasetInfo,
)
from dale_demo.idx import read_images, read_labels
from dale_demo.process import LogNormal

Split = Literal["train", "test"]

MAX_IMAGE_BYTES = 256 * 2**20

LOG = logging.getLogger(__name__)

DEFAULT_ROOT = Path.home() / ".cache" / "dale_demo" / "data"
ROOT_VARIABLE = "DALE_DATA"
"""Environment variable that names another folder for the torchvision sets."""


class PositiveMap(StrEnum):
    """A map from a pixel p ∈ [0, 1] to a positive x₀; each maps black to 1.

    Multiplicative diffusion of x is additive in ln x. With EXP, ln x₀ is the pixel itself, so the
    whole program becomes ordinary additive diffusion of pixels: the baseline for comparisons.
    """

    SHIFT = "shift"
    """x₀ = 1 + p, the paper's map."""
    EXP = "exp"
    """x₀ = eᵖ."""

    @property
    def formula(self) -> str:
        """x₀ as a formula in plain text."""
        return "1 + pixel" if self is PositiveMap.SHIFT else "e^pixel"

    @property
    def log_white(self) -> float:
        """ln x₀ of a white pixel; that of a black pixel is 0."""
        return math.log(2) if self is PositiveMap.SHIFT else 1.0

    def positive(self, images: Tensor) -> Tensor:
        """uint8 images of any shape → x₀, float32, same shape."""
        p = images.float() / 255
        return 1 + p if self is PositiveMap.SHIFT else p.exp()

    def intensity(self, x: Tensor) -> Tensor:
        """Positive images of any shape → pixels clipped to [0, 1], same shape and dtype."""
        p = x - 1 if self is PositiveMap.SHIFT else x.log()
        return p.clamp(0, 1)

    def pixels(self, x: Tensor) -> Tensor:
        """Positive images of any shape → uint8: the inverse of `positive`, clipped to its range."""
        return (self.intensity(x) * 255).round().to(torch.uint8)


positive = PositiveMap.SHIFT.positive
"""The paper's map from uint8 images to x₀."""


@dataclass(frozen=True)
class Dataset:
    """Labelled images in memory.

    Args:
        name: Name given to `load`.
        images: uint8 [N, C, H, W].
        labels: int64 [N], each in [0, len(class_names)).
        class_names: Display name of each class.
        positive_map: Map from pixels to positive data.
    """

    name: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    positive_map: PositiveMap = PositiveMap.SHIFT

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> "Dataset":
        """Select images by index, mask or slice, keeping all classes."""
        return replace(self, images=self.images[rows], labels=self.labels[rows])

    def positive(self) -> Tensor:
        """The images as x₀, float32 [N, C, H, W]."""
        return self.positive_map.positive(self.images)

    def class_averages(self) -> Tensor:
        """Mean positive image of each class, float32 [classes, C, H, W]."""
        return torch.stack(
            [self[self.labels == k].positive().mean(0) for k in range(len(self.class_names))]
        )

    def log_moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of ln x₀ at each pixel, float32 [classes + 1, C, H, W] each.

        One row for each class, then one for all images.
        """
        groups = [self[self.labels == k] for k in range(len(self.class_names))]
        logs = [group.positive().double().log() for group in (*groups, self)]
        means = torch.stack([y.mean(0) for y in logs])
        stds = torch.stack([y.std(0, correction=0) for y in logs])
        return means.float(), stds.float()

    def fit_log_normal(self) -> LogNormal:
        """Fit a log-normal distribution to all pixels of all images."""
        # A pixel has 256 values, so counts suffice, without a float64 copy of the whole set.
        counts = torch.bincount(self.images.flatten(), minlength=256).double()
        values = self.positive_map.positive(torch.arange(256, dtype=torch.uint8)).double().log()
        mean = (counts @ values) / counts.sum()
        variance = (counts @ (values - mean) ** 2) / counts.sum()
        return LogNormal(mean.item(), variance.sqrt().item())


def load(name: str, split: Split = "train", root: Path | str | None = None) -> Dataset:
    """Read a data set into memory.

    Args:
        name: "mnist", "fashion-mnist" or "kmnist" (downloaded into `root` if missing);
            "kmnist-7k" for KMNIST with the first 7,011 of its training images; "kmnist-10k" for its
            test images alone, the first 9,000 as "train" and the last 1,000 as "test";
            "idx:IMAGES,LABELS" for two IDX files, grey or colour, as they are or gzipped;
            "folder:DIR" for DIR/<class>/<image>.
        split: Part of a named set; ignored for files and folders, which have one part only.
        root: Folder of the torchvision sets; by default that in the environment variable
            `ROOT_VARIABLE`, or one in the user's cache.

    Raises:
        DataError: The name is unknown, files are missing or unreadable, or images differ in size.
    """
    folder = Path(root or os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
    if name == KMNIST_10K.name:
        return _load_kmnist_10k(split, folder)
    if name == KMNIST_7K.name:
        return _load_kmnist_7k(split, folder)
    if name in DATASETS:
        return _load_torchvision(DATASETS[name], split, folder)
    kind, _, path = name.partition(":")
    if kind == "idx" and path:
        return _load_idx(name, path)
    if kind == "folder" and path:
        return _load_folder(name, Path(path))
    raise DataError(
        f"Unknown data set {name!r}; use mnist, fashion-mnist, kmnist, kmnist-7k, "
        "kmnist-10k, idx:IMAGES,LABELS or folder:DIR."
    )


def load_training(name: str, root: Path | str | None = None) -> tuple[Dataset, int]:
    """Load the images to train on, and count those of their kind that are held out.

    Of files and folders that is the tenth which `load_split` keeps for testing; the named sets
    hold out none of their training images.

    Raises:
        DataError: As for `load_split`.
    """
    if ":" not in name:
        return load(name, "train", root), 0
    train, test = load_split(name, root)
    return train, len(test)


def load_split(name: str, root: Path | str | None = None) -> tuple[Dataset, Dataset]:
    """Load images to train on and other images to test on.

    The named sets come with both; of files and folders, a random tenth is kept for testing, but
    never all images of a class.

    Raises:
        DataError: As for `load`.
    """
    data = load(name, "train", root)
    if ":" not in name:
        return data, load(name, "test", root)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    # The last image of each class is trained on, or a small class would have no mean.
    _, last = np.unique(data.labels[order].flip(0), return_index=True)
    free = torch.ones(len(data), dtype=torch.bool)
    free[len(data) - 1 - torch.from_numpy(last)] = False
    test = order[free][: math.ceil(len(data) / 10)]
    if not len(test):
        raise DataError(f"{name} holds one image of each class; one more is needed to test on.")
    return data[order[~torch.isin(order, test)]], data[test]


def _load_torchvision(info: DatasetInfo, split: Split, root: Path) -> Dataset:
    import torchvision.datasets

    kind = getattr(torchvision.datasets, info.torchvision_class)
    train = split == "train"
    try:
        data = kind(root, train=train, download=False)
    except RuntimeError:
        try:
            data = kind(root, train=train, download=True)
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"{info.name} is not in {root} and cannot be downloaded: {error}"
            ) from error
    return Dataset(info.name, data.data.unsqueeze(1), data.targets.long(), info.class_names)


def _load_kmnist_10k(split: Split, root: Path) -> Dataset:
    whole = replace(_load_kmnist("test", "t10k", root), name=KMNIST_10K.name)
    rows = slice(0, -KMNIST_10K_HELD_OUT) if split == "train" else slice(-KMNIST_10K_HELD_OUT, None)
    return whole[rows]


def _load_kmnist_7k(split: Split, root: Path) -> Dataset:
    if split == "test":
        return replace(_load_kmnist("test", "t10k", root), name=KMNIST_7K.name)
    whole = _load_kmnist("train", f"train-first-{KMNIST_7K_IMAGES}", root)
    return replace(whole[:KMNIST_7K_IMAGES], name=KMNIST_7K.name)


def _load_kmnist(split: Split, prefix: str, root: Path) -> Dataset:
    """Read a part of KMNIST from the files of this prefix alone, or else from the whole set."""
    parts = ("images-idx3", "labels-idx1")
    files = [root / "KMNIST" / "raw" / f"{prefix}-{part}-ubyte" for part in parts]
    if not all(file.exists() for file in files):
        return _load_torchvision(KMNIST, split, root)
    return replace(
        _load_idx(KMNIST.name, ",".join(map(str, files))), class_names=KMNIST.class_names
    )


def _load_idx(name: str, paths: str) -> Dataset:
    if paths.count(",") != 1:
        raise DataError(f"IDX files are named idx:IMAGES,LABELS, not {name!r}.")
    images_path, labels_path = paths.split(",")
    images, labels = read_images(Path(images_path)), read_labels(Path(labels_path))
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images, but {labels_path} {len(labels)} labels."
        )
    # Labels need not be 0, 1, 2, …: those of EMNIST's letters start from 1.
    classes, rows = torch.from_numpy(labels).unique(return_inverse=True)
    return Dataset(name, torch.from_numpy(images), rows, tuple(str(k) for k in classes.tolist()))


def _load_folder(name: str, path: Path) -> Dataset:
    classes = [p for p in _visible(path) if p.is_dir()]
    for folder in classes:
        if not folder.name.isprintable():  # half of a surrogate pair stands for a foreign byte
            raise DataError(
                f"The class folder {folder.name!a} has a name that is not printable UTF-8; "
                "rename it."
            )
    if not classes:
        raise DataError(f"{path} holds no class folders; expected DIR/<class>/<image>.")
    images, labels = [], []
    for label, folder in enumerate(classes):
        members = [_read_image(file) for file in _pictures(folder)]
        if not members:
            raise DataError(f"The class folder {folder} holds no images; fill or remove it.")
        images += members
        labels += [label] * len(members)
    sizes = {image.shape[:2] for image in images}
    if len(sizes) != 1:
        raise DataError(f"Images in {path} must share one size, found {shown(sorted(sizes))}.")
    channels = max(image.shape[2] for image in images)
    # Grey images among coloured ones have the same number in all three channels.
    whole = np.stack([np.broadcast_to(image, (*image.shape[:2], channels)) for image in images])
    stacked = torch.from_numpy(whole).permute(0, 3, 1, 2)
    return Dataset(name, stacked.contiguous(), torch.tensor(labels), tuple(p.name for p in classes))


def _visible(path: Path) -> list[Path]:
    """Entries of `path` by name, without hidden ones such as .DS_Store; [] if it is no folder."""
    return sorted(p for p in path.glob("*") if not p.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    """Its files, without those whose names say that they are something else; these are counted."""
    from PIL import Image

    known = Image.registered_extensions().keys() | {""}
    files = _visible(folder)
    found = [file for file in files if file.suffix.lower() in known]
    if skipped := len(files) - len(found):
        LOG.warning("%d files in %s are no images, and were skipped.", skipped, folder)
    return found


def _read_image(file: Path) -> NDArray[np.uint8]:
    """Read an image file as uint8 [H, W, C], with one channel if it is grey and three otherwise.

    Of an animated file only the first frame counts.
    """
    from PIL import Image, UnidentifiedImageError

    from dale_demo.picture import eight_bit, opaque, orientation, upright

    try:
        require_file(file, MAX_IMAGE_BYTES)
        # By a path, Pillow would map an unpacked TIFF into memory as if it were turned already.
        with file.open("rb") as stream, Image.open(stream) as image:
            # It turns a TIFF as it loads it.
            exif = b"" if image.format == "TIFF" else image.info.get("exif", b"")
            pixels = np.atleast_3d(np.asarray(upright(opaque(eight_bit(image)), orientation(exif))))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise DataError(f"{file} is not an image: {error}") from error
    grey = (pixels == pixels[..., :1]).all()
    return pixels[..., :1] if grey else pixels
