"""Train a network, from data or from a teacher."""

from typing import TYPE_CHECKING, Any

from dale_demo.training.config import TrainingConfig

if TYPE_CHECKING:
    from dale_demo.training.run import Progress, train

__all__ = ["Progress", "TrainingConfig", "train"]


def __getattr__(name: str) -> Any:
    """Import the training loop, and torch with it, on first use.

    The command line reads the defaults of `TrainingConfig` through this package, and
    `python -m dale_demo --help` must not wait for torch.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dale_demo.training import run

    return getattr(run, name)
