"""Disk room: what would not fit is refused before it changes anything.

Redshift reports what its disks hold in blocks of 1 MB (AWS docs: STV_PARTITIONS). A load needs room
for its stage and for the rows that come from it; a replaced table's old rows stay until a VACUUM. On
clusters with managed storage, on Serverless and without the right to look, room is not checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loader.errors import NeedsOperator
from loader.model.plans import Action, TablePlan
from loader.warehouse.errors import StatementRefused
from loader.warehouse.handle import Warehouse
from loader.warehouse.maintenance import Health
from loader.warehouse.system import DiskSpace
from loader.warehouse.work import Work

_MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Room:
    """The cluster's disks, in MB."""

    capacity: int
    used: int

    @property
    def free(self) -> int:
        """What is left."""
        return self.capacity - self.used


def read_room(warehouse: Warehouse) -> Room | None:
    """What the cluster's disks hold; None where it does not say, or not to this user."""
    try:
        rows = warehouse.run(lambda session: session.execute(DiskSpace())).rows
    except StatementRefused:
        return None
    capacity, used = rows[0]
    return Room(int(capacity), int(used or 0)) if capacity else None


def planned_needs(
    plans: Sequence[TablePlan], health: Mapping[str, Health] | None
) -> dict[str, int]:
    """MB that each table will need at least, as far as a plan can tell.

    A replaced table comes to about its present size, twice: staged and in place. Of the others no
    more is known than what the lake holds; how much of that is the table's own is known when its
    files are made (:func:`staged_needs`).
    """
    sizes = health or {}
    return {
        plan.table: 2 * sizes[plan.table].megabytes
        for plan in plans
        if plan.action is Action.REPLACE and plan.table in sizes
    }


def staged_needs(works: Sequence[Work]) -> dict[str, int]:
    """MB that each table needs: its COPY files' bytes, staged and in place."""
    return {
        work.plan.table: 2 * -(-sum(manifest.bytes for manifest in work.manifests) // _MEGABYTE)
        for work in works
        if work.manifests
    }


def check_room(needs: Mapping[str, int], room: Room | None, taken: int = 0) -> None:
    """Make sure that what is needed is free.

    Args:
        needs: MB by table.
        room: the disks as the sync began; None passes everything.
        taken: MB that the sync has used since; 0 while it has loaded nothing.

    Raises:
        NeedsOperator: it is not, with figures.
    """
    total = sum(needs.values())
    if room is None or total <= room.free - taken:
        return
    largest = sorted(needs.items(), key=lambda item: (-item[1], item[0]))[:3]
    raise NeedsOperator(
        f"The disks have too little room: {total:,} MB are needed "
        f"({', '.join(f'{name} {megabytes:,} MB' for name, megabytes in largest)}), "
        f"{max(0, room.free - taken):,} of {room.capacity:,} MB are free.",
        hint=("What this sync has loaded so far stays. " if taken else "Nothing was changed. ")
        + "Drop or VACUUM what is not needed, add nodes, or sync fewer tables with --table.",
    )
