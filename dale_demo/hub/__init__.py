"""Networks by name: bundled, in a folder, or on the Hugging Face Hub."""

from dale_demo.hub.lookup import Resolved, pull, resolve
from dale_demo.hub.names import HubError, HubName

__all__ = ["HubError", "HubName", "Resolved", "pull", "resolve"]
