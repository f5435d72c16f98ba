"""IDX files: types, colour and gzip; damage in one sentence, in bounded memory."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets.mnist import read_image_file

from dale_demo.data import load
from dale_demo.data_files import DataError
from dale_demo.idx import read_images, read_labels

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 6, 5), dtype=np.uint8)


def idx(array: np.ndarray, kind: str = "u1") -> bytes:
    """The bytes of an IDX file."""
    head = struct.pack(f">HBB{array.ndim}I", 0, CODES[kind], array.ndim, *array.shape)
    return head + array.astype(f">{kind}").tobytes()


def written(folder: Path, data: bytes, name: str = "file") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def test_grey_images_are_read_as_torchvision_reads_them(images, tmp_path):
    file = written(tmp_path, idx(images))
    np.testing.assert_array_equal(read_images(file)[:, 0], read_image_file(str(file)).numpy())


def test_colour_images_have_their_channels_first(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    read = read_images(written(tmp_path, idx(pixels)))
    assert read.shape == (4, 3, 6, 5)
    np.testing.assert_array_equal(read[1, 2], pixels[1, :, :, 2])


@pytest.mark.parametrize("kind", CODES)
def test_labels_are_integers_of_any_size(kind, tmp_path):
    labels = np.array([0, 100, 3])
    read = read_labels(written(tmp_path, idx(labels, kind)))
    assert read.dtype == np.int64
    assert read.tolist() == labels.tolist()


def test_gzipped_files_are_read_as_mnist_is_handed_out(images, tmp_path):
    labels = np.arange(12) % 3
    one = written(tmp_path, gzip.compress(idx(images)), "images-idx3-ubyte.gz")
    other = written(tmp_path, gzip.compress(idx(labels, "i4")), "labels")
    data = load(f"idx:{one},{other}")
    np.testing.assert_array_equal(data.images[:, 0].numpy(), images)
    assert data.labels.tolist() == labels.tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x00\x08", "is not an IDX file"),
        (b"\x00\x00\x08\x03\x00\x00", "ends within its header"),
        (struct.pack(">HBB5I", 0, 8, 5, 1, 1, 1, 1, 1) + b"x", "is not an IDX file"),
        (struct.pack(">HBB1I", 0, 8, 1, 3) + b"abcd", "promises 3 bytes, more follow"),
        (struct.pack(">HBB2I", 0, 8, 2, 1, 1) + b"x", "not images"),
        (struct.pack(">HBB4I", 0, 8, 4, 1, 1, 1, 2) + b"xx", "not images"),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "claims .* bytes; at most"),
        (gzip.compress(b"x" * 1000)[:-30], "is not an IDX file|damaged gzip"),
        (b"\x1f\x8b" + b"nothing", "damaged gzip"),
    ],
)
def test_damage_is_one_sentence_that_names_the_file(data, message, tmp_path):
    file = written(tmp_path, data)
    with pytest.raises(DataError, match=message) as caught:
        read_images(file)
    assert str(file) in str(caught.value)


def test_no_more_is_unpacked_than_the_header_promises(images, tmp_path):
    """A few kilobytes of gzip may hold gigabytes."""
    file = written(tmp_path, gzip.compress(idx(images) + bytes(200 * 2**20)))
    tracemalloc.start()
    with pytest.raises(DataError, match="promises 360 bytes, more follow"):
        read_images(file)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
