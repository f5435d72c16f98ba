"""Publications behind the theory, related work, and the BibTeX entry of the paper."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Citation:
    """A publication.

    Args:
        authors: Family names.
        title: Its title.
        place: Where and when it appeared.
        link: Address of it, a DOI or arXiv.
        short: Authors and year, to cite in a line.
    """

    authors: str
    title: str
    place: str
    link: str
    short: str


@dataclass(frozen=True)
class RelatedWork:
    """A publication that this project does not build on, but is near to.

    Args:
        work: The publication.
        relation: One sentence, in Markdown, that continues the citation: what the work does, and
            what is the same or different here.
    """

    work: Citation
    relation: str


REFERENCES = {
    "shetty": Citation(
        "Shetty, Prasath, Seelamantula",
        "Dale meets Langevin: A Multiplicative Denoising Diffusion Model",
        "arXiv 2510.02730, 2025",
        "https://arxiv.org/abs/2510.02730",
        "Shetty et al. 2025",
    ),
    "anderson": Citation(
        "Anderson",
        "Reverse-time diffusion equation models",
        "Stochastic Processes and their Applications 12, 1982",
        "https://doi.org/10.1016/0304-4149(82)90051-5",
        "Anderson 1982",
    ),
    "hyvarinen2005": Citation(
        "Hyvärinen",
        "Estimation of non-normalized statistical models by score matching",
        "Journal of Machine Learning Research 6, 2005",
        "https://jmlr.org/papers/v6/hyvarinen05a.html",
        "Hyvärinen 2005",
    ),
    "hyvarinen2007": Citation(
        "Hyvärinen",
        "Some extensions of score matching",
        "Computational Statistics & Data Analysis 51, 2007",
        "https://doi.org/10.1016/j.csda.2006.09.003",
        "Hyvärinen 2007",
    ),
    "vincent": Citation(
        "Vincent",
        "A connection between score matching and denoising autoencoders",
        "Neural Computation 23, 2011",
        "https://doi.org/10.1162/NECO_a_00142",
        "Vincent 2011",
    ),
    "efron": Citation(
        "Efron",
        "Tweedie’s formula and selection bias",
        "Journal of the American Statistical Association 106, 2011",
        "https://doi.org/10.1198/jasa.2011.tm11181",
        "Efron 2011",
    ),
    "song": Citation(
        "Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole",
        "Score-based generative modeling through stochastic differential equations",
        "ICLR 2021",
        "https://arxiv.org/abs/2011.13456",
        "Song et al. 2021",
    ),
    "karras": Citation(
        "Karras, Aittala, Aila, Laine",
        "Elucidating the design space of diffusion-based generative models",
        "NeurIPS 2022",
        "https://arxiv.org/abs/2206.00364",
        "Karras et al. 2022",
    ),
    "kivinen": Citation(
        "Kivinen, Warmuth",
        "Exponentiated gradient versus gradient descent for linear predictors",
        "Information and Computation 132, 1997",
        "https://doi.org/10.1006/inco.1996.2612",
        "Kivinen and Warmuth 1997",
    ),
    "hsieh": Citation(
        "Hsieh, Kavis, Rolland, Cevher",
        "Mirrored Langevin dynamics",
        "NeurIPS 2018",
        "https://arxiv.org/abs/1802.10174",
        "Hsieh et al. 2018",
    ),
    "cornford": Citation(
        "Cornford, Pogodin, Ghosh, Sheng, Bicknell, Codol, Clark, Lajoie, Richards",
        "Brain-like learning with exponentiated gradients",
        "bioRxiv, 2024",
        "https://doi.org/10.1101/2024.10.25.620272",
        "Cornford et al. 2024",
    ),
    "pogodin": Citation(
        "Pogodin, Cornford, Ghosh, Gidel, Lajoie, Richards",
        "Synaptic weight distributions depend on the geometry of plasticity",
        "ICLR 2024",
        "https://arxiv.org/abs/2305.19394",
        "Pogodin et al. 2024",
    ),
}

RELATED = (
    RelatedWork(
        Citation(
            "Tang, Touzi, Zhang, Zhou",
            "Tweedie’s formulae and diffusion generative models beyond Gaussian",
            "arXiv 2605.19391, 2026",
            "https://arxiv.org/abs/2605.19391",
            "Tang et al. 2026",
        ),
        "derive Tweedie’s formula and denoising score matching for three processes with "
        "state-dependent noise, and generate images and financial time series with two of them; "
        "one is ours, geometric Brownian motion, for which we take Tweedie’s formula in ln x.",
    ),
    RelatedWork(
        Citation(
            "Kim, Choi, Kim",
            "A diffusion-based generative model for financial time series via geometric Brownian "
            "motion",
            "arXiv 2507.19003, 2025",
            "https://arxiv.org/abs/2507.19003",
            "Kim et al. 2025",
        ),
        "noise prices by the same process, with the drift that leaves none in the log price, as "
        "our default μ = σ²/2 does, so that their model is a variance-exploding diffusion in ln x; "
        "the data are time series where ours are images.",
    ),
    RelatedWork(
        Citation(
            "Vuong, Nguyen",
            "Perception-based multiplicative noise removal using SDEs",
            "arXiv 2408.10283, 2024",
            "https://arxiv.org/abs/2408.10283",
            "Vuong and Nguyen 2024",
        ),
        "describe speckle as geometric Brownian motion and remove it by the reverse process in "
        "ln x, which keeps every sign; the page *Noise and restore* does the same, and generation "
        "from pure noise is the further step here.",
    ),
    RelatedWork(
        Citation(
            "Zhou, Chen, Wang, Zheng",
            "Beta diffusion",
            "NeurIPS 2023",
            "https://arxiv.org/abs/2309.07867",
            "Zhou et al. 2023",
        ),
        "multiply as well, but in transitions that keep beta distributions where ours keep "
        "log-normal ones, so that values have an upper bound too; they learn from bounds on a KL "
        "divergence instead of a score.",
    ),
    RelatedWork(
        Citation(
            "Liu, Chen, Theodorou, Tao",
            "Mirror diffusion models for constrained and watermarked generation",
            "NeurIPS 2023",
            "https://arxiv.org/abs/2310.01236",
            "Liu et al. 2023",
        ),
        "take data on a convex set, a ball or a simplex say, through a mirror map to a space "
        "without constraints and run the diffusion there; with the positive numbers as the set and "
        "the logarithm as the map, that is how we go to ln x.",
    ),
    RelatedWork(
        Citation(
            "Nishida, Kıral, Bannai, Khan, Möllenhoff",
            "Log-normal multiplicative dynamics for stable low-precision training of large "
            "networks",
            "arXiv 2506.17768, 2025",
            "https://arxiv.org/abs/2506.17768",
            "Nishida et al. 2025",
        ),
        "train networks by updates whose noise and regularisation multiply, derived from "
        "log-normal posteriors over the weights; noise that multiplies serves learning there, and "
        "sampling of images here, while on the page *Dale’s law* it can be added to synapses.",
    ),
    RelatedWork(
        Citation(
            "Kappel, Habenschuss, Legenstein, Maass",
            "Network plasticity as Bayesian inference",
            "PLOS Computational Biology 11, 2015",
            "https://doi.org/10.1371/journal.pcbi.1004485",
            "Kappel et al. 2015",
        ),
        "explain the randomness of synapses as sampling of network configurations from a "
        "posterior, in which a prior on the weights meets what was experienced; noise serves to "
        "sample in both, but synapses are sampled there, and images here.",
    ),
    RelatedWork(
        REFERENCES["cornford"],
        "train networks by exponentiated gradient, which keeps Dale’s law and leaves log-normal "
        "weights, and find it better than gradient descent where few inputs matter or synapses are "
        "pruned; the page *Dale’s law* has such tasks, and the mirror map on the page *Theory* "
        "ties learning to sampling.",
    ),
)
ABOUT_RELATED = (
    "Of each work we have read at least the abstract, of Vuong and Nguyen’s the code as well. Not "
    "read by us, and so not described: the journal version of Cornford et al. 2024 (*Neuron*, "
    "2026)."
)
"""How well the related work is known here, in Markdown."""


def related_work() -> str:
    """Format the related work as a Markdown list; the documentation has the same list."""
    return "\n".join(
        f"- **{r.work.authors}** ([{r.work.title}]({r.work.link}), {r.work.place}) {r.relation}"
        for r in RELATED
    )


BIBTEX = """\
@misc{shetty2025dale,
  title         = {Dale meets {Langevin}: A Multiplicative Denoising Diffusion Model},
  author        = {Shetty, Nishanth and Prasath, Madhava and Seelamantula, Chandra Sekhar},
  year          = {2025},
  eprint        = {2510.02730},
  archivePrefix = {arXiv},
  primaryClass  = {cs.LG},
  url           = {https://arxiv.org/abs/2510.02730}
}"""
