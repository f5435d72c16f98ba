"""The page Theory alone, at the root of its address."""

import streamlit as st

from dale_demo.ui.shared.query import clean_query
from dale_demo.ui.theory.page import page

st.set_page_config(layout="wide")
clean_query()
page()
