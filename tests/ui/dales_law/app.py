"""The page Dale's law alone, at the root of its address."""

import streamlit as st

from dale_demo.ui.dales_law.page import page
from dale_demo.ui.shared.query import clean_query

st.set_page_config(layout="wide")
clean_query()
page()
