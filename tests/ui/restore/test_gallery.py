"""The gallery's HTML holds every image bit for bit, with a caption that cannot inject markup."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from dale_demo.drawing.palette import EXCITATORY, rgb
from dale_demo.ui.restore.gallery import markup
from dale_demo.ui.restore.images import grey, heat


def images_in(html: str) -> list[np.ndarray]:
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]


def test_every_image_is_there_in_order_and_bit_for_bit():
    first = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    second = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    shown = images_in(markup([(first, "first", "grey"), (second, "second", "")]))
    np.testing.assert_array_equal(shown[0], first[..., 0])
    np.testing.assert_array_equal(shown[1], second)


@pytest.mark.parametrize("look", ["row", "small", "pair"])
def test_a_look_is_a_class_that_the_style_knows(look):
    html = markup([], look)
    assert html.endswith(f'<div class="gallery {look}"></div>')
    assert ".gallery" in html
    assert look == "row" or f".gallery.{look}" in html


def test_names_and_texts_are_captions_and_alternative_texts():
    image = np.zeros((2, 2, 1), np.uint8)
    html = markup([(image, "noised", "by s = 1"), (image, "", "")])
    assert 'alt="noised"' in html
    assert "<figcaption><b>noised</b> by s = 1</figcaption>" in html
    assert 'alt="one of several samples"' in html
    assert html.count("<figcaption>") == 1


def test_a_caption_injects_no_markup():
    html = markup([(np.zeros((2, 2, 1), np.uint8), '"><script>', "<b>bold</b>")])
    assert "<script>" not in html
    assert "<b>bold</b>" not in html
    assert 'alt="&quot;&gt;&lt;script&gt;"' in html


def test_grey_clips_and_rounds():
    values = np.array([[-1.0, 0.0, 0.5, 1.0, 2.0]])
    assert grey(values)[..., 0].tolist() == [[0, 0, 128, 255, 255]]


def test_heat_goes_from_black_to_the_warm_colour():
    shown = heat(np.array([[0.0, 0.25, 0.5]]), top=0.25)
    assert shown[0, 0].tolist() == [0, 0, 0]
    assert shown[0, 1].tolist() == shown[0, 2].tolist() == list(rgb(EXCITATORY))
