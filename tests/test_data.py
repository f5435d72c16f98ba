"""Loading IDX files, folders and torchvision sets, and the maps into x > 0."""

import math
import os
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torchvision.datasets import MNIST

from dale_demo import data as sets
from dale_demo.data import DataError, Dataset, PositiveMap, load, load_split
from dale_demo.datasets import KMNIST


def write_idx(path, array):
    """Write uint8 `array` in the IDX format: magic number, sizes, bytes, big-endian."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + array.tobytes())


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (12, 6, 6), dtype=np.uint8)
    return images, np.tile(np.array([0, 1, 2], np.uint8), 4)


@pytest.fixture
def idx(tmp_path, arrays):
    """The name of a data set in two IDX files."""
    for path, array in zip((tmp_path / "images", tmp_path / "labels"), arrays, strict=True):
        write_idx(path, array)
    return f"idx:{tmp_path / 'images'},{tmp_path / 'labels'}"


def test_idx_files_round_trip(idx, arrays):
    data = load(idx)
    assert np.array_equal(data.images[:, 0].numpy(), arrays[0])
    assert np.array_equal(data.labels.numpy(), arrays[1])
    assert data.labels.dtype == torch.int64
    assert data.class_names == ("0", "1", "2")
    assert len(data) == 12


def test_idx_labels_with_gaps_keep_their_names(idx, arrays, tmp_path):
    write_idx(tmp_path / "labels", arrays[1] * 2 + 1)
    data = load(idx)
    assert data.class_names == ("1", "3", "5")
    assert np.array_equal(data.labels.numpy(), arrays[1])
    assert data.class_averages().isfinite().all()


@pytest.fixture
def kmnist(tmp_path):
    """A folder of KMNIST's files with 20 images to train on and 5 to test on, and the former."""
    raw = tmp_path / "KMNIST" / "raw"
    images = np.random.default_rng(1).integers(0, 256, (25, 6, 6), dtype=np.uint8)
    labels = np.arange(25, dtype=np.uint8) % 10
    for prefix, part in (("train", slice(20)), ("t10k", slice(20, None))):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images[part])
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", labels[part])
    return tmp_path, images[:20]


def test_kmnist_10k_holds_out_the_end_of_the_test_images(kmnist, monkeypatch):
    root, _ = kmnist
    monkeypatch.setattr(sets, "KMNIST_10K_HELD_OUT", 2)
    train, test = load_split("kmnist-10k", root)
    whole = load("kmnist", "test", root)
    assert torch.equal(train.images, whole.images[:3])
    assert torch.equal(test.images, whole.images[3:])
    assert test.labels.tolist() == [3, 4]
    assert train.class_names == test.class_names == KMNIST.class_names


def test_kmnist_7k_is_the_first_of_the_training_images(kmnist, monkeypatch):
    root, images = kmnist
    monkeypatch.setattr(sets, "KMNIST_7K_IMAGES", 12)
    train, test = load_split("kmnist-7k", root)
    whole = load("kmnist", "train", root)
    assert np.array_equal(train.images[:, 0].numpy(), images[:12])
    assert np.array_equal(whole.images[:, 0].numpy(), images)
    assert train.labels.tolist() == whole.labels[:12].tolist()
    assert len(test) == 5
    assert train.name == test.name == "kmnist-7k"
    assert train.class_names == test.class_names == KMNIST.class_names


def test_kmnist_7k_is_read_from_a_copy_that_has_no_more(kmnist, monkeypatch):
    root, images = kmnist
    monkeypatch.setattr(sets, "KMNIST_7K_IMAGES", 12)
    before = load("kmnist-7k", "train", root)
    raw = root / "KMNIST" / "raw"
    for part in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        (raw / f"train-{part}").unlink()
    write_idx(raw / "train-first-12-images-idx3-ubyte", images[:12])
    write_idx(raw / "train-first-12-labels-idx1-ubyte", before.labels.to(torch.uint8).numpy())
    assert torch.equal(load("kmnist-7k", "train", root).images, before.images)
    assert len(load("kmnist-7k", "test", root)) == 5


def test_a_tenth_is_kept_where_a_set_has_no_test_part(tmp_path):
    for k in range(2):
        (tmp_path / str(k)).mkdir()
        for i in range(20):
            Image.new("L", (4, 4), 20 * k + i).save(tmp_path / str(k) / f"{i:02}.png")
    train, test = load_split(f"folder:{tmp_path}")
    assert (len(train), len(test)) == (36, 4)
    together = torch.cat([train.images, test.images])[:, 0, 0, 0]
    assert together.sort().values.tolist() == list(range(40))


