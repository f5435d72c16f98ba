"""The page Noise and restore alone, at the root of its address."""

import streamlit as st

from dale_demo.ui.restore.page import page
from dale_demo.ui.shared.query import clean_query

st.set_page_config(layout="wide")
clean_query()
page()
