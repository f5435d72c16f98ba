"""Networks by name: bundled, in a folder, or on the Hugging Face Hub."""

from dale_demo.hub.lookup import pull, resolve
from dale_demo.hub.names import HubError, HubName
from dale_demo.hub.resolved import Resolved

__all__ = ["HubError", "HubName", "Resolved", "pull", "resolve"]
