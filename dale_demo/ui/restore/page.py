"""The page Noise and restore: multiply a picture by noise, and let a network take it off again."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from dale_demo import restoration as lib
from dale_demo.data import positive
from dale_demo.datasets import DATASETS
from dale_demo.drawing import palette
from dale_demo.drawing.frames import tint, tone_map
from dale_demo.evaluation.restorations import WINDOW, compare
from dale_demo.noise import Noise
from dale_demo.restoration import Restoration
from dale_demo.ui.restore import stored_run as opening
from dale_demo.ui.restore import story
from dale_demo.ui.restore.gallery import Item, gallery, grey, heat
from dale_demo.ui.restore.noise_distribution import Law, noise_laws
from dale_demo.ui.restore.pixel_canvas import drawing, mask
from dale_demo.ui.restore.settings import DRAWN, UPLOADED, Choice, controls, default_choice
from dale_demo.ui.restore.upload import MAX_BYTES, Fitted, fit
from dale_demo.ui.shared.networks import network
from dale_demo.ui.shared.queue import place

HEAD_START = 0.5
"""Seconds by which the first picture goes ahead of the many scripts that widgets load."""
DRAW_SECONDS = 0.1

Grey = NDArray[np.uint8]
Hole = NDArray[np.bool_]
Work = TypeVar("Work")


@dataclass(frozen=True)
class Kept:
    """What a session keeps of the last work: what was asked, and what came out."""

    restored: tuple[object, Restoration]
    table: tuple[object, dict[str, NDArray[np.float64]]]
    filled: tuple[object, Grey, Hole, NDArray[np.float64]]


def page() -> None:
    """Draw the page."""
    st.title("Noise and restore")
    st.markdown(story.TAGLINE)
    own, stage = st.container(), st.empty()
    if "restoration" not in st.session_state:
        st.session_state["restoration"] = _stored()
        with stage.container():
            _restored(example(), st.session_state["restoration"].restored[1])
        time.sleep(HEAD_START)
    try:
        with st.sidebar:
            choice = controls()
        with own:
            picture = _picture(choice)
    except ValueError as error:
        own.warning(str(error))
        return
    if picture is None:
        stage.empty()
    else:
        _show(choice, picture, stage)
    story.tell(choice.config)


def _show(choice: Choice, picture: Grey, stage: DeltaGenerator) -> None:
    """Everything about one picture; what needs the network comes after what does not."""
    noise, quality, holes = st.container(), st.container(), st.container()
    with noise:
        _noised(choice, picture)
    with holes:
        _fill(choice, picture)
    with stage.container():
        try:
            restoration = _restore(choice, picture)
        except ValueError as error:
            st.warning(str(error))
            return
        _restored(picture, restoration)
        st.caption(story.account(choice))
    if len(picture) < WINDOW:
        quality.caption(f"Pictures below {WINDOW} × {WINDOW} pixels have no SSIM to compare.")
        return
    with quality:
        story.qualities(_table(choice, picture, restoration), choice.settings)


@st.cache_resource(show_spinner=False)
def _stored() -> Kept:
    """The results that the page opens with."""
    restoration, answers = opening.stored()
    choice, picture = default_choice(), example()
    hole = opening.holes(len(picture))[choice.hole]
    filled = _fill_key(choice, picture, hole), picture, hole, answers
    return Kept((_restore_key(choice, picture), restoration), (None, {}), filled)


def example() -> Grey:
    """The picture that the page opens with, uint8 [H, W]."""
    shown = opening.pictures(opening.DATASET)
    assert shown is not None
    return shown[opening.PICTURE]


def _keep(**changed: object) -> None:
    kept: Kept = st.session_state["restoration"]
    st.session_state["restoration"] = Kept(**{**kept.__dict__, **changed})


# The picture


def _picture(choice: Choice) -> Grey | None:
    """The picture to noise, uint8 [H, W]; None while there is none.

    Raises:
        ValueError: An upload cannot be used.
    """
    size = choice.config.network.image_size
    if choice.picture == DRAWN:
        return _drawn(size)
    if choice.picture == UPLOADED:
        return _uploaded(size, _content_size(choice.config.dataset) * size // 28)
    shown = opening.pictures(choice.config.dataset)
    assert shown is not None
    return shown[choice.config.class_names.index(choice.picture)]


def _content_size(dataset: str) -> int:
    return DATASETS[dataset].content_size if dataset in DATASETS else 28


def _drawn(size: int) -> Grey | None:
    st.markdown("**Draw here**, by mouse, finger or arrow keys and space.")
    before = st.session_state.get("drawing")
    start = before if before is not None and len(before) == size else np.zeros((size, size), "u1")
    drawn = drawing(start, key="canvas")
    st.session_state["drawing"] = drawn
    return drawn if drawn.any() else None


def _uploaded(size: int, content: int) -> Grey | None:
    file = st.file_uploader(
        "A picture of one thing on a plain ground: PNG, JPEG or WebP",
        ["png", "jpg", "jpeg", "webp"],
        key="upload",
        max_upload_size=MAX_BYTES >> 20,
        help="It stays in this session and is forgotten when you leave.",
    )
    if file is None:
        return None
    fitted = fit(file.getvalue(), size, content)
    gallery(_fitting(fitted))
    return grey(fitted.frame)[..., 0]


def _fitting(fitted: Fitted) -> list[Item]:
    ground = "the background is bright, so inverted" if fitted.inverted else "the ground is dark"
    size = len(fitted.frame)
    return [
        (fitted.colour, "uploaded", ""),
        (grey(fitted.grey), "grey", ""),
        (grey(fitted.content), "content", f"{ground}; cut to what stands out"),
        (grey(fitted.frame), "framed", f"{size} × {size}, centre of mass in the middle"),
    ]


# The noise


def _noised(choice: Choice, picture: Grey) -> None:
    """Multiplicative noise beside additive noise, as pictures, laws and numbers."""
    st.header("Two kinds of noise", divider="gray")
    x0, level = positive(torch.from_numpy(picture))[None, None], choice.settings.noise_level
    process = lib.until(choice.config.process, level)
    z = Noise(choice.settings.seed, [0], x0.shape[1:])()
    strength = lib.additive_strength(x0, level)
    times, plus = lib.noise(x0, process, z), x0 + strength * z
    drift = process.log_drift(torch.tensor(process.horizon)).item()
    gallery(
        [
            (
                _exposed(times, drift, level),
                "x₀ · exp(s z)",
                "multiplicative; exposed to follow it",
            ),
            (
                _exposed(plus, 0, level),
                "x₀ + τ z",
                "additive, of the same log-energy; below 0 blue",
            ),
        ],
        "pair",
    )
    story.noise(x0, level, process, strength, int((plus < 0).sum()))
    reach = 3.5 * level
    noise_laws(
        [
            Law(
                "ln x, multiplicative noise",
                "Curve: the exact law, the mixture of N(ln v + m, s²) over the picture’s values v.",
                times,
                lambda y: lib.multiplicative_density(x0, process, y),
                palette.STATE,
            ),
            Law(
                "ln|x|, additive noise",
                "Curve: the exact law of ln|v + τz|. Its long left tail are values near zero.",
                plus,
                lambda y: lib.additive_density(x0, strength, y),
                palette.THEORY,
            ),
        ],
        (drift - reach, drift + math.log(2) + reach),
        key="noise-laws",
    )


def _exposed(x: torch.Tensor, drift: float, level: float) -> NDArray[np.uint8]:
    return tint(tone_map(x, drift, level), x < 0)[0].numpy()


# The way back


def _restore(choice: Choice, picture: Grey) -> Restoration:
    """The restoration of what is chosen, worked out if it is not the last one."""
    kept: Kept = st.session_state["restoration"]
    key = _restore_key(choice, picture)
    if kept.restored[0] != key:
        x0 = positive(torch.from_numpy(picture))[None, None]
        calls = 3 * choice.settings.steps

        def work(watch: lib.Watch) -> Restoration:
            return lib.restore(network(choice.folder), x0, choice.settings, watch)

        made = _watched("Restoring", calls, work)
        _keep(restored=(key, made))
        return made
    return kept.restored[1]


def _table(
    choice: Choice, picture: Grey, restoration: Restoration
) -> dict[str, NDArray[np.float64]]:
    """PSNR and SSIM of each way, measured if the restoration is not the last one."""
    kept: Kept = st.session_state["restoration"]
    key = _restore_key(choice, picture)
    if kept.table[0] != key:
        table = compare(restoration, picture[None] / 255, choice.settings.noise_level)
        _keep(table=(key, table))
        return table
    return kept.table[1]


def _restore_key(choice: Choice, picture: Grey) -> object:
    return choice.folder, choice.settings, picture.tobytes()


def _restored(picture: Grey, restoration: Restoration) -> None:
    """What went in, what the noise left, and what came back."""
    gallery(views(picture, restoration))
    st.markdown("**Draws** from what the original may have been:")
    gallery([(grey(draw[0]), "", "") for draw in restoration.draws[0]], "small")


def views(picture: Grey, restoration: Restoration) -> list[Item]:
    """A picture on its way through noise and back."""
    noised = torch.from_numpy(restoration.noised)
    level = max(float(noised.log().std()), 0.05)
    spread = restoration.spread[0, 0]
    return [
        (grey(picture / 255), "picture", ""),
        (tone_map(noised, 0, level)[0].numpy(), "noised", "what there is to go by"),
        (grey(restoration.tweedie[0, 0]), "one Tweedie step", "blurs what is unsure"),
        (grey(restoration.flow[0, 0]), "probability flow", "one sharp answer"),
        (grey(restoration.mean[0, 0]), "mean of the draws", ""),
        (
            heat(spread, max(float(spread.max()), 1e-3)),
            "where it is unsure",
            f"spread of the draws, up to {spread.max():.0%}",
        ),
    ]


def _watched(doing: str, calls: int, work: Callable[[lib.Watch], Work]) -> Work:
    """Work in a place of the line, with a bar that counts steps up to about `calls`."""
    bar = st.empty()
    seen, drawn = 0, 0.0

    def watch(_: object) -> None:
        nonlocal seen, drawn
        seen += 1
        if time.monotonic() - drawn > DRAW_SECONDS:
            drawn = time.monotonic()
            bar.progress(min(1.0, seen / calls), f"{doing} …")

    with place(bar):
        made = work(watch)
    bar.empty()
    return made


# Holes


def _fill(choice: Choice, picture: Grey) -> None:
    """Paint a mask, and fill it in several ways."""
    st.header("Fill a hole", divider="gray")
    st.markdown(story.ABOUT_HOLES)
    canvas, result = st.columns([1, 2], gap="medium")
    with canvas:
        start = opening.holes(len(picture))[choice.hole]
        identity = f"{choice.hole}-{hash(picture.tobytes())}"
        hole = mask(start, picture, key="mask", identity=identity)
    with result:
        pressed = st.button("Fill", key="fill", type="primary", icon=":material/format_paint:")
        remark = st.empty()
        key = _fill_key(choice, picture, hole)
        if pressed:
            _fill_now(choice, picture, hole, key, remark)
        kept: Kept = st.session_state["restoration"]
        if kept.filled[0] != key:
            remark.caption("Press **Fill** to see this hole filled.")
        _, shown, there, answers = kept.filled
        holed = np.where(there[..., None], palette.rgb(palette.EXCITATORY), shown[..., None])
        known = holed.astype(np.uint8), "known", "and the hole"
        gallery([known, *((grey(answer[0]), "", "") for answer in answers)])


def _fill_now(
    choice: Choice, picture: Grey, hole: Hole, key: object, remark: DeltaGenerator
) -> None:
    x0 = positive(torch.from_numpy(picture))[None]

    def work(watch: lib.Watch) -> NDArray[np.float64]:
        return lib.intensity(
            lib.fill(
                network(choice.folder),
                x0,
                torch.from_numpy(hole),
                steps=opening.FILL_STEPS,
                answers=choice.answers,
                seed=choice.settings.seed,
                watch=watch,
            )
        )

    try:
        answers = _watched("Filling", opening.FILL_STEPS, work)
    except ValueError as error:
        remark.warning(str(error))
        return
    _keep(filled=(key, picture, hole, answers))


def _fill_key(choice: Choice, picture: Grey, hole: Hole) -> object:
    seed = choice.settings.seed
    return choice.folder, seed, choice.answers, picture.tobytes(), hole.tobytes()
