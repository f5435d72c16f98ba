"""Uploads of networks and of the app: complete and unchanged, or refused."""

import json
import os
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from dale_demo.checkpoint.card import completed, model_card
from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import load_config
from dale_demo.hub import local_paths, publish
from dale_demo.hub.lookup import pull, resolve
from dale_demo.hub.names import HubError, HubName, UnreachableError
from dale_demo.hub.publish import push, push_space
from tests.hub.fixtures import files_of
from tests.tiny_network import save_tiny, tiny_config

ROOT = Path(__file__).resolve().parents[2]
NET, APP = HubName("ann/net"), HubName("ann/app")
EVALUATIONS = {
    "evaluations": [
        {
            "settings": {
                "sampler": "bridge",
                "steps": 40,
                "noise_level": 8.0,
                "guidance": 1.0,
                "count": 2000,
            },
            "class_accuracy": {"share": 0.985, "interval": [0.979, 0.99], "count": 2000},
            "calls": 40,
            "seconds": 61.7,
        }
    ]
}


@pytest.fixture
def measured(tmp_path):
    return save_tiny(tmp_path / "measured", metrics=EVALUATIONS)


def test_what_is_pushed_comes_back_byte_for_byte(hub, logged_in, measured, tmp_path):
    before = files_of(measured)
    link = push(measured, NET)
    commit = hub.repository("ann/net").branches["main"]
    assert link == f"{hub.address}/ann/net/tree/{commit}"
    files = dict(hub.repository("ann/net").commits[commit])
    assert files.pop(".gitattributes")
    assert files == before == files_of(measured)
    pull(NET, tmp_path / "copy")
    assert files_of(tmp_path / "copy") == before
    assert resolve("ann/net").commit == commit


def test_the_card_is_what_the_hub_reads(hub, logged_in, measured):
    push(measured, NET)
    _, files = hub.repository("ann/net").at("main")
    head = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert head["license"] == "mit"
    assert head["library_name"] == "dale-demo"
    assert head["pipeline_tag"] == "unconditional-image-generation"
    assert "diffusion" in head["tags"]
    (index,) = head["model-index"]
    (result,) = index["results"]
    (metric,) = result["metrics"]
    assert (metric["type"], metric["value"]) == ("accuracy", 0.985)
    assert metric["name"] == (
        "Recognised as their class: bridge, 40 steps, 40 network evaluations "
        "from noise level 8, 2000 images"
    )
    assert metric["args"]["sampler"] == "bridge"
    assert json.loads(files["config.json"])["format_version"] == 1


def test_a_card_of_one_s_own_keeps_its_text(measured):
    config = load_config(measured)
    assert completed(model_card(config), config) == model_card(config)
    own = "---\nlicense: apache-2.0\ntags:\n- mine\n---\n\n# Mine\n\nWords.\n"
    card = ModelCard(completed(own, config))
    assert card.text.strip() == "# Mine\n\nWords."
    assert (card.data.license, card.data.tags) == ("apache-2.0", ["mine"])
    assert card.data.library_name == "dale-demo"
    assert card.data.eval_results[0].metric_value == 0.985
    assert completed(str(card), config) == str(card), "once complete it stays"
    assert ModelCard(completed("# Bare\n", config)).data.license == "mit"
    with pytest.raises(CheckpointError, match=r"head of README.md is wrong"):
        completed("---\n{: [\n---\n", config)


def test_a_missing_card_is_written_to_the_folder_too(hub, logged_in, measured):
    (measured / "README.md").unlink()
    push(measured, NET)
    assert (measured / "README.md").read_text() == model_card(load_config(measured))


def test_an_invalid_network_is_not_sent(hub, logged_in, network, monkeypatch):
    weights = (network / "model.safetensors").read_bytes()
    (network / "model.safetensors").write_bytes(weights[:-10])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        push(network, NET)
    (network / "model.safetensors").write_bytes(weights)
    monkeypatch.setattr(
        "dale_demo.network.Denoiser.forward", lambda self, u, *_: torch.full_like(u, torch.nan)
    )
    with pytest.raises(CheckpointError, match="samples NaN"):
        push(network, NET)
    assert hub.requests == []


