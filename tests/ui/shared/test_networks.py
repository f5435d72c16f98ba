"""The caches of networks that all visitors share."""

from pathlib import Path

import pytest
import streamlit as st

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.hub.bounded_cache import BoundedCache, CacheFullError
from dale_demo.ui.shared import networks
from tests.tiny_network import save_tiny


@pytest.fixture(autouse=True)
def empty_caches(monkeypatch):
    monkeypatch.delenv("DALE_NETWORKS", raising=False)
    st.cache_resource.clear()


def test_a_network_from_the_hub_is_read_once(hub, commits, reads):
    next(commits)
    for _ in "first use", "second use":
        found = networks.find("ann/net")
        config, checkpoint = networks.network_config(found.folder), networks.network(found.folder)
        assert checkpoint.config is config
        assert reads["weights"] == 1
        assert reads["config"] == 1
        assert found.checkpoint is None, "64 look-ups may be cached, but not 64 times the weights"


def test_a_network_in_a_folder_is_read_once(tmp_path, monkeypatch, reads):
    folder = str(save_tiny(tmp_path / "mine"))
    monkeypatch.setenv("DALE_NETWORKS", folder)
    reads.clear()
    for _ in range(2):
        networks.network(networks.find(folder).folder)
        assert reads == {"weights": 1, "config": 1}


def test_all_visitors_share_one_checkpoint(hub, commits):
    next(commits)
    folder = networks.find("ann/net").folder
    shared = networks.network(folder)
    networks._look_up.clear()
    networks.find("ann/net")
    assert networks.network(folder) is shared, "also after a look-up that loaded it anew"


def test_a_network_is_protected_while_it_is_loaded_from_the_cache(hub, commits, monkeypatch):
    """Its weights have left the memory, and another session needs room on the disk."""
    next(commits)
    folder = networks.find("ann/net").folder
    networks._checkpoint.clear()
    bounded = BoundedCache(1000, 99)
    repository = folder.parents[2] / "models--ann--other"
    load = networks.load_checkpoint

    def load_while_room_is_needed(folder: str, device: str):
        with pytest.raises(CacheFullError), bounded.reserve(repository, 500):
            pass
        return load(folder, device)

    monkeypatch.setattr(networks, "PUBLIC_NETWORKS", bounded)
    monkeypatch.setattr(networks, "load_checkpoint", load_while_room_is_needed)
    assert networks.network(folder).config.dataset == "tiny"
    with bounded.reserve(repository, 500):
        assert not folder.exists(), "negative control: once it is loaded, it may be removed"


def test_an_error_is_cached_for_a_while(hub, commits, monkeypatch):
    hub.status = 500
    for _ in range(2):
        with pytest.raises(CheckpointError, match="server error"):
            networks.find("ann/net")
    assert len(hub.requests) == 1
    hub.status = 0
    next(commits)
    monkeypatch.setattr(networks, "RETRY_SECONDS", 0)
    assert isinstance(networks.find("ann/net").folder, Path)
