"""The picture that stands in for the Playground while it loads."""

from html import escape

from dale_demo.toy import Paths

SHOWN = 300
"""Particles that a picture of the playground has."""


def flocks() -> str:
    """Where the two flocks that the playground opens with come to rest."""
    from dale_demo.toy import SHAPES, ToySettings, walk

    data = next(iter(SHAPES.values()))()
    figures = (
        f"<figure style='flex:1 1 300px;margin:0'>{_flock(walk(data, name, ToySettings()))}"
        f"<figcaption style='text-align:center'>{escape(name)}</figcaption></figure>"
        for name in ("dale-langevin", "unconstrained")
    )
    return f"<div style='display:flex;flex-wrap:wrap;gap:28px'>{''.join(figures)}</div>\n"


def _flock(paths: "Paths") -> str:
    from dale_demo.drawing.palette import INHIBITORY, STATE
    from dale_demo.drawing.svg import Axis, Plot

    across, up = Axis("", -4.5, 6, ticks=(0, 3)), Axis("", -2.25, 3.6, ticks=(0, 3))
    picture = Plot(
        "Particles at the end of their walk; blue where one crossed an axis.", across, up
    )
    picture.line([across.low, across.high], [0, 0], "currentColor", width=1)
    picture.line([0, 0], [up.low, up.high], "currentColor", width=1)
    crossed = paths.crossings[-1] > 0
    for colour, those in ((STATE, ~crossed), (INHIBITORY, crossed)):
        x1, x2 = paths.x[-1, :SHOWN][those[:SHOWN]].T
        picture.dots(x1, x2, colour, radius=1.5)
    return picture.svg()
