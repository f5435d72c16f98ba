"""Publications behind the theory, and the BibTeX entry of the paper."""

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