def test_private_and_on_a_branch(hub, logged_in, network):
    link = push(network, HubName("ann/net", "trial"), private=True)
    repository = hub.repository("ann/net")
    assert repository.private
    assert repository.branches["main"] != repository.branches["trial"]
    assert link.endswith(repository.branches["trial"])
    with pytest.raises(HubError, match="is private"):
        resolve("ann/net@trial", public=True)
    assert resolve("ann/net@trial").origin == "downloaded"


def test_without_a_token(hub, network):
    with pytest.raises(HubError, match="denies access to ann/net: log in with `hf auth login`"):
        push(network, NET)


@pytest.mark.parametrize(
    ("status", "message"), [(402, "paid plan"), (500, "server error"), (404, "not a Hub")]
)
def test_the_hub_does_not_accept_it(hub, logged_in, network, status, message):
    hub.status = status
    with pytest.raises(HubError, match=message):
        push(network, NET)


PRIVATE = "/home/ann"
RECORD = {
    "command": "python -m dale_demo train --dataset 'folder:/home/ann/my digits/' "
    "--out=/home/ann/x/net --from ../ann/old",
    "notes": "Stopped once; see `/home/ann/x/log.txt` and https://example.org/home/log.",
    "before": {"command": "python -m dale_demo train --dataset mnist --out /home/ann/old"},
    "images": 9,
}


@pytest.fixture
def at_home(tmp_path):
    """A network whose records name local paths wherever they can."""
    metrics = json.loads(json.dumps(EVALUATIONS))
    metrics["evaluations"][0]["classifier"] = {"dataset": "folder:/home/ann/my digits/"}
    dataset = "folder:/home/ann/my digits/"
    return save_tiny(tmp_path / "own", dataset=dataset, training=RECORD, metrics=metrics)


@pytest.mark.parametrize("card", ["generated", "with a word of one's own", "missing"])
def test_no_local_path_is_published(hub, logged_in, at_home, card):
    path = at_home / "README.md"
    assert PRIVATE in path.read_text()
    if card == "missing":
        path.unlink()
    elif card != "generated":
        path.write_text(path.read_text() + "\nOne more word.\n")
    config = (at_home / "config.json").read_bytes()
    push(at_home, NET)
    _, files = hub.repository("ann/net").at("main")
    published = b"".join([*files.values(), json.dumps(hub.messages).encode()])
    assert b"home" not in published.replace(b"https://example.org/home/log", b"")
    assert b"/ann" not in published
    raw = json.loads(files["config.json"])
    assert raw["dataset"] == "folder:my digits"
    assert raw["training"]["command"] == (
        "python -m dale_demo train --dataset 'folder:my digits' --out=net --from old"
    )
    assert raw["training"]["command"] in files["README.md"].decode()
    assert hub.messages == ["A network trained on folder:my digits"]
    assert ("One more word." in files["README.md"].decode()) == (card == "with a word of one's own")
    assert (at_home / "config.json").read_bytes() == config, "the folder keeps them"
    resolve("ann/net").load()


@pytest.mark.parametrize(
    ("word", "short"),
    [
        ("/home/ann/x/net", "net"),
        ("--out=/home/ann/net/", "--out=net"),
        ("folder:/home/ann/a b", "folder:a b"),
        ("folder://home/ann/a", "folder:a"),
        ("idx:/home/ann/images,/home/ann/labels", "idx:images,labels"),
        ("../../ann/net", "net"),
        (r"C:\Users\ann\net", "net"),
        (r"--out=C:/Users/ann/net", "--out=net"),
        ("host:/home/ann/net", "host:net"),
        ("/", "."),
        *((same, same) for same in ("mnist", "runs/net", "ann/net@v1", "0.5", "idx:a,b", "")),
        *((same, same) for same in ("https://a.example/b/c", "folder:digits", "a b/c")),
    ],
)
def test_paths_in_words(word, short):
    assert local_paths.in_word(word) == short


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("From /home/ann/x/net, in 2 h.", "From net, in 2 h."),
        ("(`/home/ann/x`) and file:///home/ann/y", "(`x`) and file://y"),
        (r"at C:\Users\ann", "at ann"),
        ("'/home/ann/net' or '../../ann/net'", "'net' or 'net'"),
        *(
            (same, same)
            for same in ("1/2 and / or /2", "https://a.example/b/c", "runs/a/b", "</b>")
        ),
        *((same, same) for same in ("precision/recall/both", r"$\frac{a}{b}$", "h = h_7 / 2")),
    ],
)
def test_paths_in_running_text(text, short):
    assert local_paths.in_text(text) == short


