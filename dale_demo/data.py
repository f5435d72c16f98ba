"""Pictures and labels: torchvision sets, IDX files, image folders; the maps into x > 0."""

import math
import zlib
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.datasets import DATASETS, KMNIST, KMNIST_10K, KMNIST_10K_HELD_OUT, DatasetInfo
from dale_demo.process import LogNormal

Split = Literal["train", "test"]

DEFAULT_ROOT = Path.home() / ".cache" / "dale_demo" / "data"


class DataError(ValueError):
    """The data asked for cannot be read; the message says what to do."""


class PositiveMap(StrEnum):
    """How a pixel p ∈ [0, 1] becomes positive, by name; black is 1 under each.

    Diffusion that multiplies x adds in ln x. So EXP, where ln x₀ is the pixel itself, turns all of
    this program into ordinary additive diffusion on raw pixels: the baseline to measure against.
    """

    SHIFT = "shift"
    """x₀ = 1 + p, the paper's."""
    EXP = "exp"
    """x₀ = eᵖ."""

    @property
    def formula(self) -> str:
        """What x₀ is, in words that follow it anywhere."""
        return "1 + pixel" if self is PositiveMap.SHIFT else "e^pixel"

    @property
    def log_white(self) -> float:
        """ln x₀ of a white pixel; that of a black one is 0."""
        return math.log(2) if self is PositiveMap.SHIFT else 1.0

    def positive(self, images: Tensor) -> Tensor:
        """uint8 pictures → x₀, float32, same shape."""
        p = images.float() / 255
        return 1 + p if self is PositiveMap.SHIFT else p.exp()

    def intensity(self, x: Tensor) -> Tensor:
        """Positive pictures → pixels in [0, 1], clipped, same shape and dtype."""
        p = x - 1 if self is PositiveMap.SHIFT else x.log()
        return p.clamp(0, 1)

    def pixels(self, x: Tensor) -> Tensor:
        """Positive pictures → uint8, the inverse of `positive`, clipped to its range."""
        return (self.intensity(x) * 255).round().to(torch.uint8)


positive = PositiveMap.SHIFT.positive
"""The paper's map."""


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures in memory.

    Args:
        name: As given to `load`.
        images: uint8 [N, C, H, W].
        labels: int64 [N], each in [0, len(class_names)).
        class_names: What a person calls each class.
        positive_map: How they become positive.
        made: Whether a network made the pictures, after the set's own.
    """

    name: str
    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    positive_map: PositiveMap = PositiveMap.SHIFT
    made: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> "Dataset":
        """Some of the pictures, with the same classes."""
        return replace(self, images=self.images[rows], labels=self.labels[rows])

    def positive(self) -> Tensor:
        """The pictures as x₀, float32 [N, C, H, W]."""
        return self.positive_map.positive(self.images)

    def class_averages(self) -> Tensor:
        """Mean positive picture of each class, float32 [classes, C, H, W]."""
        return torch.stack(
            [self[self.labels == k].positive().mean(0) for k in range(len(self.class_names))]
        )

    def log_moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of ln x₀ at each pixel, float32 [classes + 1, C, H, W] each.

        By class, and over all pictures at the end.
        """
        groups = [self[self.labels == k] for k in range(len(self.class_names))]
        logs = [group.positive().double().log() for group in (*groups, self)]
        means = torch.stack([y.mean(0) for y in logs])
        stds = torch.stack([y.std(0, correction=0) for y in logs])
        return means.float(), stds.float()

    def fit_log_normal(self) -> LogNormal:
        """Log-normal law fitted to every pixel of every picture (256 values, counted)."""
        counts = torch.bincount(self.images.flatten(), minlength=256).double()
        values = self.positive_map.positive(torch.arange(256, dtype=torch.uint8)).double().log()
        mean = (counts @ values) / counts.sum()
        variance = (counts @ (values - mean) ** 2) / counts.sum()
        return LogNormal(mean.item(), variance.sqrt().item())


def load(name: str, split: Split = "train", root: Path | str | None = None) -> Dataset:
    """Read a data set into memory.

    Args:
        name: "mnist", "fashion-mnist" or "kmnist" (downloaded into `root` where missing);
            "kmnist-10k" for the first 9,000 and last 1,000 of KMNIST's test pictures;
            "idx:IMAGES,LABELS" for two IDX files; "folder:DIR" for DIR/<class>/<picture>.
        split: Which part of the first four; files and folders have one part only.
        root: Where torchvision sets live; the user's cache when left out.

    Raises:
        DataError: Unknown name, missing or unreadable files, or pictures of several sizes.
    """
    if name == KMNIST_10K.name:
        return _load_kmnist_10k(split, Path(root or DEFAULT_ROOT))
    if name in DATASETS:
        return _load_torchvision(DATASETS[name], split, Path(root or DEFAULT_ROOT))
    kind, _, path = name.partition(":")
    if kind == "idx" and path:
        return _load_idx(name, path)
    if kind == "folder" and path:
        return _load_folder(name, Path(path))
    raise DataError(
        f"Unknown data set {name!r}; use mnist, fashion-mnist, kmnist, kmnist-10k, "
        "idx:IMAGES,LABELS or folder:DIR."
    )


