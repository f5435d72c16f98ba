"""Splash of the Playground: the end of its first runs as static plots, shown while it loads."""

from html import escape
from pathlib import Path

from dale_demo.toy import Paths
from dale_demo.ui.shared.stored import StoredItem

FILE = Path(__file__).parent / "stored" / "splash.html"
SHOWN = 300
"""Particles in each plot."""


def draw_particles() -> str:
    """Draw, as HTML, the particles at the end of the two runs that the page opens with."""
    from dale_demo.toy import SHAPES, ToySettings, simulate

    data = next(iter(SHAPES.values()))()
    figures = (
        f"<figure style='flex:1 1 300px;margin:0'>{_plot(simulate(data, name, ToySettings()))}"
        f"<figcaption style='text-align:center'>{escape(name)}</figcaption></figure>"
        for name in ("dale-langevin", "unconstrained")
    )
    return f"<div style='display:flex;flex-wrap:wrap;gap:28px'>{''.join(figures)}</div>\n"


def _plot(paths: "Paths") -> str:
    from dale_demo.drawing.palette import INHIBITORY, STATE
    from dale_demo.drawing.svg import Axis, Plot

    across, up = Axis("", -4.5, 6, ticks=(0, 3)), Axis("", -2.25, 3.6, ticks=(0, 3))
    plot = Plot("Particles at the end of a run; blue if one crossed an axis.", across, up)
    plot.line([across.low, across.high], [0, 0], "currentColor", width=1)
    plot.line([0, 0], [up.low, up.high], "currentColor", width=1)
    crossed = paths.crossings[-1] > 0
    for colour, those in ((STATE, ~crossed), (INHIBITORY, crossed)):
        x1, x2 = paths.x[-1, :SHOWN][those[:SHOWN]].T
        plot.dots(x1, x2, colour, radius=1.5)
    return plot.svg()


def items() -> list[StoredItem]:
    """The splash, which depends on the default settings and on code; raise its version by hand."""
    from dale_demo.toy import ToySettings

    return [
        StoredItem("playground/splash", (FILE,), lambda: {"settings": repr(ToySettings())}, _make)
    ]


def _make() -> None:
    FILE.write_text(draw_particles(), encoding="utf-8")
