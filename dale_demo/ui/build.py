"""Make what the pages have stored: runs, pictures and tables."""

from dale_demo.ui.playground.splash import flocks
from dale_demo.ui.restore.splash import restored
from dale_demo.ui.shared.splash import CURTAINS, UI


def main() -> None:
    """Write both pictures."""
    for name, draw in {"restore": restored, "playground": flocks}.items():
        (UI / CURTAINS[name].picture).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
