"""Downloads of a trajectory, read back."""

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dale_demo.drawing.frames import grid, side_by_side
from dale_demo.trajectory import Trajectory
from dale_demo.ui.sample import downloads
from tests.ui.sample.test_player import trajectory

FRAMES, IMAGES, SIDE = 5, 4, 8
RUN = trajectory(FRAMES, IMAGES, SIDE)


def test_the_png_is_the_grid_of_the_last_images_enlarged():
    shown = np.asarray(Image.open(io.BytesIO(downloads.png(RUN))))
    factor = downloads.PNG_ENLARGED
    np.testing.assert_array_equal(shown[::factor, ::factor], grid(RUN.images)[..., 0])
    np.testing.assert_array_equal(shown, np.kron(shown[::factor, ::factor], np.ones((factor,) * 2)))


@pytest.mark.parametrize(("encode", "kind"), [(downloads.webp, "WEBP"), (downloads.gif, "GIF")])
def test_an_animation_shows_state_and_estimate_of_every_frame(encode, kind):
    animation = Image.open(io.BytesIO(encode(RUN)))
    assert (animation.format, animation.n_frames) == (kind, FRAMES)
    factor = downloads.ANIMATION_ENLARGED
    for k, (state, estimate) in enumerate(zip(RUN.states, RUN.estimates, strict=True)):
        animation.seek(k)
        shown = np.asarray(animation.convert("L"))[::factor, ::factor].astype(int)
        expected = side_by_side(grid(state), grid(estimate))[..., 0]
        assert shown.shape == expected.shape
        assert np.abs(shown - expected).mean() < 8, "lossy"


def test_the_npz_gives_the_trajectory_back():
    encode, _, _ = downloads.FILES["NPZ"]
    with np.load(io.BytesIO(encode(RUN))) as arrays:
        again = Trajectory(**arrays)
    for name, array in vars(RUN).items():
        np.testing.assert_array_equal(getattr(again, name), array, err_msg=name)


def test_each_file_has_a_button_with_a_name_and_a_sentence():
    def script():
        from dale_demo.ui.sample.downloads import buttons
        from tests.ui.sample.test_downloads import RUN

        buttons(RUN, "mnist-bridge-0")

    app = AppTest.from_function(script, default_timeout=60).run()
    assert not app.exception
    shown = app.get("download_button")
    assert [button.proto.label for button in shown] == list(downloads.FILES)
    assert all(button.proto.help.endswith(".") for button in shown)


def test_nothing_is_encoded_before_it_is_asked_for(monkeypatch):
    for name in downloads.FILES:
        _, mime, what = downloads.FILES[name]
        refuse = (lambda _: pytest.fail("encoded on load"), mime, what)
        monkeypatch.setitem(downloads.FILES, name, refuse)
    test_each_file_has_a_button_with_a_name_and_a_sentence()
