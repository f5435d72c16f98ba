"""Reading weights: every format and type against other readers, hostile files in one sentence."""

import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from random import Random

import numpy as np
import pytest
import torch
from safetensors.torch import save

from dale_demo.network import Denoiser
from dale_demo.weights import safetensors_file
from dale_demo.weights.analyse import analyse
from dale_demo.weights.csv_column import read_table
from dale_demo.weights.files import ENDINGS, read_file, table_of
from dale_demo.weights.safetensors_file import FLOATS, MOMENTS, read_safetensors
from dale_demo.weights.tensors import PIECE, WeightsError, pieces_of
from tests.fuzz.harness import SEED, failures
from tests.fuzz.mutations import spoiled_bytes
from tests.weights.files import npy, npz, safetensors, zipped

TORCH = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


def numbers(data: bytes, name: str, column: int | None = None) -> dict[str, np.ndarray]:
    """Name → numbers of the synapses in a file."""
    return {
        tensor.name: np.concatenate([np.empty(0), *tensor.pieces]).reshape(tensor.shape)
        for tensor in read_file(data, name, column)
        if tensor.synapses
    }


@pytest.mark.parametrize("dtype", list(FLOATS))
def test_every_float_type_is_read_as_torch_reads_it(dtype, generator):
    drawn = torch.randn(40, 300, generator=generator) * 3
    drawn[0, :6] = torch.tensor([0, -0.0, torch.nan, torch.inf, 1e-8, -448])
    tensor = drawn.to(TORCH[dtype])
    read = numbers(save({"a": tensor}), "x.safetensors")["a"]
    np.testing.assert_array_equal(read, tensor.double().numpy())


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2"])
def test_all_numbers_of_eight_bits(dtype):
    codes = torch.arange(256, dtype=torch.uint8)
    read = FLOATS[dtype][1](codes.numpy().tobytes())
    np.testing.assert_array_equal(read.astype(float), codes.view(TORCH[dtype]).double().numpy())


def test_a_large_tensor_comes_in_pieces_and_in_little_memory():
    tensor = torch.arange(3 * PIECE, dtype=torch.float32).reshape(3, PIECE)
    data = save({"large": tensor})
    tracemalloc.start()
    sizes = [len(p) for t in read_safetensors(io.BytesIO(data), len(data)) for p in t.pieces]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes == [PIECE] * 3
    assert most < 2.2 * 4 * PIECE + len(data), "the file, and two pieces"


def test_vectors_are_no_synapses_beside_matrices_but_alone_they_are():
    both = save({"w": torch.ones(3, 4), "b": torch.ones(4), "i": torch.ones(2, 2).int()})
    assert list(numbers(both, "x.safetensors")) == ["w"]
    assert list(numbers(save({"strengths": torch.ones(4)}), "x.safetensors")) == ["strengths"]
    assert list(numbers(npz(w=np.ones((2, 2)), b=np.ones(3)), "x.npz")) == ["w"]
    assert list(numbers(npz(a=np.ones(2), b=np.ones(3), s=np.float64(1)), "x.npz")) == ["a", "b"]


def test_the_moments_of_data_in_our_networks_are_no_synapses(tiny_denoiser: Denoiser):
    state = tiny_denoiser.state_dict()
    assert state.keys() - dict(tiny_denoiser.named_parameters()).keys() == MOMENTS
    matrices = {name for name, w in tiny_denoiser.named_parameters() if w.ndim >= 2}
    assert numbers(save(dict(state)), "x.safetensors").keys() == matrices
    other = save({"log_stds": torch.ones(2, 2)})
    assert list(numbers(other, "x.safetensors")) == ["log_stds"], "the name alone says nothing"


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_in_every_order_and_precision(dtype, order):
    array = np.asarray(np.random.default_rng(1).normal(size=(5, 7, 2)), dtype, order=order)
    np.testing.assert_array_equal(numbers(npy(array), "my.npy")["my"], array)


