"""Which GPUs are a process's: by any name that ``CUDA_VISIBLE_DEVICES`` may have for them, alone or beside others."""

from __future__ import annotations

import pytest

from postmill.encode.gpu import visible
from postmill.encode.gpu.visible import Cards, own

RANK = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "4", "SLURM_NODEID": "0"}
UUIDS = "GPU-8932f937,GPU-2f8a1c3e"
MIGS = "MIG-0d1f,MIG-1a2b,MIG-3c4d"


@pytest.fixture(autouse=True)
def four_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with four GPUs, of which torch counts what the variable shows."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: pytest.fail("a context is made"))


def at(local: int, **more: str) -> dict[str, str]:
    return {**RANK, "SLURM_PROCID": str(local), "SLURM_LOCALID": str(local), **more}


def counting(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("stated", "counted", "names"),
    [
        (None, 4, ("0", "1", "2", "3")),
        ("2,3", 2, ("2", "3")),
        (" 3, 1", 2, ("3", "1")),
        ("1,-1,2", 1, ("1",)),  # what follows a number that there is not is not shown
        ("0,9", 1, ("0",)),
        ("", 0, ()),
        (UUIDS, 2, tuple(UUIDS.split(","))),
        (MIGS, 1, tuple(MIGS.split(","))),  # of which CUDA shows a process the first alone
    ],
)
def test_every_card_has_the_name_by_which_a_process_sees_it_alone(
    monkeypatch: pytest.MonkeyPatch, stated: str | None, counted: int, names: tuple[str, ...]
) -> None:
    counting(monkeypatch, counted)
    assert own({} if stated is None else {"CUDA_VISIBLE_DEVICES": stated}) == Cards(names)


def test_without_a_usable_card_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert own({"CUDA_VISIBLE_DEVICES": MIGS}) == Cards(())


def test_processes_of_a_step_that_see_the_same_cards_deal_them() -> None:
    assert [own(at(n)) for n in range(4)] == [Cards((str(n),), narrowed=True) for n in range(4)]
    two = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2"}
    assert [own({**at(n), **two}).names for n in range(2)] == [("0", "2"), ("1", "3")]
    eight = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_TASKS_PER_NODE": "8"}  # two share a card
    assert [own({**at(n), **eight}).names for n in range(8)] == [(str(n % 4),) for n in range(8)]


def test_cards_that_slurm_has_dealt_are_not_dealt_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own(at(1, SLURM_GPUS_PER_TASK="4")) == Cards(("0", "1", "2", "3"))
    counting(monkeypatch, 1)
    assert own(at(1, CUDA_VISIBLE_DEVICES="0", SLURM_GPUS_ON_NODE="4")) == Cards(("0",))


def test_a_process_a_node_has_all_of_the_nodes_cards() -> None:
    spread = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_NODEID": "1"}
    assert own({**spread, "SLURM_PROCID": "1", "SLURM_LOCALID": "0"}) == Cards(("0", "1", "2", "3"))


def test_what_is_told_of_several_makes_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in at(2, SLURM_STEP_NUM_TASKS="1").items():
        monkeypatch.setenv(name, value)
    assert visible.told() == "4 GPUs, a process for each"
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    assert visible.told() == "GPU 2"