def test_no_class_is_kept_for_testing_as_a_whole(tmp_path):
    """Two images in a third of the classes, one in the others: the tenth is of the former."""
    for k in range(15):
        (tmp_path / f"{k:02}").mkdir()
        for i in range(2 if k < 5 else 1):
            Image.new("L", (4, 4), 10 * k + i).save(tmp_path / f"{k:02}" / f"{i}.png")
    train, test = load_split(f"folder:{tmp_path}")
    assert (len(train), len(test)) == (18, 2)
    assert train.labels.unique().tolist() == list(range(15))
    assert test.labels.max() < 5
    everything = torch.cat([train.images, test.images])[:, 0, 0, 0]
    assert len(everything.unique()) == 20


def test_torchvision_sets_are_read_from_their_own_layout(tmp_path, arrays, monkeypatch):
    for part, count in (("train", 12), ("t10k", 5)):
        raw = tmp_path / "MNIST" / "raw"
        write_idx(raw / f"{part}-images-idx3-ubyte", arrays[0][:count])
        write_idx(raw / f"{part}-labels-idx1-ubyte", arrays[1][:count])
    train, test = load("mnist", "train", tmp_path), load("mnist", "test", tmp_path)
    assert (len(train), len(test)) == (12, 5)
    assert np.array_equal(train.images[:, 0].numpy(), arrays[0])
    assert train.class_names == tuple("0123456789")
    monkeypatch.setenv("DALE_DATA", str(tmp_path))
    assert torch.equal(load("mnist", "test").images, test.images)
    monkeypatch.setattr(MNIST, "download", lambda self: None)
    with pytest.raises(DataError):
        load("mnist", "test", tmp_path / "elsewhere")


def test_a_set_that_cannot_be_downloaded_says_so(tmp_path, monkeypatch):
    def offline(self):
        raise OSError("no network")

    monkeypatch.setattr(MNIST, "download", offline)
    with pytest.raises(DataError, match="cannot be downloaded: no network"):
        load("mnist", root=tmp_path)


def save_folder(root, images):
    for name, array in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(root / name)
    return f"folder:{root}"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_classes_round_trips(tmp_path, channels):
    random = np.random.default_rng(0)
    shape = (4, 4) if channels == 1 else (4, 4, 3)
    images = {
        f"{label}/{k}.png": random.integers(0, 256, shape, dtype=np.uint8)
        for label in ("cat", "dog")
        for k in range(3)
    }
    name = save_folder(tmp_path, images)
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"not an image")
    (tmp_path / ".hidden").mkdir()
    data = load(name)
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    expected = np.stack(list(images.values())).reshape(6, 4, 4, channels)
    assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), expected)


