"""The distribution of synaptic strengths that was measured in cortex, to compare weights with.

Amplitudes of excitatory postsynaptic potentials between pyramidal cells of layer 5, in the visual
cortex of the rat (Song et al., PLoS Biology 3:e68, 2005): ln w is normal, for w in millivolts.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

SONG_LOG_MEAN, SONG_LOG_STD = -0.702, 0.9355
"""Mean and standard deviation of ln w, w in mV: the median is 0.50 mV."""


def song_density(log_weights: ArrayLike, log_mean: float = SONG_LOG_MEAN) -> NDArray[np.float64]:
    """Compute the density of ln w at `log_weights`, any shape.

    Args:
        log_mean: Where it is centred: weights of a network have no unit to share with millivolts.
    """
    return log_normal_density(log_weights, log_mean, SONG_LOG_STD)


def log_normal_density(
    log_weights: ArrayLike, log_mean: float, log_std: float
) -> NDArray[np.float64]:
    """Compute the density of ln|w| for log-normal weights, at `log_weights`, any shape."""
    z = (np.asarray(log_weights, np.float64) - log_mean) / log_std
    return np.exp(-(z**2) / 2) / (log_std * math.sqrt(2 * math.pi))


def normal_density(
    log_weights: ArrayLike, mean: float, std: float, sign: int
) -> NDArray[np.float64]:
    """Compute the density of ln|w| of the weights of one sign, where w is normal.

    The density of w at ±|w|, times |w|, as d|w| = |w| d ln|w|. Over both signs it integrates to 1.

    Args:
        sign: 1 for excitatory weights, −1 for inhibitory ones.
    """
    magnitude = np.exp(np.asarray(log_weights, np.float64))
    z = (sign * magnitude - mean) / std
    return magnitude * np.exp(-(z**2) / 2) / (std * math.sqrt(2 * math.pi))
