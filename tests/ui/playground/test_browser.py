"""The page Playground in a real browser: playing, counting, exact densities, painting."""

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect

from dale_demo.process import GeometricBrownianMotion
from dale_demo.score import LogNormalMixtureScore
from dale_demo.toy import SHAPES, SIDE
from dale_demo.ui.playground.player import ARROWS, LINEAR_WINDOW, cell_middles
from dale_demo.ui.playground.settings import PAINTED, decode
from dale_demo.ui.shared.assets import asset

pytestmark = pytest.mark.browser

PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)
QUICK = "play-steps=6"
COLOURED = """(canvas, rgb) => {
    const {width, height} = canvas;
    const all = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    const places = [];
    for (let i = 0; i < all.length; i += 4)
        if (rgb.every((v, c) => Math.abs(all[i + c] - v) < 24) && all[i + 3] > 150)
            places.push([(i / 4 % width) / width, 1 - Math.floor(i / 4 / width) / height]);
    return places;
}"""
PINK, BLUE = [204, 121, 167], [46, 134, 255]


@pytest.fixture(scope="session")
def address(app_address) -> str:
    """Address of the page."""
    return f"{app_address}/playground"


def visit(page: Page, address: str, query: str = QUICK, motion: str = "reduce") -> Page:
    """Open the page and wait for the end of the run, which plays where motion may."""
    page.emulate_media(reduced_motion=motion)
    page.goto(f"{address}?{query}")
    expect(page.get_by_test_id("particles-right")).to_be_visible()
    expect(player(page)).to_have_attribute("data-playing", "false")
    return page


@pytest.fixture(scope="module")
def opened(address, module_page: Page, sent_messages) -> Page:
    """The page after a run of a few steps."""
    return visit(module_page, address)


def player(page: Page) -> Locator:
    return page.locator("section.player:not(.point-canvas)")


def count(page: Page, what: str, side: str) -> int:
    text = page.get_by_test_id(f"{what}-{side}").locator("b").inner_text()
    return int(text.replace(",", ""))


def places(page: Page, side: str, rgb: list[int]) -> np.ndarray:
    """Where a canvas has a colour, from 0 to 1 along both sides [N, 2]."""
    found = page.get_by_test_id(f"particles-{side}").evaluate(COLOURED, rgb)
    return np.array(found).reshape(-1, 2)


def toggle(page: Page, name: str) -> None:
    player(page).get_by_role("button", name=name, exact=True).click()


def test_plays_particles_that_cross_and_particles_that_do_not(address, page):
    visit(page, address, motion="no-preference")
    assert count(page, "crossed", "left") == count(page, "beyond", "left") == 0
    assert count(page, "crossed", "right") > 300
    toggle(page, "Data points")
    low, high = LINEAR_WINDOW
    zero = -low / (high - low)
    assert len(places(page, "left", BLUE)) == 0
    assert (places(page, "left", PINK) > zero).all()
    blue = places(page, "right", BLUE)
    assert (blue < zero).any(1).mean() > 0.5, "blue and beyond an axis"
    assert len(places(page, "right", PINK)) > 100
    table = page.get_by_role("table").first
    expect(table).to_contain_text(f"{count(page, 'crossed', 'right')}")


def test_scrubbing_counts_crossings_and_asks_no_server(opened, sent_messages):
    page = opened
    end, messages = count(page, "crossed", "right"), len(sent_messages)
    assert messages, "the page talks to its server by this socket"
    player(page).focus()
    page.keyboard.press("Home")
    counted = [count(page, "crossed", "right")]
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        counted.append(count(page, "crossed", "right"))
    assert counted[0] == 0
    assert counted == sorted(counted)
    assert counted[-1] == end
    expect(player(page)).to_have_attribute("data-frame", "102")
    expect(player(page).locator(".readout")).to_contain_text("Step 6 of 6 · t = 0 ")
    page.wait_for_timeout(500)
    assert len(sent_messages) == messages


def test_particles_are_interpolated_between_two_steps(opened):
    page = opened
    player(page).focus()
    page.keyboard.press("Home")
    page.get_by_test_id("player-scrubber").focus()
    start = places(page, "left", PINK).tolist()
    page.get_by_test_id("player-scrubber").fill("8")
    expect(player(page).locator(".readout")).to_contain_text("Step 0 of 6")
    between = places(page, "left", PINK).tolist()
    page.get_by_test_id("player-scrubber").fill("17")
    expect(player(page).locator(".readout")).to_contain_text("Step 1 of 6")
    assert start != between != places(page, "left", PINK).tolist()


