"""The words of the page Playground, for both directions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Story:
    """What the page says about particles that move in one direction.

    Args:
        tagline: Under the title.
        seen: Under the player.
        question: Heading of the table.
        measured: Above the table; has the fields `particles` and `floor`.
        limits: Below the table.
        updates: The updates, in LaTeX.
        why: Why they do what the page shows.
    """

    tagline: str
    seen: str
    question: str
    measured: str
    limits: str
    updates: str
    why: str


CROSSES = (
    "The data are where both coordinates are positive; in the tinted region beyond the axes a "
    "coordinate has changed its sign. A particle that crosses an axis **turns blue** and stays "
    "blue."
)
SAMPLE = Story(
    tagline=(
        "A thousand particles move from noise to data in two dimensions under two samplers, from "
        "the same start and with the same random numbers. The score is exact, so every error is "
        "the sampler’s own."
    ),
    seen=f"{CROSSES} Play or drag; then take fewer steps in the sidebar (**»** on a phone), or "
    "more.",
    question="Who crosses, and when",
    measured=(
        "How many of the {particles:,} particles cross an axis, and how far from the data they "
        "end. The distance is W₁: how far each particle must be moved, on average, to turn the "
        "particles into a sample of the data. Two samples of the data are **{floor:.3f}** apart, "
        "so a distance of about that means no error."
    ),
    limits=(
        "**Limits of the comparison.** Crossing depends on step size. *Unconstrained* discretises "
        "the same equation as *dale-langevin*, and with many steps it reaches the same "
        "distribution; the table shows how many that takes. *Additive* has the same limit, but "
        "near an axis its steps would have to be tiny, and its count falls slowly. The exponential "
        "gives a guarantee at every step size, which matters when steps are few."
    ),
    updates=r"""
\begin{aligned}
x &\leftarrow x \circ \exp(\,\cdots) && \text{dale-langevin} \\
x &\leftarrow x \circ (1 + \cdots) && \text{unconstrained} \\
x &\leftarrow x + \cdots && \text{additive}
\end{aligned}
""",
    why="""
An exponential is positive, whatever its exponent. So a product of exponentials keeps the sign of
every coordinate at any step size: on the log axes (a button below the plots) the axes
x₁ = 0 and x₂ = 0 are infinitely far away. The *unconstrained* sampler multiplies by 1 + …, which is
the same for small steps and can be negative for large ones. The *additive* one adds noise of one
size everywhere, small beside a large x and large beside a small one.

**Two scores.** The Stein score ∇ln p is h / x: towards an axis it grows without bound, and a step
along it overshoots. The Hyvärinen score h = x ∘ ∇ln p grows there only like ln x; it drives every
sampler of this project. Show one, then the other, and compare.
""",
)
NOISE = Story(
    tagline=(
        "A thousand samples of the data are multiplied by noise, step by step, from t = 0 to T: "
        "geometric Brownian motion. Both sides have the same samples and the same random numbers; "
        "only the factor of a step differs."
    ),
    seen=f"{CROSSES} The contours show where theory says the particles are at each t. Play or "
    "drag; on log axes (a button below the plots) the noise is the same size everywhere.",
    question="The distribution they reach",
    measured=(
        "How many of the {particles:,} particles cross an axis, and how far their distribution at "
        "t = T is from the exact one, a mixture of log-normal distributions. The distance is that "
        "of Kolmogorov and Smirnov: the largest gap between the distribution functions, the mean "
        "over both coordinates. Exact samples of this number have about **{floor:.3f}**."
    ),
    limits=(
        "**What this means.** The exponential factor has the exact distribution after any number "
        "of steps, so its distance is that of exact samples throughout, and one step is enough: "
        "this is why a training can noise an image to any t at once. *Euler–Maruyama* reaches the "
        "same distribution only as its steps become small; before, it also changes signs."
    ),
    updates=r"""
\begin{aligned}
dX &= \tfrac12\sigma^2X\,dt + \sigma X\,dW \\
x &\leftarrow x \circ \exp(\sigma\sqrt\delta\,z) \\
x &\leftarrow x \circ (1 + \tfrac12\sigma^2\delta + \sigma\sqrt\delta\,z)
\end{aligned}
""",
    why="""
Multiplying by exp(…) is adding to ln x. Every step adds an independent normal number, sums of
normal numbers are normal, and so ln x at time t is ln x₀ plus one normal number of standard
deviation s(t) = σ√t, however many steps it took. Each point becomes a log-normal distribution.
The drift μ = σ²/2 keeps the median: the cloud spreads by the same factor up and down.

Euler–Maruyama’s factor 1 + … agrees with the exponential to first order in δ. A large negative z
makes it negative, and the particle lands beyond an axis, where no positive data have ever been.
""",
)

LEARN = """
All particles above move under the exact score, which is known only because these data are a sum of
kernels. For images it must be learned. Here a network of {weights:,} weights learns it while you
watch, by M-DSM, from draws of the data alone: each is multiplied by noise, and the network
predicts ln x₀.
"""
LEARNED = (
    "Left the exact score, right the learned one, both under *{sampler}* with the same start and "
    "noise. The arrows are the Hyvärinen score h; long ones are drawn shorter, with one scale for "
    "both."
)
APART = (
    "The particles end **{exact:.3f}** from the data with the exact score and **{learned:.3f}** "
    "with the learned one (W₁; two samples of the data are {floor:.3f} apart)."
)
ERRORS = (
    "Error of the score at noise level s, √(M-ESM / E‖s²(1 + h)‖²), where 1 + h is the exact score "
    "in ln x: 0 % is the exact score, and 100 % as far off as a network that takes x for clean."
)
UNTRAINED = (
    "Untrained, the network is the exact score of one log-normal distribution with the data’s "
    "mean and spread."
)
MEANING = (
    "**What the difference means.** With the exact score every error is the sampler’s. With a "
    "learned one the network’s error comes on top, and no sampler and no number of steps removes "
    "it. It is largest where the noise is small: there the exact score knows the centre of each "
    "kernel, while the network has seen draws and smooths over what lies between them."
)