def test_sixteen_bit_images_are_scaled_and_not_clipped(tmp_path):
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    data = load(save_folder(tmp_path, {"a/0.png": deep}))
    assert torch.equal(data.images.flatten(), torch.arange(256, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("positive_map", "formula"),
    [(PositiveMap.SHIFT, lambda p: 1 + p), (PositiveMap.EXP, np.exp)],
)
def test_positive_and_pixels_are_inverse_on_every_value(positive_map, formula, dtype):
    values = torch.arange(256, dtype=torch.uint8)
    x = positive_map.positive(values)
    np.testing.assert_allclose(x, formula(np.arange(256) / 255), rtol=1e-6)
    assert torch.equal(positive_map.pixels(x.to(dtype)), values)
    assert_close(positive_map.intensity(x), torch.arange(256) / 255, rtol=0, atol=1e-6)
    assert (x.min(), x.max().log().item()) == (1, pytest.approx(positive_map.log_white))
    beyond = torch.tensor([1e-300, 0.2, 1e9, 1e300], dtype=torch.float64)
    assert positive_map.pixels(beyond).tolist() == [0, 0, 255, 255]


def test_the_two_maps_differ():
    grey = torch.tensor([128], dtype=torch.uint8)
    assert PositiveMap.SHIFT.pixels(PositiveMap.EXP.positive(grey)) > 160


def test_under_exp_log_moments_are_those_of_raw_pixels(arrays):
    images, labels = arrays
    names = tuple("abc")
    data = Dataset(
        "x", torch.from_numpy(images)[:, None], torch.from_numpy(labels), names, PositiveMap.EXP
    )
    raw = images / 255
    fit = data.fit_log_normal()
    assert (fit.log_mean, fit.log_std) == pytest.approx((raw.mean(), raw.std()), abs=1e-7)
    means, stds = data.log_moments()
    assert_close(means[1, 0], torch.from_numpy(raw[labels == 1].mean(0)).float())
    assert_close(stds[3, 0], torch.from_numpy(raw.std(0)).float())
    averages = torch.from_numpy(np.exp(raw[labels == 2]).mean(0)).float()
    assert_close(data.class_averages()[2, 0], averages)


def test_log_normal_fit_and_class_averages_agree_with_numpy(arrays):
    images, labels = arrays
    data = Dataset("x", torch.from_numpy(images)[:, None], torch.from_numpy(labels), tuple("abc"))
    x = 1 + images.astype(np.float64) / 255
    fit = data.fit_log_normal()
    assert fit.log_mean == pytest.approx(np.log(x).mean(), abs=1e-7)
    assert fit.log_std == pytest.approx(np.log(x).std(), abs=1e-7)
    averages = np.stack([x[labels == k].mean(0) for k in range(3)])[:, None]
    assert_close(data.class_averages(), torch.from_numpy(averages).float())
    logs = [np.log(x[labels == k]) for k in range(3)] + [np.log(x)]
    means, stds = data.log_moments()
    assert_close(means[:, 0], torch.from_numpy(np.stack([y.mean(0) for y in logs])).float())
    assert_close(stds[:, 0], torch.from_numpy(np.stack([y.std(0) for y in logs])).float())
    assert not math.isclose(fit.log_std, np.log(x).std(ddof=1), abs_tol=1e-7)


def no_images(root, idx):
    write_idx(root / "images", np.zeros((0, 6, 6), np.uint8))
    write_idx(root / "labels", np.zeros(0, np.uint8))
    return idx


def fewer_labels(root, idx):
    write_idx(root / "labels", np.zeros(3, np.uint8))
    return idx


def damaged(data):
    def damage(root, idx):
        (root / "images").write_bytes(data)
        return idx

    return damage


def broken_image(root, idx):
    (root / "set" / "a").mkdir(parents=True)
    (root / "set" / "a" / "0.png").write_bytes(b"GIF89a")
    return f"folder:{root / 'set'}"


def several_sizes(root, idx):
    square = {"a/0.png": np.zeros((4, 4), np.uint8), "a/1.png": np.zeros((5, 5), np.uint8)}
    return save_folder(root / "set", square)


def empty_class(root, idx):
    (root / "set" / "b").mkdir(parents=True)
    return save_folder(root / "set", {"a/0.png": np.zeros((4, 4), np.uint8)})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root, idx: "cifar", "Unknown data set"),
        (lambda root, idx: "idx:", "Unknown data set"),
        (lambda root, idx: f"idx:{root / 'images'}", "are named idx:IMAGES,LABELS"),
        (lambda root, idx: idx + "x", "cannot be read: No such file"),
        (lambda root, idx: ",".join(reversed(idx.split(":")[1].split(","))), "Unknown data set"),
        (lambda root, idx: f"idx:{root / 'labels'},{root / 'images'}", "not images"),
        (damaged(b""), "is not an IDX file"),
        (damaged(b"<html></html>"), "is not an IDX file"),
        (damaged(struct.pack(">HBB3I", 0, 8, 3, 12, 6, 6) + b"short"), "432 bytes, 5 follow"),
        (damaged(struct.pack(">HBB3If", 0, 13, 3, 1, 1, 1, 0.5)), "float32 numbers"),
        (fewer_labels, "holds 12 images, but .* 3 labels"),
        (no_images, "holds no images"),
        (lambda root, idx: f"folder:{root / 'nowhere'}", "holds no class folders"),
        (empty_class, "holds no images"),
        (broken_image, "is not an image"),
        (several_sizes, "must share one size"),
    ],
)
def test_bad_input_says_what_is_wrong(make, message, tmp_path, idx):
    with pytest.raises(DataError, match=message):
        load(make(tmp_path, idx))


@pytest.fixture
def odd_file(tmp_path):
    """Make a file that is none: a pipe that nobody writes to, a device without end, a folder."""

    def make(kind: str, name: str = "odd"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        else:
            path.mkdir()
        return path

    return make


special_files = pytest.mark.parametrize("kind", ["pipe", "device", "folder"])


@special_files
def test_special_files_are_refused_as_idx(kind, odd_file, idx):
    images, labels = idx.removeprefix("idx:").split(",")
    odd = odd_file(kind)
    for pair in (f"{odd},{labels}", f"{images},{odd}"):
        with pytest.raises(DataError, match="a pipe or a device"):
            load(f"idx:{pair}")
    assert len(load(idx)) > 0, "files themselves are read"


@special_files
def test_special_files_are_refused_as_images(kind, odd_file, tmp_path):
    odd_file(kind, "set/a/0.png")
    with pytest.raises(DataError, match="a pipe or a device"):
        load(f"folder:{tmp_path / 'set'}")


def test_a_file_too_large_to_read_is_refused(idx, monkeypatch):
    monkeypatch.setattr("dale_demo.idx.MAX_IDX_BYTES", 10)
    with pytest.raises(DataError, match="bytes; at most 10 are read"):
        load(idx)


def test_a_class_folder_that_is_not_named_in_utf_8_is_refused(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with pytest.raises(DataError, match=r"'caf.udce9' has a name that is not printable"):
        load(f"folder:{tmp_path}")


def test_one_image_cannot_be_split(tmp_path):
    (tmp_path / "a").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "a" / "0.png")
    with pytest.raises(DataError, match="holds one image of each class"):
        load_split(f"folder:{tmp_path}")


def test_an_error_quotes_a_long_name_shortly():
    assert len(str(DataError("x" * 10_000))) <= 300
