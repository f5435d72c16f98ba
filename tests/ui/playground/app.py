"""The page Playground alone, at the root of its address."""

import streamlit as st

from dale_demo.ui.playground.page import page

st.set_page_config(layout="wide")
page()
