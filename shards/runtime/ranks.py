"""Which of the processes this is that one `srun` started."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

_STEP_SIZE, _INDEX = "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"
_BY_NODE, _NODE, _LOCAL = "SLURM_STEP_TASKS_PER_NODE", "SLURM_NODEID", "SLURM_LOCALID"
_GROUP = re.compile(r"(\d+)(?:\(x(\d+)\))?")  # 4(x2): two nodes with four each


@dataclass(frozen=True)
class Rank:
    """One of several processes of a step.

    Attributes:
        index: Its number, from 0.
        count: How many there are.
        local: Its number among those of its node.
        beside: How many its node has.
    """

    index: int
    count: int
    local: int
    beside: int


def rank(environment: Mapping[str, str] = os.environ) -> Rank | None:
    """Return which process of a step of Slurm this is; None where it is the only one, or no step's.

    The script of a batch job is none's: ``SLURM_PROCID`` is 0 there, and no size of a step is told.
    """
    try:
        index, count = int(environment[_INDEX]), int(environment[_STEP_SIZE])
        local = int(environment.get(_LOCAL, "0"))
    except (KeyError, ValueError):
        return None
    if not 0 <= index < count or count < 2:
        return None
    return Rank(index, count, local, max(_beside(environment, count), local + 1))


def _beside(environment: Mapping[str, str], count: int) -> int:
    """Return how many processes of the step this node has; all of them where nothing else is said."""
    by_node = [
        int(found[1])
        for group in environment.get(_BY_NODE, "").split(",")
        if (found := _GROUP.fullmatch(group)) is not None
        for _ in range(int(found[2] or 1))
    ]
    node = environment.get(_NODE, "0")
    return by_node[int(node)] if node.isdigit() and int(node) < len(by_node) else count
