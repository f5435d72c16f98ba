"""The app: `streamlit run app.py`."""

from collections.abc import Callable

import streamlit as st

from dale_demo.ui.shared.assets import ICON
from dale_demo.ui.shared.query import clean_query
from dale_demo.ui.shared.space import share_address
from dale_demo.ui.shared.splash import splash
from dale_demo.ui.shared.warm_up import import_in_turn


def page(name: str) -> Callable[[], None]:
    """The page in `dale_demo/ui/<name>/page.py`, imported when it is first opened."""

    def show() -> None:
        with splash(name):
            module = import_in_turn(f"dale_demo.ui.{name}.page")
        module.page()

    return show


st.set_page_config("Dale meets Langevin, live", ICON, "wide")
clean_query()
PAGES = [
    st.Page(page("sample"), title="Sample", default=True),
    st.Page(page("restore"), title="Noise and restore", url_path="restore"),
    st.Page(page("dales_law"), title="Dale’s law", url_path="dale"),
    st.Page(page("weights"), title="Weights", url_path="weights"),
    st.Page(page("playground"), title="Playground", url_path="playground"),
    st.Page(page("theory"), title="Theory", url_path="theory"),
    # The default page lives at /, and would not be found under its own name.
    st.Page(page("sample"), title="Sample", url_path="sample", visibility="hidden"),
]
current = st.navigation(PAGES)
current.run()
with st.sidebar:
    st.caption("After [Dale meets Langevin](https://arxiv.org/abs/2510.02730), arXiv 2510.02730.")
    share_address()
