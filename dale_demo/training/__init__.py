"""Train a network, from data or from a teacher."""

from dale_demo.training.config import TrainingConfig
from dale_demo.training.run import Progress, train

__all__ = ["Progress", "TrainingConfig", "train"]
