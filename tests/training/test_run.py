"""Training: the loss falls, runs resume exactly, survive interruption, and split over processes."""

import dataclasses
import json
import math
import signal

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.checkpoint.weights import read_tensors
from dale_demo.data import Dataset
from dale_demo.network import MAX_NOISE_LEVEL
from dale_demo.paper import PROCESS
from dale_demo.process import LogNormal
from dale_demo.training import objective
from dale_demo.training import run as training
from dale_demo.training.averages import ema_update
from dale_demo.training.batches import global_batch
from dale_demo.training.config import TrainingConfig
from dale_demo.training.continuation import check_data, continued
from dale_demo.training.run import train
from dale_demo.training.state import STATE_FILE

CONFIG = TrainingConfig(
    images=16 * 10, batch_size=16, warmup=32, ema=0.9, width=16, multipliers=(1, 2), seed=4
)


STILL = 1e-9
"""A learning rate at which nothing moves."""


def run(data, out, config=CONFIG, reports=None, report_every=1, **options):
    """Train on the CPU for `reports` reports, then close; losses as reported."""
    losses = []
    progress = train(data, out, config, report_every=report_every, cpu=True, **options)
    for report in progress:
        losses.append(report.loss)
        if len(losses) == reports:
            progress.close()
    return losses


def weights(folder):
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A folder for networks that several tests learn from."""
    return tmp_path_factory.mktemp("networks")


def trained(folder, halves, steps, multipliers=(1,)):
    """A network after `steps` steps, trained only once."""
    if not folder.exists():
        images, rate = CONFIG.batch_size * steps, 1e-2
        config = dataclasses.replace(CONFIG, images=images, learning_rate=rate)
        run(halves, folder, dataclasses.replace(config, multipliers=multipliers))
    return load_checkpoint(folder)


def test_a_short_run_lowers_the_loss(halves, tmp_path):
    small = dataclasses.replace(CONFIG, multipliers=(1,), batch_size=32)
    config = dataclasses.replace(small, images=32 * 40, learning_rate=1e-2)
    losses = run(halves, tmp_path / "net", config, report_every=10)
    assert losses[-1] < 0.75 * losses[0]
    still = dataclasses.replace(config, images=32 * 20, learning_rate=STILL)
    losses = run(halves, tmp_path / "still", still, report_every=10)
    assert losses[-1] > 0.9 * losses[0]

    loaded = load_checkpoint(tmp_path / "net")
    assert loaded.config.class_names == ("left", "right")
    assert loaded.config.data_distribution == halves.fit_log_normal()
    assert loaded.config.training["images"] == 32 * 40
    assert [point[0] for point in loaded.config.training["loss_curve"]][-1] == 32 * 40
    assert torch.equal(loaded.model.class_averages, halves.class_averages())
    means, stds = halves.log_moments()
    assert torch.equal(loaded.model.log_means, means)
    assert torch.equal(loaded.model.log_stds, stds)
    start = LogNormal.terminal(loaded.config.process, halves.fit_log_normal())
    assert loaded.config.start == start
    assert not (tmp_path / "net" / STATE_FILE).exists()


def test_the_papers_recipe_minimises_the_error_of_the_estimate(halves, tmp_path):
    """Its first loss is ‖D − ln x₀‖² of the untrained network, whose D is known in closed form."""
    config = dataclasses.replace(CONFIG, recipe="paper", images=32, label_dropout=1.0)
    loss = run(halves, tmp_path / "net", config, record={"command": "train"})[0]
    x0, _, t, z = global_batch(halves, config, 0)
    s, data = PROCESS.noise_level(t).reshape(-1, 1, 1, 1), halves.fit_log_normal()
    # Its last convolution starts at zero, so that D is the posterior mean of normal ln x₀.
    share = s**2 / (s**2 + data.log_std**2)
    d = share * data.log_mean + (1 - share) * (x0.log() + s * z)
    assert loss == pytest.approx((d - x0.log()).square().mean().item(), rel=1e-4)

    made = load_checkpoint(tmp_path / "net").config
    assert made.max_noise_level == PROCESS.max_noise_level == 0.8
    assert "mean squared error of ln x₀" in (tmp_path / "net" / "README.md").read_text()
    edm = run(halves, tmp_path / "edm", dataclasses.replace(config, recipe="edm"))[0]
    assert edm != pytest.approx(loss, rel=0.1)
    assert load_checkpoint(tmp_path / "edm").config.max_noise_level == MAX_NOISE_LEVEL


@pytest.mark.parametrize("rule", ["adam", "eg"])
def test_resumed_equals_uninterrupted_bit_for_bit(rule, halves, tmp_path):
    """Raw weights, average and the moments after 6 steps; then the checkpoint at the end."""
    config = dataclasses.replace(CONFIG, rule=rule)
    run(halves, tmp_path / "one", config, reports=6)
    run(halves, tmp_path / "two", config, reports=2)
    run(halves, tmp_path / "two", config, reports=2, report_every=2)
    one, two = (read_tensors(tmp_path / name / STATE_FILE) for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert any(
        not torch.equal(one[f"ema.{k}"], one[f"model.{k}"]) for k in weights(tmp_path / "one")
    )
    for key in one:
        assert torch.equal(one[key], two[key]), key

    run(halves, tmp_path / "whole", config)
    run(halves, tmp_path / "two", config)
    run(halves, tmp_path / "other", dataclasses.replace(config, seed=5))
    paths = [tmp_path / name / "model.safetensors" for name in ("whole", "two", "other")]
    whole, resumed, other = (path.read_bytes() for path in paths)
    assert resumed == whole
    assert other != whole


def test_a_run_can_start_from_trained_weights(halves, tmp_path, networks):
    """Of other data even, whose distribution and averages it does not take over."""
    first = trained(networks / "teacher", halves, 60)
    still = dataclasses.replace(CONFIG, multipliers=(1,), learning_rate=STILL)
    fresh = run(halves, tmp_path / "fresh", still)
    warm = run(halves, tmp_path / "warm", still, initial=first)
    assert sum(warm) < 0.9 * sum(fresh)
    config = load_checkpoint(tmp_path / "warm").config
    record = config.training
    assert record["images"] == 160
    assert record["before"] == first.config.training
    assert config.runs == [first.config.training, record]
    assert first.config.runs == [first.config.training]

    other = dataclasses.replace(halves, images=255 - halves.images)
    run(other, tmp_path / "other", still, initial=first)
    moved = load_checkpoint(tmp_path / "other")
    assert (
        moved.config.data_distribution == other.fit_log_normal() != first.config.data_distribution
    )
    assert torch.equal(moved.model.class_averages, other.class_averages())
    for name, parameter in moved.model.named_parameters():
        assert_close(parameter, first.model.get_parameter(name), rtol=0, atol=1e-6)


def test_a_run_in_the_folder_that_it_starts_from_resumes_exactly(halves, tmp_path):
    for name in ("one", "two"):
        run(halves, tmp_path / name)
    first = load_checkpoint(tmp_path / "one")
    again = dataclasses.replace(CONFIG, images=16 * 6)
    run(halves, tmp_path / "one", again, initial=first, overwrite=True)
    run(halves, tmp_path / "two", again, reports=2, initial=first, overwrite=True)
    unfinished = load_checkpoint(tmp_path / "two")
    run(halves, tmp_path / "two", again, initial=unfinished)
    assert_close(weights(tmp_path / "two"), weights(tmp_path / "one"), rtol=0, atol=0)
    assert load_checkpoint(tmp_path / "two").config.training["before"] == first.config.training


@pytest.fixture
def teaching(halves, networks):
    """Options of a run that learns from a network of 60 steps, guided away from one of 20."""
    teacher = trained(networks / "teacher", halves, 60)
    early = dataclasses.replace(teacher.config, min_noise_level=0.02)
    config = dataclasses.replace(
        CONFIG, multipliers=(1,), images=16 * 40, guidance=2.0, learning_rate=1e-3
    )
    return {
        "config": config,
        "initial": teacher,
        "teacher": dataclasses.replace(teacher, config=early),
        "weaker": trained(networks / "weaker", halves, 20),
    }


def test_a_network_learns_its_teachers_scores(halves, tmp_path, teaching):
    """Its loss falls below that of one which stays; without guidance there is nothing to learn."""
    config = teaching["config"]
    still = dataclasses.replace(config, learning_rate=STILL)
    near = dataclasses.replace(still, guidance=1.01)
    losses, unmoved, hardly_guided = (
        run(halves, tmp_path / name, **teaching | {"config": config}, report_every=4)
        for name, config in (("student", config), ("still", still), ("near", near))
    )
    assert sum(losses[5:]) < 0.6 * sum(unmoved[5:]), "the second half of the reports"
    assert sum(hardly_guided) < 1e-3 * sum(unmoved)

    student = load_checkpoint(tmp_path / "student").config
    assert student.runs == [teaching["initial"].config.training, student.training]
    assert student.training["settings"]["guidance"] == 2
    assert student.min_noise_level == 0.02, "as far down as its teacher's"


def test_a_student_may_be_smaller_than_its_teacher(halves, tmp_path, networks):
    teacher = trained(networks / "large teacher", halves, 24, CONFIG.multipliers)
    weaker = trained(networks / "large weaker", halves, 8, CONFIG.multipliers)
    small = dataclasses.replace(CONFIG, multipliers=(1,), images=16 * 90, learning_rate=2e-2)
    small = dataclasses.replace(small, guidance=2.0)
    losses = run(halves, tmp_path, small, teacher=teacher, weaker=weaker, report_every=5)
    assert sum(losses[-5:]) / 5 < 0.3 * losses[0]
    student = load_checkpoint(tmp_path)
    assert student.config.runs == [student.config.training], "it owes its weights to no other run"
    sizes = [sum(p.numel() for p in network.model.parameters()) for network in (student, teacher)]
    assert sizes[0] < sizes[1]


def test_a_run_with_a_teacher_resumes_exactly_under_the_same_teacher_alone(
    halves, tmp_path, teaching
):
    teaching["config"] = dataclasses.replace(teaching["config"], images=16 * 6)
    run(halves, tmp_path / "one", **teaching)
    run(halves, tmp_path / "two", **teaching, reports=2)
    other = teaching | {"weaker": teaching["teacher"], "teacher": teaching["weaker"]}
    with pytest.raises(CheckpointError, match="another teacher"):
        run(halves, tmp_path / "two", **other)
    run(halves, tmp_path / "two", **teaching)
    assert_close(weights(tmp_path / "two"), weights(tmp_path / "one"), rtol=0, atol=0)


@pytest.mark.parametrize("missing", ["config", "teacher", "weaker"])
def test_a_teacher_that_lacks_a_part_is_refused(missing, halves, tmp_path, teaching):
    neutral = {"config": CONFIG, "teacher": None, "weaker": None}
    with pytest.raises(ValueError, match="give all three or none"):
        run(halves, tmp_path / "student", **teaching | {missing: neutral[missing]})


def test_guidance_is_not_limited_unless_asked():
    """The default is written out, so that the command line can show it without torch."""
    assert TrainingConfig().guidance_below == MAX_NOISE_LEVEL


@pytest.mark.parametrize("change", [{"multipliers": (1,)}, {"width": 16}, {"width": 48}])
def test_weights_of_another_shape_are_refused(change, halves, tmp_path, networks):
    wide = dataclasses.replace(CONFIG, width=32, multipliers=(1, 2), images=16)
    if not (networks / "wide").exists():
        run(halves, networks / "wide", wide)
    other = dataclasses.replace(wide, **change)
    with pytest.raises(ValueError, match="another shape"):
        run(halves, tmp_path / "other", other, initial=load_checkpoint(networks / "wide"))


@pytest.mark.parametrize("change", [{"seed": 5}, {"images": 320}, {"learning_rate": 1e-3}])
def test_a_run_with_other_settings_is_refused(change, halves, tmp_path):
    run(halves, tmp_path, reports=1)
    before = (tmp_path / STATE_FILE).read_bytes()
    with pytest.raises(CheckpointError, match="other settings or data"):
        run(halves, tmp_path, dataclasses.replace(CONFIG, **change))
    assert (tmp_path / STATE_FILE).read_bytes() == before


def test_a_run_on_other_data_is_refused(halves, tmp_path):
    run(halves, tmp_path, reports=1)
    other = dataclasses.replace(halves, images=255 - halves.images)
    with pytest.raises(CheckpointError, match="other settings or data"):
        run(other, tmp_path)


def test_a_damaged_state_is_refused(halves, tmp_path):
    run(halves, tmp_path, reports=1)
    state = tmp_path / STATE_FILE
    whole = state.read_bytes()
    state.write_bytes(whole.replace(b'"exp_avg.0"', b'"exp_avg.x"', 1))
    with pytest.raises(CheckpointError, match="is damaged"):
        run(halves, tmp_path)
    state.write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        run(halves, tmp_path)
    assert len(run(halves, tmp_path, overwrite=True)) == 10, "from the first step"


@pytest.fixture(scope="module")
def one_step(tmp_path_factory):
    """The state of a run after its first step: tensors and the JSON in its header."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (96, 1, 8, 8), generator=generator).to(torch.uint8)
    data = Dataset("halves", images, torch.arange(96) % 2, ("left", "right"))
    folder = tmp_path_factory.mktemp("one step")
    run(data, folder, reports=1)
    with safe_open(folder / STATE_FILE, "pt") as file:
        return data, folder, load_file(folder / STATE_FILE), file.metadata()["state"]