def test_a_command_without_paths_stays_as_it_was_written():
    odd = 'python  -m dale_demo train --out "runs/a"  --dataset idx:a,b'
    assert local_paths.in_command(odd) == odd
    assert "ann" not in local_paths.in_command("train --out '/home/ann/net")


def deep(depth: int) -> dict:
    record = {"command": "python"}
    for _ in range(depth):
        record = {"command": "python", "before": record}
    return record


ABSURD = {
    "training": [
        *({"command": value} for value in (5, None, [1], {"a": 1}, "\ud800")),
        *({"command": "x", "before": value} for value in (5, "x", [1])),
        *({"command": "x", "images": value} for value in ("x", [], None)),
        *({"command": "x", "seconds": value} for value in ("x", float("inf"), float("nan"))),
        *({"command": "x", "loss_curve": value} for value in (5, {"a": 1}, [1], "xy", [[1, "a"]])),
        *({"command": "x", "settings": value} for value in (5, [1], {"guidance": float("nan")})),
        {"command": "x", "hardware": {"a": [1]}},
        {"command": "x", "notes": "n" * 700_000},
        deep(150),
    ],
    "metrics": [
        *({"evaluations": value} for value in (5, "x", [5], ["x"], [[]], {"a": 1}, [{}])),
        *({"evaluations": [{"settings": 5, "class_accuracy": 5}]}, {"evaluations": [None]}),
        *({"floors": 5}, {"notes": {"a": 1}}, {"evaluations": [{"class_accuracy": {"share": []}}]}),
    ],
}


def refusal_of(network: Path) -> str:
    try:
        push(network, NET)
    except CheckpointError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in ABSURD.items() for value in values]
)
def test_absurd_records_are_one_sentence_or_published(hub, logged_in, network, field, value):
    raw = json.loads((network / "config.json").read_text())
    (network / "config.json").write_text(json.dumps(raw | {field: value}))
    for card in "there", "missing":
        if card == "missing":
            (network / "README.md").unlink()
        hub.requests.clear()
        if sentence := refusal_of(network):
            assert len(sentence) <= 300
            assert "\n" not in sentence
        assert bool(hub.requests) == (not sentence)


def test_a_card_that_is_a_pipe_is_replaced(hub, logged_in, network):
    (network / "README.md").unlink()
    os.mkfifo(network / "README.md")
    push(network, NET)
    assert (network / "README.md").read_text() == model_card(load_config(network))


@pytest.fixture
def patience(monkeypatch) -> float:
    """A shorter timeout, in seconds."""
    monkeypatch.setattr(publish, "IDLE_TIMEOUT", 1.5)
    return 1.5


def send(kind: str, network: Path, checkout: Path) -> str:
    return push(network, NET) if kind == "push" else push_space(checkout, APP)


@pytest.mark.parametrize("kind", ["push", "space"])
@pytest.mark.parametrize("hangs", ["all", "headers"])
@pytest.mark.parametrize("answers", [0, 1, 3])
def test_a_hub_that_accepts_and_never_answers(
    hub, logged_in, network, checkout, patience, kind, hangs, answers
):
    hub.hangs, hub.answers = hangs, answers
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"^The Hub does not answer\.$"):
        send(kind, network, checkout)
    assert time.monotonic() - began < patience + 2
    assert len(hub.requests) == answers + 1


@pytest.mark.parametrize("kind", ["push", "space"])
@pytest.mark.parametrize("odd", [5, [1, "x"], "text", {}, {"url": 5}])
def test_a_hub_that_answers_nonsense(hub, logged_in, network, checkout, kind, odd):
    hub.odd = odd
    with pytest.raises(HubError) as refusal:
        send(kind, network, checkout)
    assert len(str(refusal.value)) <= 300


@pytest.fixture
def wide(tmp_path) -> Path:
    """A network of many pieces, more than the buffers of a connection hold."""
    return save_tiny(tmp_path / "wide", network=replace(tiny_config().network, width=160))


