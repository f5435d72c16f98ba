"""How several processes, under `accelerate launch` or `torchrun`, end their process group.

Import this module before the processes connect. `torch.distributed.nn`, which PyTorch imports on
its own at some later point, binds the process group that exists at that moment as a default
argument and so keeps it alive. The group's threads then outlive `leave`, and one that frees its
last message during interpreter shutdown crashes the process.
"""

import torch
from accelerate import PartialState

if torch.distributed.is_available():
    import torch.distributed.nn


def leave() -> None:
    """End the process group and its threads, where there is one."""
    PartialState().destroy_process_group()
