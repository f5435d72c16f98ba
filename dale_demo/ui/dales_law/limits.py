"""Limits of exponentiated gradient and of what log-normal weights show, with stored trainings."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dale_demo.drawing.markdown import number
from dale_demo.ui.dales_law.record import LearningRecord, end_of
from dale_demo.ui.dales_law.settings import key_of
from dale_demo.ui.dales_law.stored_run import load_stored_training

PROOF = (
    "**A log-normal distribution proves no rule.** EG leads to one, but the same shape also "
    "appears without any learning rule (Rössler et al., 2023). What is measured in brains agrees "
    "with EG; it does not show that brains use it."
)
REPORTED = (
    "**Where EG loses elsewhere.** A ResNet-50 on ImageNet reached 78.2 % by gradient descent and "
    "73 to 75.5 % by EG ([Cornford et al., 2024](https://doi.org/10.1101/2024.10.25.620272)). "
    "A small convolutional network on MNIST, after two epochs and at one learning rate each, got "
    "98.7 % by gradient descent, 98.5 % sign-constrained and 98.4 % by EG, but 98.8 % by EG with "
    "Adam’s moments ([the notebook beside their optimisers]"
    "(https://github.com/linclab/EG_optimiser/blob/main/example.ipynb)). These are their figures, "
    "not measured here."
)


def limits() -> None:
    """Draw the section, with buttons that set the sidebar to its examples."""
    st.markdown(_dense(load_stored_training("dense")))
    _example_button("dense", {})
    st.markdown(REPORTED)
    st.markdown(
        _starts(load_stored_training("log-normal-start"), load_stored_training("normal-start"))
    )
    _example_button("correlated", {"start": "normal"})
    st.markdown(PROOF)


def _dense(record: LearningRecord) -> str:
    gd, eg = (f"{record.rules[name].frames.cumulative_loss[-1]:,.0f}" for name in ("gd", "eg"))
    return (
        "**EG loses on dense targets.** Where every input matters, multiplying does not help: over "
        f"{record.planned:,} examples of {record.task['inputs']} inputs gradient descent had a "
        f"summed loss of {gd}, EG± one of {eg}, each at its best rate."
    )


def _starts(*records: LearningRecord) -> str:
    log_normal, normal = (
        "{} before, {} after".format(
            *(number(skew, "+.2f") for skew in end_of(record.rules["eg"]).log_skew)
        )
        for record in records
    )
    return (
        "**The start decides the result.** EG makes the *change* of ln|w| normal, not the weights. "
        f"From a log-normal start they stay log-normal (skew of ln|w| {log_normal}, where 0 is "
        f"log-normal); from a normal start they stay as they were ({normal}), unless training "
        "moves them far."
    )


def _example_button(task: str, sizes: Mapping[str, Any]) -> None:
    st.button("Set the sidebar to this", key=f"try-{task}", on_click=_set, args=(task, sizes))


def _set(task: str, sizes: Mapping[str, Any]) -> None:
    st.session_state["task"] = task
    for name, value in sizes.items():
        st.session_state[key_of(task, name)] = value