def test_a_large_file_on_a_slow_line_makes_progress(hub, logged_in, wide, monkeypatch):
    monkeypatch.setattr(publish, "IDLE_TIMEOUT", 3.0)
    size = (wide / "model.safetensors").stat().st_size
    hub.pause = 6.0 / (size / 2**16)
    began = time.monotonic()
    push(wide, NET)
    assert time.monotonic() - began > 6.0
    assert not [request for request in hub.requests if "xet" in request]
    _, files = hub.repository("ann/net").at("main")
    assert files["model.safetensors"] == (wide / "model.safetensors").read_bytes()


def test_a_large_file_that_is_not_read_is_given_up(hub, logged_in, wide, patience):
    """Negative control."""
    hub.hangs = "upload"
    with pytest.raises(UnreachableError, match="does not answer"):
        push(wide, NET)


def test_large_files_of_a_space_are_sent_one_by_one(hub, logged_in, checkout, patience):
    contents = {name: name.encode() * 2**16 + b"\0" for name in ("one.bin", "two.bin", "three.bin")}
    for name, data in contents.items():
        (checkout / name).write_bytes(data)
    git(checkout, "add", ".")
    push_space(checkout, APP)
    _, files = hub.repository("ann/app", "spaces").at("main")
    assert contents.items() <= files.items()
    hub.hangs = "upload"
    (checkout / "one.bin").write_bytes(b"1" * 2**19)
    (checkout / "two.bin").write_bytes(b"2" * 2**20 + b"\0")
    with pytest.raises(UnreachableError, match="does not answer"):
        push_space(checkout, APP)
    left = [thread for thread in threading.enumerate() if not thread.daemon]
    assert left == [threading.main_thread()], "no thread that would keep the program from ending"


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    """A git checkout with a README, a file in a folder, and one that git does not track."""
    root = tmp_path / "checkout"
    (root / "deep").mkdir(parents=True)
    (root / "README.md").write_text("# The app\n")
    (root / "deep" / "naïve name.bin").write_bytes(bytes(range(256)))
    (root / "secret.txt").write_text("not tracked")
    git(root, "init", "-q")
    git(root, "add", "README.md", "deep")
    git(root, "commit", "-qm", "first")
    return root


def test_a_space_is_what_git_tracks(hub, logged_in, checkout, monkeypatch):
    monkeypatch.setenv("DALE_NETWORKS", "ann/net@v1 ./folder")
    assert push_space(checkout, APP) == f"{hub.address}/spaces/ann/app"
    repository = hub.repository("ann/app", "spaces")
    assert repository.created_as["sdk"] == "docker"
    _, files = repository.at("main")
    assert sorted(files) == [".gitattributes", "README.md", "deep/naïve name.bin"]
    assert files["deep/naïve name.bin"] == bytes(range(256))
    head, text = files["README.md"].decode().removeprefix("---\n").split("\n---\n\n")
    head = yaml.safe_load(head)
    assert (head["sdk"], head["app_port"], head["license"]) == ("docker", 8501, "mit")
    assert head["models"] == ["ann/net"]
    assert len(head["short_description"]) <= 60
    assert text == "# The app\n"
    assert (checkout / "README.md").read_text() == "# The app\n"


def test_a_space_is_updated(hub, logged_in, checkout):
    push_space(checkout, APP)
    repository = hub.repository("ann/app", "spaces")
    _, files = repository.at("main")
    repository.commit(files | {"old.py": b""})
    git(checkout, "rm", "-qr", "deep")
    (checkout / "README.md").write_text("# Changed\n")
    push_space(checkout, APP)
    _, files = repository.at("main")
    assert sorted(files) == [".gitattributes", "README.md"]
    assert files["README.md"].endswith(b"# Changed\n")


def test_outside_git_nothing_is_sent(hub, logged_in, tmp_path):
    with pytest.raises(HubError, match="not a git checkout"):
        push_space(tmp_path, APP)
    assert hub.requests == []


def test_this_checkout_has_what_a_space_needs():
    if not (ROOT / ".git").exists():
        pytest.skip("This is no checkout.")
    files = publish.tracked(ROOT)
    for needed in ("Dockerfile", "app.py", "requirements.txt", "checkpoints/mnist/config.json"):
        assert needed in files
    assert not any(path.startswith((".git/", ".venv")) for path in files)