def test_layers_and_axes_are_switched_without_moving_the_film(opened):
    page = opened
    frame = player(page).get_attribute("data-frame")
    for name in ("Log axes", "Data points", "Contours of the density"):
        before = page.get_by_test_id("particles-left").evaluate("c => c.toDataURL()")
        toggle(page, name)
        assert page.get_by_test_id("particles-left").evaluate("c => c.toDataURL()") != before, name
    expect(player(page).locator(".beyond")).to_have_count(0)
    toggle(page, "Hyvärinen score field")
    hyvarinen = page.get_by_test_id("particles-left").evaluate("c => c.toDataURL()")
    toggle(page, "Stein score field")
    assert page.get_by_test_id("particles-left").evaluate("c => c.toDataURL()") != hyvarinen
    pressed = player(page).locator("button[aria-pressed=true]")
    expect(pressed).to_have_text(["log axes", "Stein score"])
    assert player(page).get_attribute("data-frame") == frame


def test_log_axes_do_not_show_particles_that_have_crossed(address, page):
    visit(page, address, "play-steps=3&play-noise=3")
    toggle(page, "Log axes")
    lit = count(page, "crossed", "right")
    assert lit > count(page, "beyond", "right") > 0
    log_blue = len(places(page, "right", BLUE))
    toggle(page, "Log axes")
    assert len(places(page, "right", BLUE)) > log_blue


def test_a_change_of_settings_plays_anew_and_keeps_the_layers(address, page):
    visit(page, address)
    toggle(page, "Log axes")
    steps = page.get_by_test_id("stSidebar").get_by_role("slider", name="Steps")
    steps.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("location.search.includes('play-steps=8')")
    expect(player(page).locator(".readout")).to_contain_text("Step 8 of 8")
    expect(player(page).locator("button[aria-pressed=true]").first).to_have_text("log axes")


def test_painting_by_mouse_becomes_the_data_and_the_address(address, page):
    visit(page, address, f"{QUICK}&play-data={PAINTED}")
    canvas = page.get_by_test_id("point-canvas")
    page.get_by_role("button", name="Clear").click()
    expect(canvas.locator("circle")).to_have_count(0)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=30)
    page.mouse.up()
    page.wait_for_function("location.search.includes('play-points=')")
    code = page.evaluate("new URLSearchParams(location.search).get('play-points')")
    points = decode(code)
    assert 5 < len(points) < 15
    np.testing.assert_allclose(points[:, 1], SIDE / 2, atol=0.03)
    assert points[0, 0] == pytest.approx(SIDE / 4, abs=0.03)
    assert points[-1, 0] == pytest.approx(SIDE / 2, abs=0.12)
    expect(page.get_by_test_id("point-canvas-count")).to_contain_text(f"{len(points)} of at most")
    page.get_by_role("button", name="Undo").click()
    expect(canvas.locator("circle")).to_have_count(0)


def test_painting_by_touch(address, browser: Browser):
    context = browser.new_context(viewport={"width": 400, "height": 850}, has_touch=True)
    page = visit(context.new_page(), address, f"{QUICK}&play-data={PAINTED}")
    page.get_by_role("button", name="Clear").tap()
    page.get_by_test_id("point-canvas").tap(position={"x": 80, "y": 80})
    page.wait_for_function("location.search.includes('play-points=')")
    code = page.evaluate("new URLSearchParams(location.search).get('play-points')")
    assert len(decode(code)) == 1
    context.close()


# What density.js computes, against the library


@pytest.fixture
def script(page: Page) -> Page:
    """A blank page with density.js."""
    page.goto("about:blank")
    page.add_script_tag(content=asset("playground/density.js"))
    return page