WRONG_HEADERS = {
    "no JSON": "{",
    "deep": "[" * 100_000,
    "a list": "[]",
    **{
        f"{key} {value!r}": {key: value}
        for key, value in (
            *(("step", bad) for bad in (-1, 0, 1.5, "1", True, None, 10**30)),
            *(("seconds", bad) for bad in (-1, "1", None, math.nan, math.inf, [])),
            *(("curve", bad) for bad in (1, "ab", [1], [[1]], [[1, "a"]], [["a", 1]])),
            *(("curve", bad) for bad in ([[0, 1]], [[1, math.nan]], [[1, None]], {"a": 1})),
            *(("before", bad) for bad in (None, 1, [], "a")),
        )
    },
    **{f"no {key}": {key: ...} for key in ("step", "seconds", "curve", "before")},
}


@pytest.mark.parametrize("change", WRONG_HEADERS.values(), ids=WRONG_HEADERS.keys())
def test_a_state_with_a_wrong_header_is_refused(change, one_step):
    data, folder, tensors, header = one_step
    if not isinstance(change, str):
        fields = {k: v for k, v in (json.loads(header) | change).items() if v is not ...}
        change = json.dumps(fields)
    save_file(tensors, folder / STATE_FILE, {"state": change})
    with pytest.raises(CheckpointError, match="is damaged; start afresh by --overwrite") as refusal:
        run(data, folder)
    assert len(str(refusal.value)) <= 300


