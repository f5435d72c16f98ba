"""The option without a class is offered once, whatever the classes are called."""

import pytest
from streamlit.testing.v1 import AppTest

from dale_demo.checkpoint import folder as checkpoint
from dale_demo.sampling import UNCONDITIONAL
from dale_demo.ui.sample import page as sample
from dale_demo.ui.sample.settings import NO_CLASS, no_class_name
from tests.tiny_network import save_tiny
from tests.ui.sample.test_page import APP


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), NO_CLASS),
        (("0", "No class"), NO_CLASS),
        (("0", NO_CLASS), "(no class)"),
        ((NO_CLASS, "(no class)"), "((no class))"),
    ],
)
def test_no_class_has_a_name_that_no_class_has(names, expected):
    assert no_class_name(names) == expected


def test_a_class_called_no_class_can_be_chosen_and_so_can_none(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    monkeypatch.setattr(sample, "HEAD_START", 0)
    save_tiny(tmp_path / "tiny", class_names=("a", NO_CLASS, "c"))
    requests = []
    controls = sample.controls
    monkeypatch.setattr(sample, "controls", lambda: requests.append(controls()) or requests[-1])
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params.update({"classes": [NO_CLASS, "(no class)"], "pictures": "2"})
    app.run()
    assert not app.exception
    assert requests[-1].settings.labels == (1, UNCONDITIONAL)