@pytest.mark.parametrize("t", [0.0, 0.01, 0.3, 1.0])
def test_the_drawn_density_and_score_are_the_exact_ones(script, t):
    data, sigma = SHAPES["moons"](), 1.5
    exact = LogNormalMixtureScore(
        GeometricBrownianMotion.median_preserving(sigma),
        data.log_means,
        torch.tensor(data.log_std),
    )
    ys = torch.linspace(-2, 2, 9, dtype=torch.float64)
    x = torch.stack(torch.meshgrid(ys, ys, indexing="xy"), 2).reshape(-1, 2).exp()
    times = torch.full((len(x),), t, dtype=torch.float64)
    given = [ys.tolist(), data.log_means.flatten().tolist(), data.log_std**2 + sigma**2 * t]
    density = script.evaluate("given => Array.from(densityOn(...given))", given)
    expected = exact.log_density(x, times).exp() * x.prod(1)
    np.testing.assert_allclose(density, expected, rtol=1e-6, atol=1e-9)
    field = script.evaluate(
        "([points, means, v]) => points.map(([a, b]) => hyvarinenAt(a, b, means, v))",
        [x.log().tolist(), *given[1:]],
    )
    np.testing.assert_allclose(field, exact(x, times), rtol=1e-6, atol=1e-6)


def test_contours_of_a_normal_density_are_circles_that_contain_their_share(script):
    variance, size, reach = 0.25, 120, 2.5
    width = 2 * reach / size
    ys = [-reach + (i + 0.5) * width for i in range(size)]
    shares = [0.5, 0.8, 0.95]
    levels, circles = script.evaluate(
        """([ys, v, cell, shares]) => {
            const density = densityOn(ys, [0, 0], v);
            const levels = levelsOf(density, cell, shares);
            return [levels, levels.map((level) => contour(density, ys.length, level))];
        }""",
        [ys, variance, width**2, shares],
    )
    peak = 1 / (2 * np.pi * variance)
    np.testing.assert_allclose(levels, [peak * (1 - share) for share in shares], rtol=0.03)
    for share, segments in zip(shares, circles, strict=True):
        ends = np.array(segments).reshape(-1, 2) * width + ys[0]
        radius = np.sqrt(-2 * variance * np.log(1 - share))
        np.testing.assert_allclose(np.hypot(*ends.T), radius, rtol=0.03)
        lengths = np.hypot(*(ends[::2] - ends[1::2]).T)
        assert lengths.sum() == pytest.approx(2 * np.pi * radius, rel=0.03), "closed, drawn once"


def test_a_share_that_leaves_the_grid_has_no_contour(script):
    levels = script.evaluate("levelsOf(Float64Array.of(0.3, 0.3), 1, [0.5, 0.95])")
    assert levels == [0.3, None]


def test_the_forward_direction_plays_from_data_to_noise(address, page):
    visit(page, address, f"{QUICK}&play-direction=data+to+noise")
    expect(player(page).locator(".readout")).to_contain_text("Step 6 of 6 · t = 1 ")
    crossed = count(page, "crossed", "right")
    assert crossed > 100
    assert count(page, "crossed", "left") == 0
    player(page).focus()
    page.keyboard.press("Home")
    expect(player(page).locator(".readout")).to_contain_text("Step 0 of 6 · t = 0 ")
    assert count(page, "beyond", "right") == 0
    start = places(page, "left", PINK)
    page.keyboard.press("End")
    assert np.ptp(start, axis=0).max() < np.ptp(places(page, "left", PINK), axis=0).max()


def test_a_learned_score_is_drawn_where_it_was_evaluated(script):
    """The cells of player.js are those of player.py, and frames between two are interpolated."""
    module = asset("shared/film.js", "playground/player.js")
    script.add_script_tag(content=module.replace("export default", "const mount ="))
    cells = script.evaluate(
        """([count, linear, log]) => [new Plane(linear, false, 300), new Plane(log, true, 300)]
            .map((plane) => plane.cells(count).middles)""",
        [ARROWS, LINEAR_WINDOW, [-2, 3]],
    )
    np.testing.assert_allclose(cells[0], cell_middles(0, LINEAR_WINDOW[1]))
    np.testing.assert_allclose(cells[1], cell_middles(-2, 3))
    size, frames = 2 * ARROWS**2, 3
    found = script.evaluate(
        """([field, arrows, frames]) => {
            const header = { arrows, times: Array(frames) };
            const { learned } = Particles.prototype;
            const at = (log, part) =>
                learned.call({ field, header, now: { k: 1, part } }, { log })(0, 0, 5);
            return [at(false, 0), at(false, 0.25), at(true, 0.25)];
        }""",
        [list(range(2 * frames * size)), ARROWS, frames],
    )
    first = size + 10
    second, third = first + 0.25 * size, first + 0.25 * size + frames * size
    assert found == [[at, at + 1] for at in (first, second, third)]