def load_split(name: str, root: Path | str | None = None) -> tuple[Dataset, Dataset]:
    """Load pictures to train on and unseen pictures to test on.

    The named sets come with both; of files and folders, a random tenth is kept for the test.

    Raises:
        DataError: As for `load`.
    """
    data = load(name, "train", root)
    if ":" not in name:
        return data, load(name, "test", root)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    test, train = order.tensor_split([-(-len(data) // 10)])
    return data[train], data[test]


def sampled(data: Dataset, file: Path | str) -> Dataset:
    """`data` with pictures that a network made in place of its own.

    Args:
        file: An .npz that `sample` or `evaluate --keep` wrote: `images` uint8 [N, H, W] or
            [N, H, W, C], and `labels` int64 [N].

    Raises:
        DataError: The file cannot be read, or its pictures are not of the size and classes of
            `data`.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            images, labels = torch.from_numpy(arrays["images"]), torch.from_numpy(arrays["labels"])
    except (OSError, EOFError, ValueError, TypeError, KeyError, BadZipFile, zlib.error) as error:
        # not NumPy's own words: they recommend pickle
        raise DataError(
            f"{file} holds no sampled pictures; give a FILE.npz of sample or of evaluate --keep."
        ) from error
    if images.ndim == 3:
        images = images.unsqueeze(-1)
    if images.dtype != torch.uint8 or images.shape[1:] != data.images[0].movedim(0, -1).shape:
        raise DataError(f"The pictures in {file} are not of the size of those of {data.name}.")
    count = len(data.class_names)
    if labels.shape != images.shape[:1] or set(labels.tolist()) != set(range(count)):
        raise DataError(f"{file} must hold pictures of each of the {count} classes, labelled.")
    images = images.movedim(-1, 1).contiguous()
    return replace(data, images=images, labels=labels.long(), made=True)


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
    files = [
        root / "KMNIST" / "raw" / f"t10k-{part}-ubyte" for part in ("images-idx3", "labels-idx1")
    ]
    if not all(file.exists() for file in files):
        _load_torchvision(KMNIST, "test", root)
    whole = replace(
        _load_idx(KMNIST_10K.name, ",".join(map(str, files))), class_names=KMNIST_10K.class_names
    )
    rows = slice(0, -KMNIST_10K_HELD_OUT) if split == "train" else slice(-KMNIST_10K_HELD_OUT, None)
    return whole[rows]


def _load_idx(name: str, path: str) -> Dataset:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    try:
        images_path, labels_path = path.split(",")
        images, labels = read_image_file(images_path), read_label_file(labels_path)
    except (OSError, ValueError, TypeError, AssertionError, KeyError, RuntimeError) as error:
        raise DataError(f"Cannot read IDX files {path!r} (IMAGES,LABELS): {error!r}.") from error
    if len(images) != len(labels):
        raise DataError(f"{len(images)} pictures but {len(labels)} labels in {path!r}.")
    classes, labels = labels.unique(return_inverse=True)  # EMNIST, for one, starts from 1
    return Dataset(name, images.unsqueeze(1), labels, tuple(str(k) for k in classes.tolist()))


def _load_folder(name: str, path: Path) -> Dataset:
    classes = [p for p in _visible(path) if p.is_dir()]
    if not classes:
        raise DataError(f"{path} holds no class folders; expected DIR/<class>/<picture>.")
    images, labels = [], []
    for label, folder in enumerate(classes):
        pictures = [_read_picture(file) for file in _visible(folder)]
        if not pictures:
            raise DataError(f"The class folder {folder} holds no pictures; fill or remove it.")
        images += pictures
        labels += [label] * len(pictures)
    shapes = {image.shape for image in images}
    if len(shapes) != 1:
        raise DataError(f"Pictures in {path} must share one size and mode, found {shapes}.")
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return Dataset(name, stacked.contiguous(), torch.tensor(labels), tuple(p.name for p in classes))


def _visible(path: Path) -> list[Path]:
    """What `path` holds, by name, without what the system hides (.DS_Store); [] if no folder."""
    return sorted(p for p in path.glob("*") if not p.name.startswith("."))


def _read_picture(file: Path) -> NDArray[np.uint8]:
    """One picture as uint8 [H, W, C], with one channel if it is grey and three otherwise."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            if picture.mode == "I;16":  # Pillow's own conversion clips at 255
                return (np.asarray(picture) // 257).astype(np.uint8)[..., None]
            grey = picture.mode in ("1", "L")
            return np.atleast_3d(np.asarray(picture.convert("L" if grey else "RGB")))
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{file} is not a picture: {error}") from error