def test_a_state_with_its_own_header_is_continued(one_step):
    """The negative control of the damages above."""
    data, folder, tensors, header = one_step
    save_file(tensors, folder / STATE_FILE, {"state": header})
    assert len(run(data, folder, reports=2)) == 2


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_finished_network_is_replaced_only_where_it_is_said(overwrite, halves, tmp_path):
    run(halves, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = dataclasses.replace(CONFIG, seed=5)
    if overwrite:
        assert len(run(halves, tmp_path, other, reports=2, overwrite=True)) == 2
        assert load_checkpoint(tmp_path).config.training["settings"]["seed"] == 5
        assert len(run(halves, tmp_path, other, overwrite=True)) == 8, "itself, it is continued"
        return
    for config in (CONFIG, other):
        with pytest.raises(CheckpointError, match=r"--continue-to.*--overwrite.*another --out"):
            run(halves, tmp_path, config)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_finished_network_is_gone_on_with(halves, tmp_path):
    """From its averaged weights, under a rate that rises anew; exactly, even if interrupted."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        run(halves, folder)
        first = load_checkpoint(folder).config.training
        for reports in (2, None) if folder == broken else (None,):
            network, config = continued(folder, 16 * 16, {"learning_rate": 1e-3})
            run(halves, folder, config, reports=reports, initial=network, further=True)
    assert config == dataclasses.replace(CONFIG, images=16 * 6, learning_rate=1e-3, seed=5)
    assert config.schedule(0) == 0.5, "half of the peak, after one of two batches of warm-up"
    assert_close(weights(whole), weights(broken), rtol=0, atol=0)
    config = load_checkpoint(broken).config
    assert config.training["before"] == first
    assert [record["images"] for record in config.runs] == [160, 96]
    for seen in (1, 256):
        with pytest.raises(ValueError, match="has seen 256 images; --continue-to needs more"):
            continued(broken, seen, {})
    assert continued(broken, 257, {})[1].images == 1


def test_what_cannot_be_gone_on_with_is_refused(halves, tmp_path):
    with pytest.raises(ValueError, match="holds no network to continue"):
        continued(tmp_path / "none", 1000, {})
    run(halves, tmp_path / "net", reports=1)
    with pytest.raises(ValueError, match="is not finished; finish it by its own command"):
        continued(tmp_path / "net", 1000, {})
    run(halves, tmp_path / "net")
    network, _ = continued(tmp_path / "net", 1000, {})
    check_data(network, halves)
    with pytest.raises(ValueError, match="trained on other images"):
        check_data(network, dataclasses.replace(halves, images=255 - halves.images))
    path = tmp_path / "net" / "config.json"
    config = json.loads(path.read_text())
    for images in ("many", None, -1, True):
        path.write_text(json.dumps(config | {"training": {"images": images}}))
        with pytest.raises(ValueError, match="no record of how many images"):
            continued(tmp_path / "net", 1000, {})
    for settings in ({"seed": "a"}, {"batch_size": "a"}, {"ema": None}, {"warmup": [1]}):
        path.write_text(json.dumps(config | {"training": {"images": 1, "settings": settings}}))
        with pytest.raises(ValueError, match=r"damaged|must be"):
            continued(tmp_path / "net", 1000, {})


def test_a_network_that_could_not_be_saved_is_refused_before_the_first_step(halves, tmp_path):
    huge = dataclasses.replace(CONFIG, width=1024, multipliers=(1, 2, 4), patch=1)
    with pytest.raises(CheckpointError, match=r"bytes, more than the 67,108,864 of a checkpoint"):
        train(halves, tmp_path / "huge", huge, cpu=True)
    for change in ({"class_names": ("left", "r\udce9")}, {"name": "folder:r\udce9"}):
        with pytest.raises(ValueError, match="valid Unicode"):
            train(dataclasses.replace(halves, **change), tmp_path / "odd", CONFIG, cpu=True)
    long = dataclasses.replace(halves, class_names=("left", "r" * 2**20))
    with pytest.raises(ValueError, match=r"bytes; at most|class_names|characters"):
        train(long, tmp_path / "long", CONFIG, cpu=True)
    assert not list(tmp_path.iterdir())


def test_a_long_runs_curve_stays_short(halves, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CURVE_POINTS", 6)
    losses = run(halves, tmp_path)
    curve = load_checkpoint(tmp_path).config.training["loss_curve"]
    assert len(curve) <= 6
    assert curve[-1][0] == 160
    assert len(losses) == 10


@pytest.mark.parametrize(("seconds", "saved"), [(0, True), (60, False)])
def test_a_run_is_saved_on_the_way(seconds, saved, halves, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_SECONDS", seconds)
    progress = train(halves, tmp_path, CONFIG, report_every=1, cpu=True)
    next(progress)
    next(progress)
    assert (tmp_path / STATE_FILE).exists() == saved
    progress.close()
    assert (tmp_path / STATE_FILE).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_inside_a_step_loses_nothing(number, halves, tmp_path, monkeypatch):
    """Ctrl-C or SIGTERM between the update and the average of step 4, in the middle of a report."""
    update = training.AveragedModel.update_parameters
    before = signal.signal(number, signal.default_int_handler)  # Ctrl-C: ignored in the background

    def interrupted(self, model):
        if self.n_averaged == 4:
            signal.raise_signal(number)
        update(self, model)

    with monkeypatch.context() as patch:
        patch.setattr(training.AveragedModel, "update_parameters", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(halves, tmp_path / "net", report_every=10)
    signal.signal(number, before)
    assert load_checkpoint(tmp_path / "net").config.training["images"] == 5 * 16
    run(halves, tmp_path / "net")
    run(halves, tmp_path / "whole")
    assert_close(weights(tmp_path / "net"), weights(tmp_path / "whole"), rtol=0, atol=0)


@pytest.mark.parametrize("broken", ["loss", "weights"])
def test_divergence_is_reported_and_leaves_the_last_good_checkpoint(
    broken, halves, tmp_path, monkeypatch
):
    run(halves, tmp_path, reports=2)
    good = (tmp_path / "model.safetensors").read_bytes()
    if broken == "loss":
        monkeypatch.setattr(
            objective, "m_dsm", lambda score, x0, t, **others: score(x0, t) * math.nan
        )
    else:
        monkeypatch.setattr(training, "ema_update", lambda decay: poison)
    with pytest.raises(ValueError, match="lower learning_rate"):
        run(halves, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == good


def poison(averaged, current, count):
    for tensor in averaged:
        tensor.fill_(math.nan)


@pytest.mark.parametrize(
    "change",
    [
        {"images": 0},
        {"batch_size": 0},
        {"batch_size": 1000},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"ema": 1.0},
        {"label_dropout": 1.5},
        {"augment": 1.5},
        {"recipe": "ddpm"},
        {"log_noise_std": 0.0},
        {"width": 17},
        {"patch": 3},
    ],
)
def test_settings_outside_their_range_raise(change, halves, tmp_path):
    with pytest.raises(ValueError, match=r"must|divisible|needs"):
        run(halves, tmp_path, dataclasses.replace(CONFIG, **change))
    assert not (tmp_path / "config.json").exists()


def test_images_that_are_not_square_are_refused(halves, tmp_path):
    wide = dataclasses.replace(halves, images=halves.images[..., :4])
    with pytest.raises(ValueError, match="must be square, got 8×4"):
        run(wide, tmp_path)


def test_the_rate_rises_and_falls_on_a_half_cosine():
    config = TrainingConfig(images=100_000, batch_size=100, warmup=10_000)
    rates = [config.schedule(step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[100] == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.1)))
    assert rates[500] == pytest.approx(0.5)
    assert rates[1000] == pytest.approx(0, abs=1e-9)
    assert max(rates) == pytest.approx(rates[100], rel=0.01)


@pytest.mark.parametrize(("steps", "decay"), [(40, 0.999), (400, 0.9)])
def test_the_average_weighs_steps_as_it_says(steps, decay):
    """Against the weight of each step, written out as a product."""
    values = torch.randn(steps, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    average = training.AveragedModel(model, multi_avg_fn=ema_update(decay))
    for value in values:
        model.weight.data[0] = value
        average.update_parameters(model)
    shares = [1.0, *(max(9 / (10 + n), 1 - decay) for n in range(1, steps))]
    weight = [share * math.prod(1 - s for s in shares[k + 1 :]) for k, share in enumerate(shares)]
    assert sum(weight) == pytest.approx(1)
    assert weight[0] < 1e-6, "the start is forgotten, however short the run"
    assert_close(average.module.weight.data[0], torch.tensor(weight, dtype=torch.float64) @ values)


def test_bfloat16_trains_alike(halves, tmp_path):
    wide = run(halves, tmp_path / "float32")
    narrow = run(halves, tmp_path / "bfloat16", bf16=True)
    assert narrow == pytest.approx(wide, rel=0.02)
    assert narrow != wide
    assert {w.dtype for w in weights(tmp_path / "bfloat16").values()} == {torch.float32}


WORKER = """
import json, sys, torch
from dale_demo.data import Dataset
from dale_demo.training.distributed import leave
from dale_demo.training.config import TrainingConfig
from dale_demo.training.continuation import check_data, continued
from dale_demo.training.run import train

stored, out, runs = torch.load(sys.argv[1]), *sys.argv[2:]
data = Dataset("halves", stored["images"], stored["labels"], ("left", "right"))
for name, settings, last in json.loads(runs):
    config = TrainingConfig(**settings)
    run = train(data, f"{out}/{name}", config, report_every=1, cpu=True)
    for progress in run:
        if progress.step == last:
            break
    run.close()
leave()
"""


def test_two_processes_train_as_one(halves: Dataset, tmp_path, two_processes):
    """To the end, by either rule; and where they stop before it, one goes on."""
    # Short steps: Adam divides rounding by rounding where a gradient is nearly 0.
    config = dataclasses.replace(CONFIG, images=16 * 4, learning_rate=1e-3)
    eg = dataclasses.replace(config, rule="eg", learning_rate=3e-4, synapse_rate=3e-3)
    runs = (("2", config, 2), ("4", config, 4), ("eg", eg, 4))
    torch.save({"images": halves.images, "labels": halves.labels}, tmp_path / "data.pt")
    listed = [(name, dataclasses.asdict(settings), last) for name, settings, last in runs]
    two_processes(WORKER, tmp_path / "data.pt", tmp_path, json.dumps(listed))
    for name, _, last in runs:
        assert load_checkpoint(tmp_path / name).config.training["images"] == 16 * last
        assert (tmp_path / name / STATE_FILE).exists() == (last < 4)
    assert len(run(halves, tmp_path / "2", config)) == 2

    one = {rule: run(halves, tmp_path / f"one-{rule.rule}", rule) for rule in (config, eg)}
    for name, settings, _ in runs:
        two = load_checkpoint(tmp_path / name).config.training["loss_curve"]
        assert [loss for _, loss in two] == pytest.approx(one[settings], abs=1e-4)
        whole = weights(tmp_path / f"one-{settings.rule}")
        assert_close(weights(tmp_path / name), whole, rtol=0, atol=1e-4)
    other = run(halves, tmp_path / "other", dataclasses.replace(config, seed=5))
    assert other != pytest.approx(one[config], abs=1e-2)