@pytest.mark.parametrize("compressed", [False, True])
def test_npz(compressed):
    arrays = {"a": np.random.default_rng(1).normal(size=(50, 7)), "b": np.eye(3, dtype="f4")}
    read = numbers(npz(compressed, **arrays, n=np.arange(4)), "x.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize(
    ("text", "columns", "read"),
    [
        ("1.5\n-2\n\n0.25\n", ("column 1",), [1.5, -2, 0.25]),
        ("strength (mV)\n0.5\n1e-3\n", ("strength (mV)",), [0.5, 0.001]),
        ("id,pre,epsp\n1,a,0.5\n2,b,0.75\n3,c,2\n", ("id", "pre", "epsp"), [0.5, 0.75, 2]),
        ("a;b\n1,5;2,5\n-0,5;3\n", ("a", "b"), [1.5, -0.5]),
        ("a\tb\n1.5\t2\n2\t3,5\n", ("a", "b"), [1.5, 2]),
        ('"w, in mV",n\n"0.5",1\n0.75,2\n', ("w, in mV", "n"), [0.5, 0.75]),
        ("w\n0.5\nNaN\nn/a\ninf\n", ("w",), [0.5, np.nan, np.nan, np.nan]),
        ("w,w\n1,2\n", ("w", "w (2)"), [1]),
    ],
)
def test_tables_as_spreadsheets_write_them(text, columns, read):
    table = table_of(text.encode(), "my.csv")
    assert table.columns == columns
    ((_, found),) = numbers(text.encode(), "my.csv").items()
    np.testing.assert_array_equal(found, read)


def test_another_column_and_empty_cells_which_are_counted():
    text = b"\xef\xbb\xbfa,b\r\n1,\r\n2,5\r\n3, \r\n4\r\n5,6\r\n"
    (tensor,) = read_file(text, "my.csv", 1)
    assert (tensor.name, tensor.blank) == ("b", 3)
    assert list(np.concatenate(list(tensor.pieces))) == [5, 6]
    utf16 = text.decode("utf-8-sig").encode("utf-16")
    assert numbers(utf16, "my.CSV", 1).keys() == {"b"}
    with pytest.raises(WeightsError, match="has 2 columns"):
        read_file(text, "my.csv", 2)


def test_text_in_a_column_is_named_with_its_row():
    text = "w\n" + "1\n" * 60 + "oops\n"
    with pytest.raises(WeightsError, match=r"^Row 62 of the column 'w' holds 'oops', which is no"):
        numbers(text.encode(), "my.csv")
    assert read_table(b"1_0,2\n") is not None, "the second is a number"


