"""How several processes, under `accelerate launch` or `torchrun`, take leave of each other.

Import this before the processes find each other. Whenever `torch.distributed.nn` is first imported
(PyTorch does so by itself, in the middle of things), its functions take the group of processes that
there is by then for a default argument and so keep it for ever. Its threads then outlive `leave`,
and one that frees its last message while the interpreter ends brings the process down.
"""

import torch
from accelerate import PartialState

if torch.distributed.is_available():
    import torch.distributed.nn


def leave() -> None:
    """End the group of processes and its threads, where there is one."""
    PartialState().destroy_process_group()
