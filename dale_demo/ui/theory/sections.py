"""Text and equations of the page Theory, in nine sections.

Each equation names the code that computes it as "module:name", so that PyTorch is imported only
when a visitor opens a formula.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Equation:
    """A formula and the code that computes it.

    Args:
        formula: In LaTeX.
        source: "module:qualified name".
    """

    formula: str
    source: str


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Args:
        name: Key of its figure, of its measurement and of its depth in the address.
        title: Its heading.
        picture: What the figure shows, in one or two sentences.
        mechanism: Why, in words.
        derivation: How the formulas follow.
        equations: The formulas with their code.
        sources: Keys into `dale_demo.theory.references.REFERENCES`.
    """

    name: str
    title: str
    picture: str
    mechanism: str
    derivation: str
    equations: tuple[Equation, ...]
    sources: tuple[str, ...]


SECTIONS = (
    Section(
        "motion",
        "Noise that multiplies",
        "Noise acts by factors: ×1.1 as easily as ÷1.1. On a log axis the paths spread evenly up "
        "and down, and none of them reaches zero.",
        """
Every instant multiplies x by a random factor near 1. Logarithms turn the product into a sum of
many small independent terms, and such a sum is normal. So ln x is normal, and x is **log-normal**:
skewed, positive, with most values small and a few large, as synaptic strengths are.

The noise is proportional to x. That makes it harmless near zero: the smaller x is, the less it
moves. The *Fokker–Planck equation* says the same of the density: probability flows with the drift
and spreads with the noise, and the result is the log-normal distribution.
""",
        r"""
With $y = \ln x$, Itô's formula gives $dy = (\mu - \tfrac12\sigma^2)\,dt + \sigma\,dW$ (step 4), a
Brownian motion with drift, so $y_t = y_0 + m(t) + s(t)\,z$ with $z \sim N(0, 1)$. The density
of $X_t$ obeys

$$
\partial_t p = -\partial_x(\mu x\,p) + \tfrac12\,\partial_x^2(\sigma^2 x^2\,p),
$$

which the log-normal density, and any mixture of such densities, solves.
""",
        (
            Equation(
                r"dX = \mu X\,dt + \sigma X\,dW \;\Rightarrow\;"
                r" X_t = X_0 \circ \exp\big(m(t) + s(t)\,z\big)",
                "dale_demo.process:GeometricBrownianMotion.forward",
            ),
            Equation(
                r"m(t) = (\mu - \tfrac12\sigma^2)\,t",
                "dale_demo.process:GeometricBrownianMotion.log_drift",
            ),
            Equation(
                r"X_{t+\Delta} = X_t \circ \exp\big(m(\Delta) + s(\Delta)\,z\big)",
                "dale_demo.process:GeometricBrownianMotion.path",
            ),
        ),
        ("shetty",),
    ),
    Section(
        "score",
        "The Hyvärinen score",
        "To undo noise, know which way is uphill: where values like this one are more common. "
        "Warm arrows push up, cool ones down.",
        """
A **score** is the slope of the log density. The usual one, ∇ln p, says how the density changes
when x grows by a little *amount*. Where noise multiplies, the natural question is how it changes
when x grows by a little *percentage*: that is x ∘ ∇ln p, the **Hyvärinen score** h.

Seen from ln x there is one more term. A density in ln x is the density in x times x, since equal
steps in ln x are longer where x is large. Its slope is therefore 1 + h. The 1 is easily forgotten;
on average it balances h exactly.
""",
        r"""
$p_Y(y) = p(x)\,\dfrac{dx}{dy} = p(x)\,x$ with $x = e^y$. Taking logarithms and differentiating,
with $\dfrac{d}{dy} = x\,\dfrac{d}{dx}$,

$$
\nabla_y \ln p_Y = \nabla_y\big(\ln p(e^y) + y\big) = x \circ \nabla_x \ln p(x) + 1 = 1 + h.
$$

Because $\int \nabla_y p_Y\,dy = 0$, the mean of $1 + h$ is zero, and that of $h$ is $-1$.
""",
        (
            Equation(
                r"h_t(x) = x \circ \nabla_x \ln p_t(x)", "dale_demo.score:hyvarinen_from_stein"
            ),
            Equation(
                r"h = \nabla_y \ln p_Y(y) - 1", "dale_demo.score:LogNormalMixtureScore.__call__"
            ),
            Equation(
                r"\nabla_y \ln p_Y = \sum_k r_k\,\frac{a_k + m - y}{b_k^2 + s^2}",
                "dale_demo.score:LogNormalMixtureScore._with_many_spreads",
            ),
        ),
        ("shetty", "hyvarinen2005"),
    ),
    Section(
        "reverse",
        "The reverse process, in two discretisations",
        "One large step back from the same state. Taken as a sum, it can end below zero; taken as "
        "a product with an exponential, it cannot.",
        """
A diffusion run backwards is a diffusion again. It keeps its noise and gets one extra push, along
the score: towards where the process could have come from.

A computer has to take finite steps. Stepping in x (**Euler–Maruyama**) adds a normal number to x,
and a normal number can be as negative as it likes. Stepping in ln x and going back gives a factor
exp(…), which is positive: the **Dale–Langevin** step. For small steps the two agree to first order
on average. For large ones only the second keeps every sign.
""",
        r"""
Anderson: $dX = f\,dt + g\,dW$ run backwards has the drift
$f - \partial_x(g^2) - g^2\,\partial_x \ln p$. With $f = \mu x$ and $g = \sigma x$ the terms are
$\mu x$, $2\sigma^2 x$ and $\sigma^2 x\,h$. One step *down* by $\delta$ subtracts that drift times
$\delta$: the first formula. In $y$ the noise is constant, $\partial_y(\sigma^2) = 0$, and the same
theorem gives

$$
y \leftarrow y - (\mu - \tfrac12\sigma^2)\,\delta + \sigma^2\delta\,(1 + h)
+ \sigma\sqrt\delta\,z,
$$

whose exponential is the second. Write $B\delta = (2\sigma^2 - \mu + \sigma^2 h)\,\delta$. Then the
steps, divided by x, differ by $\tfrac12\sigma^2\delta\,(z^2 - 1)$ and smaller terms: first order in
one draw. Their means are $e^{B\delta}$ and $1 + B\delta$, and differ in second order only.
""",
        (
            Equation(
                r"x \leftarrow x \circ \big(1 + 2\sigma^2\delta - \mu\delta + \sigma^2\delta\,h"
                r" + a\,\sigma\sqrt\delta\,z\big)",
                "dale_demo.samplers:unconstrained",
            ),
            Equation(
                r"x \leftarrow x \circ \exp\big(\sigma^2\delta\,h"
                r" - (\mu - \tfrac32\sigma^2)\,\delta + a\,\sigma\sqrt\delta\,z\big)",
                "dale_demo.samplers:dale_langevin",
            ),
        ),
        ("anderson", "shetty", "song"),
    ),
    Section(
        "lamperti",
        "Why the sign cannot change",
        "Equal steps down in y = ln x divide x by the same factor and never reach zero. Equal "
        "steps in x pass through it.",
        """
The logarithm maps the positive half of the line onto the whole line: zero is infinitely far away.
Any finite step in y, however large or wrong, leads to some positive x. No projection, no clipping,
no small steps are needed. A change of variable that makes the noise constant is called
the **Lamperti transform**; for noise proportional to x it is the logarithm.

It has a price, **Itô's correction**. A fluctuation up by 10 % and one down by 10 % do not cancel:
1.1 × 0.9 = 0.99. So noise pulls the typical path down by σ²/2 per unit of time, while the mean,
dominated by a few large values, still grows with μ.
""",
        r"""
Constant noise asks for $\psi'(x)\,\sigma x = \sigma$, so $\psi = \ln$. Itô's formula keeps the
second-order term, because $(dX)^2 = \sigma^2X^2\,dt$:

$$
d\ln X = \frac{dX}{X} - \frac12\,\frac{(dX)^2}{X^2}
= \big(\mu - \tfrac12\sigma^2\big)\,dt + \sigma\,dW.
$$

With $\mu = \tfrac12\sigma^2$, the paper's choice, the median stays where it is. The numbers below
come from small additive steps $x \leftarrow x + \mu x\delta + \sigma x\sqrt\delta\,z$, which know
nothing of logarithms.
""",
        (
            Equation(
                r"E \ln\frac{X_t}{X_0} = (\mu - \tfrac12\sigma^2)\,t = m(t)",
                "dale_demo.process:GeometricBrownianMotion.log_drift",
            ),
            Equation(
                r"\ln X_t \mid X_0 \sim N\big(\ln X_0 + m(t),\; s(t)^2\big)",
                "dale_demo.process:GeometricBrownianMotion.log_moments",
            ),
        ),
        ("shetty",),
    ),
    Section(
        "tweedie",
        "The score gives the best guess",
        "Each dot is a clean value and what noise made of it. The curve through the middle of the "
        "dots is the best guess of the clean one, and it follows from the score.",
        """
Given a noisy value, the best guess of ln x₀ (in mean square) is its average over everything that
could have been behind it. **Tweedie's formula** says that this average needs no list of
possibilities: take off the drift, and go uphill by s² times the score.

It also works in the other direction. A network that guesses well is a score, and that is how
networks are trained here (next step). Note that D averages *logarithms*: exp(D) is a geometric
mean of the possible x₀, not their arithmetic mean.
""",
        r"""
Differentiate $p_Y(y) = \int p(y_0)\,N(y;\, y_0 + m,\, s^2)\,dy_0$ under the integral:

$$
\nabla_y \ln p_Y(y) = \int p(y_0 \mid y)\,\frac{y_0 + m - y}{s^2}\,dy_0
= \frac{D + m - y}{s^2}.
$$

By step 2 the left side is $1 + h$; solve for $D$. The brute force below draws many $y_0$ from
the data, weighs each by how well it explains the observed $x_t$, and averages.
""",
        (
            Equation(
                r"D = E[\ln X_0 \mid X_t] = y - m + s^2\,(1 + h)",
                "dale_demo.score:denoised_from_hyvarinen",
            ),
            Equation(r"h = \frac{D - y + m}{s^2} - 1", "dale_demo.score:hyvarinen_from_denoised"),
        ),
        ("efron", "shetty"),
    ),
    Section(
        "objectives",
        "How a score is learned",
        "The loss that can be computed lies above the one that is wanted, by the same amount "
        "everywhere. So both are lowest at the same place: the true score.",
        """
The goal is a network close to the true score (**M-ESM**, explicit matching), but the true score is
unknown. Known are pairs of a clean value and its noised version, and for each pair the score of
that noise alone (**M-DSM**, denoising). Averaged over all clean values that could be behind a
noised one, the pairs' scores give the true score. Replacing the average by its terms adds their
scatter to the loss, and the scatter does not depend on the network.

With the paper's weight s⁴, M-DSM is simply the squared error of predicting ln x₀, and the scatter
is the part of ln x₀ that the noise has destroyed.
""",
        r"""
By Tweedie, for any model $s^2(h_\theta - h^*) = D_\theta - \ln x_0$, because $h^*$ is the score
whose estimate is $\ln x_0$ itself. Likewise $s^2(h_\theta - h) = D_\theta - D$. Then

$$
E\|D_\theta - \ln x_0\|^2 = E\|D_\theta - D\|^2 + E\|D - \ln x_0\|^2
+ 2\,E\langle D_\theta - D,\, D - \ln x_0\rangle,
$$

and the last term is zero: given $x_t$, the first factor is fixed and the second has mean zero. The
constant is $E\,\mathrm{Var}[\ln X_0 \mid X_t]$.
""",
        (
            Equation(
                r"\text{M-DSM} = E\|s^2(h_\theta - h^*)\|^2 = E\|D_\theta - \ln x_0\|^2",
                "dale_demo.objectives:m_dsm",
            ),
            Equation(
                r"h^* = -1 - \frac{\ln x_t - \ln x_0 - m}{s^2}",
                "dale_demo.score:conditional_target",
            ),
            Equation(
                r"\text{M-ESM} = E\|s^2(h_\theta - h)\|^2 = \text{M-DSM} - \text{const}",
                "dale_demo.objectives:m_esm",
            ),
        ),
        ("shetty", "vincent"),
    ),
    Section(
        "non_negative",
        "Hyvärinen 2007, the case without noise",
        "Exponential data of unknown rate. Score matching for positive data finds the rate; plain "
        "score matching gives zero, whatever the data are.",
        """
Score matching can fit a model whose density is known only up to a factor. Its trick, integration by
parts, leaves something behind where the data end abruptly: exponential data are densest *at* zero.
In 2007 Hyvärinen gave each term a weight that vanishes there, x². Nothing is left behind, and the
score that is matched becomes x ∘ ∇ln p, which the paper calls the *Hyvärinen score*.

It is explicit matching of this score at t = 0, before any noise. And it is ordinary score matching
of ln x, apart from a constant: the logarithm moves the edge to infinity.

With noise it is explicit matching too: on noised data, Hyvärinen's objective J and M-ESM / 2s⁴
differ by the same number for every model. So at each noise level M-ESM does what J does.
""",
        r"""
With $h_\theta = x\psi$ and $h = x\,\partial_x \ln p$, expand $\tfrac12E(h_\theta - h)^2$. Only the
cross term holds the unknown $p$:

$$
-E[h_\theta h] = -\int x^2\psi\,p'\,dx = \big[-x^2\psi\,p\big]_0^\infty
+ \int (2x\psi + x^2\psi')\,p\,dx,
$$

and the bracket is zero. With $g = 1 + x\psi$, the model's score of $y = \ln x$, the sum under the
expectation is $\tfrac12g^2 + \partial_yg - \tfrac12$ in each coordinate. For $\psi = -\lambda$ and
data of rate $\lambda_0$ the objective is $\lambda^2/\lambda_0^2 - 2\lambda/\lambda_0$, lowest at
$\lambda_0$; on a sample, at $2\sum x / \sum x^2$. Plain score matching has
$\tfrac12\psi^2 + \psi' = \tfrac12\lambda^2$, lowest at 0.

The expansion holds for any positive distribution, also for that of $x_t$. With
$\psi = h_\theta/x$ it gives $J(x_t) = \tfrac12E\|h_\theta - h\|^2 - \tfrac12E\|h\|^2$, and the
first term is $\text{M-ESM}/2s^4$. The constant is $-\tfrac12E\|h\|^2$, whatever the model.
""",
        (
            Equation(
                r"J = E\sum_i\big[2x_i\psi_i + x_i^2\,\partial_i\psi_i + \tfrac12x_i^2\psi_i^2\big]"
                r" = \tfrac12E\|x\circ(\psi - \nabla\ln p)\|^2 + \text{const}",
                "dale_demo.objectives:non_negative_score_matching",
            ),
            Equation(
                r"\hat\lambda = \arg\min_\lambda J(\psi = -\lambda)",
                "dale_demo.theory.measurements:exponential_rate",
            ),
            Equation(
                r"J(x_t) - \frac{\text{M-ESM}}{2s^4} = -\tfrac12E\|h\|^2",
                "dale_demo.theory.measurements:with_noise",
            ),
        ),
        ("hyvarinen2007", "hyvarinen2005", "shetty"),
    ),
    Section(
        "flow",
        "The same distributions without noise",
        "Smooth lines carry the noise distribution back to the data. At every time in between, "
        "their distribution is that of the jagged trajectories with noise.",
        """
Noise spreads many particles apart. So does a drift that moves each of them from where they are
dense to where they are sparse, half as strong as the noise. The distribution is the same in both
cases; the single particle's path is not: under the drift it is smooth and fixed by where it starts.
This is the **probability flow**.

A smooth path can be followed in long steps. Heun's method takes a trial step, evaluates the slope
at its end, and moves by the mean of both slopes: half the step has a quarter of the error. On the
page Sample that is *probability-flow*. The page opens with *multistep-bridge*, which takes steps as
long and still adds noise in each: the noise corrects earlier errors of the network.
""",
        r"""
In $y$ the Fokker–Planck equation is

$$
\partial_tp = -\partial_y\big[(\mu - \tfrac12\sigma^2)\,p\big] + \tfrac12\sigma^2\partial_y^2p.
$$

Since $\partial_yp = p\,\partial_y\ln p = p\,(1 + h)$, this is

$$
\partial_tp
= -\partial_y\Big[\big(\mu - \tfrac12\sigma^2 - \tfrac12\sigma^2(1 + h)\big)\,p\Big],
$$

the continuity equation of the first formula. With $u = y - m$,
$ds/dt = \sigma^2/(2s)$ and Tweedie's $s^2(1 + h) = D - u$ it becomes the second, which the code
follows.
""",
        (
            Equation(
                r"\frac{dy}{dt} = \mu - \tfrac12\sigma^2 - \tfrac12\sigma^2\,(1 + h)"
                r" \quad\Leftrightarrow\quad \frac{du}{ds} = \frac{u - D}{s}",
                "dale_demo.samplers:probability_flow",
            ),
        ),
        ("song", "karras"),
    ),
    Section(
        "mirror",
        "The mirror map that learning and sampling share",
        "The same step, six times. An excitatory weight shrinks towards zero, an inhibitory one "
        "grows; each stays on its branch, because steps are added on the vertical axis.",
        """
**Exponentiated gradient**, the learning rule of the page *Dale's law*, does not add to a weight but
to its mirror image ∇φ(w) = sign(w)(ln|w| + 1). The Dale–Langevin step adds to ln x, the same
mirror image up to a 1. So both multiply, both keep every sign, and random steps that add up there
lead to log-normal distributions.

They **share the mirror map; they are not the same method**. Learning puts the gradient in w into
the dual step; Langevin puts the gradient in ln x, which is x times as large. A gradient therefore
moves a weight in proportion to |w|, and a pixel in proportion to x². And learning descends to a
minimum, while Langevin dynamics with its noise samples from a distribution.
""",
        r"""
$\varphi(w) = \sum|w|\ln|w|$ has $\nabla\varphi(w) = \operatorname{sign}(w)\,(\ln|w| + 1)$. Mirror
descent asks for $\nabla\varphi(w') = \nabla\varphi(w) - \eta d$. As the sign is kept,
$\ln|w'| = \ln|w| - \eta\,\operatorname{sign}(w)\,d$, whose exponential is the first formula. The
Dale–Langevin step without noise is

$$
\nabla\varphi(x') = \nabla\varphi(x) + \delta\,\big(\sigma^2\,(1 + h) - \mu
+ \tfrac12\sigma^2\big).
$$

To first order $\Delta w = -\eta\,|w| \circ d$, but the score's part of $\Delta x$ is
$\sigma^2\delta\; x \circ h = \sigma^2\delta\; x^2 \circ \nabla\ln p$.
""",
        (
            Equation(
                r"w \leftarrow w \circ \exp(-\eta\,\operatorname{sign}(w) \circ d)",
                "dale_demo.plasticity.updates:multiply",
            ),
            Equation(
                r"\Delta\nabla\varphi = \nabla\varphi(w') - \nabla\varphi(w)",
                "dale_demo.plasticity.geometry:dual_change",
            ),
        ),
        ("kivinen", "hsieh", "cornford", "pogodin"),
    ),
)
