"""The picture that stands in for the page Noise and restore while it loads."""


def restored() -> str:
    """The stored restoration, as the page Noise and restore has it."""
    from dale_demo.ui.restore import stored_run as restore_opening
    from dale_demo.ui.restore.gallery import markup
    from dale_demo.ui.restore.page import example, views

    return markup(views(example(), restore_opening.stored()[0]))
