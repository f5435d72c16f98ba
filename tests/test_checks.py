"""Numbers and words from outside: what is accepted, and how what is refused is quoted."""

import math
import time

import numpy as np
import pytest

from dale_demo.checks import MAX_SENTENCE, brief, check_float, check_int, check_word, shown

ODD = [
    *(True, False, None, "1", "", [], {}, (1,), 1j, b"1"),
    *(math.nan, math.inf, -math.inf, 1e200, -1e200, 1e20, 10**20, 10**309, -(10**5000)),
]
"""Values that are no number from 0 to 10."""


@pytest.mark.parametrize("value", [*ODD, -5e-324, np.float64("nan")], ids=shown)
def test_what_is_no_number_in_the_range_is_refused_in_one_sentence(value):
    with pytest.raises(ValueError, match=r"^mu must be a number from 0 to 10, got ") as caught:
        check_float("mu", value, 0, 10)
    assert len(str(caught.value)) <= MAX_SENTENCE


@pytest.mark.parametrize("value", [0, 10, 0.5, 5e-324, np.float32(1.5), np.int64(3)])
def test_any_real_number_in_the_range_is_accepted(value):
    check_float("mu", value, 0, 10)


@pytest.mark.parametrize("value", [5e-324, 1e-310, 0])
def test_a_number_far_too_small_is_refused(value):
    with pytest.raises(ValueError, match=r"from 1e-06 to 10"):
        check_float("sigma", value, 1e-6, 10)


@pytest.mark.parametrize("value", [*ODD, 1.0, 11, -1], ids=shown)
def test_what_is_no_integer_in_the_range_is_refused_in_one_sentence(value):
    with pytest.raises(ValueError, match=r"^width must be an integer from 0 to 10, got ") as caught:
        check_int("width", value, 0, 10)
    assert len(str(caught.value)) <= MAX_SENTENCE


def test_integers_in_the_range_are_accepted():
    for value in (0, 5, 10):
        check_int("width", value, 0, 10)


@pytest.mark.parametrize("value", ["", "x" * 11, "\ud800", "a\udfff", None, 3, ["a"]], ids=shown)
def test_what_is_no_word_is_refused(value):
    with pytest.raises(ValueError, match=r"^name must be ") as caught:
        check_word("name", value, 10)
    str(caught.value).encode()
    assert len(str(caught.value)) <= MAX_SENTENCE


@pytest.mark.parametrize("value", ["a", "x" * 10, "日本語", "🧠", " "])
def test_words_of_any_script_are_accepted(value):
    check_word("name", value, 10)


@pytest.mark.parametrize(
    "value",
    [
        *("x" * 10**6, "\ud800" * 10**6, "\n" * 10**6, 10**100_000, list(range(10**6))),
        *({"a": "x" * 10**6}, ["y" * 10**6] * 3, b"z" * 10**6, {1: 2}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_quotation_is_short_quick_and_valid(value):
    began = time.process_time()
    text = shown(value)
    assert time.process_time() - began < 0.5
    assert len(text) <= 120
    assert "\n" not in text
    text.encode()


def test_small_values_are_quoted_as_python_writes_them():
    assert [shown(v) for v in (1, 0.5, True, None, "a'b")] == ["1", "0.5", "True", "None", '"a\'b"']
    assert shown((3, 4)) == "(3, 4)"
    assert shown(10**309) == "an integer of about 309 digits"


def test_a_sentence_is_cut_only_where_it_is_too_long():
    assert brief("a  b\nc") == "a b c"
    assert brief("a" * MAX_SENTENCE) == "a" * MAX_SENTENCE
    assert brief("a" * (MAX_SENTENCE + 1)) == "a" * (MAX_SENTENCE - 2) + " …"
    assert brief("\udc80") == "\\udc80"
