"""Uploads of networks and of the app: complete and unchanged, or refused."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from dale_demo.checkpoint.card import completed, model_card
from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import load_config
from dale_demo.hub import publish
from dale_demo.hub.lookup import pull, resolve
from dale_demo.hub.names import HubError, HubName
from dale_demo.hub.publish import push, push_space
from tests.hub.fixtures import files_of
from tests.tiny_network import save_tiny

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
