"""The page Weights alone, at the root of its address."""

import streamlit as st

from dale_demo.ui.shared.query import clean_query
from dale_demo.ui.weights.page import page

st.set_page_config(layout="wide")
clean_query()
page()
