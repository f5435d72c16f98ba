"""The restoration of the noised image, on the page's stage, and the table of its quality."""

import streamlit as st
import torch

from dale_demo import restoration as lib
from dale_demo.data import positive
from dale_demo.evaluation.restorations import compare
from dale_demo.restoration import Restoration
from dale_demo.ui.restore.gallery import gallery
from dale_demo.ui.restore.images import GreyImage, grey
from dale_demo.ui.restore.session import Table, keep, last_results, run_with_progress
from dale_demo.ui.restore.settings import RestoreRequest
from dale_demo.ui.restore.views import views
from dale_demo.ui.shared import networks


def restored(request: RestoreRequest, image: GreyImage) -> Restoration:
    """The restoration that is asked for, computed if it is not the session's last one.

    Raises:
        ValueError: The network cannot restore.
    """
    key = request_key(request, image)
    if last_results().restored[0] != key:
        x0 = positive(torch.from_numpy(image))[None, None]

        def work(watch: lib.Watch) -> Restoration:
            return lib.restore(networks.network(request.folder), x0, request.settings, watch)

        # Heun's method evaluates the network twice a step, and the samples once.
        made = run_with_progress("Restoring", 3 * request.settings.steps, work)
        keep(restored=(key, made))
    return last_results().restored[1]


def quality_table(request: RestoreRequest, image: GreyImage, restoration: Restoration) -> Table:
    """PSNR and SSIM of each way of restoring, computed if they are not the session's last ones."""
    key = request_key(request, image)
    if last_results().table[0] != key:
        table = compare(restoration, image[None] / 255, request.settings.noise_level)
        keep(table=(key, table))
    return last_results().table[1]


def request_key(request: RestoreRequest, image: GreyImage) -> object:
    """Everything that a restoration depends on."""
    return request.folder, request.settings, image.tobytes()


def show_restoration(image: GreyImage, restoration: Restoration) -> None:
    """What went in, what the noise left, and what came back."""
    gallery(views(image, restoration))
    st.markdown("**Samples** of what the original may have been:")
    gallery([(grey(sample[0]), "", "") for sample in restoration.draws[0]], "small")
