"""Which GPUs this process may use, by the names that ``CUDA_VISIBLE_DEVICES`` has for them.

Nothing here makes a context on a GPU: each takes hundreds of megabytes of its memory, and where a GPU is set to one
process alone it would keep out the process that is to work there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from postmill.shards.runtime.ranks import rank

VARIABLE = "CUDA_VISIBLE_DEVICES"
_MIG = "MIG-"


@dataclass(frozen=True)
class Cards:
    """GPUs that are this process's.

    Attributes:
        names: A name of each for ``CUDA_VISIBLE_DEVICES``.
        narrowed: Whether it sees others too, which other processes of the same step take.
    """

    names: tuple[str, ...]
    narrowed: bool = False


def visible(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the name of each GPU that this process sees; nothing where torch can use none."""
    import torch

    if torch.version.hip or not torch.cuda.is_available():  # ROCm has variables of its own, which exclude each other
        return ()
    stated = environment.get(VARIABLE)
    words = [] if stated is None else [word.strip() for word in stated.split(",")]
    if words and words[0].startswith(_MIG):
        # Of several MIG instances CUDA shows a process the first alone, and so torch counts one:
        # https://docs.nvidia.com/datacenter/tesla/mig-user-guide/#cuda-device-enumeration
        return tuple(dict.fromkeys(word for word in words if word.startswith(_MIG)))
    count = torch.cuda.device_count()
    return tuple(map(str, range(count))) if stated is None else tuple(words[:count])


def own(environment: Mapping[str, str] = os.environ) -> Cards:
    """Return the GPUs that this process is to use: all it sees, unless other processes of its step see the same.

    Slurm gives each process of a step its own GPUs where it was asked to (``--gpus-per-task``); otherwise all of a node
    see all of the node's, and they are dealt here.
    """
    names = visible(environment)
    among = rank(environment)
    if among is None or among.beside == 1 or not names or _bound(environment, len(names)):
        return Cards(names)
    mine = names[among.local :: among.beside] or (names[among.local % len(names)],)
    return Cards(mine, narrowed=len(mine) < len(names))


def told() -> str:
    """Say which GPU there is, or how many; the name of the only one makes a context there."""
    import torch

    cards = own()
    if len(cards.names) > 1:
        return f"{len(cards.names)} GPUs, a process for each"
    return f"GPU {cards.names[0] if cards.narrowed else torch.cuda.get_device_name()}"


def name(environment: Mapping[str, str] = os.environ) -> str:
    """Return what the GPU is called that this process computes on: which of several, where it sees one alone."""
    stated = environment.get(VARIABLE, "")
    return f"GPU {stated}" if stated and "," not in stated else "the GPU"


def _bound(environment: Mapping[str, str], seen: int) -> bool:
    """Say whether Slurm has given each process of the step GPUs that no other sees."""
    on_node = environment.get("SLURM_GPUS_ON_NODE", "")
    return "SLURM_GPUS_PER_TASK" in environment or (on_node.isdigit() and seen < int(on_node))