BIG = 2**40
HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "x.safetensors", "has no header"),
    "pickle": (pickle.dumps({"a": 1}), "x.npy", "never loaded"),
    "zip of pickles": (zipped({"a/data.pkl": b"\x80\x02"}), "x.npz", "no tensor of floating"),
    "page": (b"<!doctype html>", "x.safetensors", "header would have"),
    "long header": (struct.pack("<Q", BIG) + b"{}", "x.safetensors", "header would have"),
    "deep header": (safetensors({}, header=b"[" * 10**6), "x.safetensors", "not JSON"),
    "list": (safetensors({}, header=b"[]"), "x.safetensors", "lists no tensors"),
    "no tensors": (safetensors({}), "x.safetensors", "no weights in it"),
    "integers": (safetensors({"a": ("I64", [1], b"x" * 8)}), "x.safetensors", "no weights in it"),
    "huge shape": (
        safetensors({"a": ("F32", [2**40, 2**40], b"")}), "x.safetensors", "about the size of 'a'",
    ),
    "negative": (safetensors({"a": ("F32", [-1], b"")}), "x.safetensors", "cannot be"),
    "too long": (safetensors({"a": ("F32", [1], b"1234")}) + b"1", "x.safetensors", "its size is"),
    "cut off": (safetensors({"a": ("F32", [9, 9], b"1234" * 81)})[:-9], "x.safetensors", "size"),
    "overlap": (
        safetensors({}, header=json.dumps({
            name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"
        }).encode()) + b"1234",
        "x.safetensors",
        "not in its place",
    ),
    "many tensors": (
        safetensors({str(i): ("F32", [0], b"") for i in range(5000)}), "x.safetensors", "5,000",
    ),
    "objects": (npy(np.array([{}]), allow_pickle=True), "x.npy", "Python objects"),
    "integer array": (npy(np.arange(4)), "x.npy", "of type 'int64'"),
    "structured": (npy(np.zeros(3, "f4,i4")), "x.npy", "of type"),
    "cut npy": (npy(np.ones((50, 50)))[:-8], "x.npy", "ends too early"),
    "no npy": (b"\x93NUMPY\x09\x00", "x.npy", "version"),
    "long npy header": (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 60_000) + b"{" * 60_000, "x.npy", "damaged",
    ),
    "many members": (zipped({f"{i}.npy": b"" for i in range(5000)}), "x.npz", "5,000 tensors"),
    "bomb": (npz(True, a=np.zeros(2**25 + 8)), "x.npz", "at most 268,435,456"),
    "other packing": (
        zipped({"a.npy": npy(np.ones(99))}, zipfile.ZIP_LZMA), "x.npz", "packed in a way",
    ),
    "no zip": (b"PK\x03\x04nonsense", "x.npz", "damaged"),
    "no table": (b"a\0b\n1\n", "x.csv", "bytes that are no text"),
    "no numbers": (b"a,b\nc,d\n", "x.csv", "no column of numbers"),
    "nothing": (b"\n\n", "x.csv", "is empty"),
    "wide": (b"1," * 3000, "x.csv", "3,001 columns"),
    "long line": (b"1," * 10**6, "x.csv", "longer than"),
    "long table": (b"1\n" * (10**6 + 5), "x.csv", "1,000,005 rows"),
    "quotation": (b'w,a\n1,"' + b"2,3\n" * 50_000, "x.csv", "does not end"),
    "large table": (b" " * (16 * 2**20 + 1), "x.csv", "16,777,217 bytes"),
    "large": (b" " * (64 * 2**20 + 1), "x.npy", "67,108,865 bytes"),
    "other ending": (b"w", "x.bin", "ending in .safetensors"),
    "no ending": (b"w", "", "ending in .safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_one_sentence_and_little_time(case):
    data, name, sentence = HOSTILE[case]
    found = failures([(case, data)], lambda data: analyse(read_file(data, name)), (WeightsError,))
    assert found == []
    with pytest.raises(WeightsError, match=sentence):
        analyse(read_file(data, name))


def test_no_damaged_file_hurts():
    array = np.random.default_rng(2).normal(size=(30, 40)).astype("f4")
    sound = {
        "safetensors": save({"a": torch.from_numpy(array), "b": torch.ones(3).half()}),
        "npy": npy(array),
        "npz": npz(True, a=array, b=array[0]),
        "csv": b"a;b\n" + b"".join(b"%d;0,%d\n" % (i, i) for i in range(1, 99)),
    }
    assert sound.keys() <= set(ENDINGS)
    random, tried = Random(SEED), []
    for ending, data in sound.items():
        assert analyse(read_file(data, f"x.{ending}")).layers
        tried += [(f"{ending} {i}", (ending, spoiled_bytes(random, data))) for i in range(60)]

    def attempt(case: tuple[str, bytes]) -> None:
        report = analyse(read_file(case[1], f"x.{case[0]}"))
        assert len(report.csv().splitlines()) == len(report.layers) + 2

    assert not (found := failures(tried, attempt, (WeightsError,))), "\n".join(found)


def test_pieces_have_the_size_that_readers_rely_on():
    assert PIECE % 8 == 0, "change.py packs eight signs into a byte"
    assert [len(p) for p in pieces_of(np.zeros((3, PIECE)))] == [PIECE] * 3
    assert safetensors_file.MAX_HEADER_BYTES > 4096 * 300, "4,096 tensors with long names"
