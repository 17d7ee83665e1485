"""What units made, brought together per table: manifests, custom columns, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from loader.compactor.copy_files import CopyFile, write_manifest
from loader.compactor.event_units import TableOutput
from loader.lake.store import ObjectStore
from loader.model.tables import Column, TableKind, TableSpec, custom
from loader.warehouse.work import STAGE_LINEAGE, Manifest


@dataclass(frozen=True, slots=True)
class Staged:
    """One table's COPY files.

    Attributes:
        custom: every custom column that any file has, ascending.
        manifests: one for each order of columns.
        rows: rows in all of them.
        copies: rows left out as copies of an event in the same unit.
        cut: values cut to their column's length, by column.
        left_out: custom columns that the table does not take, with the reason.
    """

    custom: tuple[Column, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    rows: int = 0
    copies: int = 0
    cut: tuple[tuple[str, int], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


def stage(
    store: ObjectStore,
    sync_id: str,
    spec: TableSpec,
    outputs: Iterable[TableOutput],
    left_out: tuple[tuple[str, str], ...] = (),
) -> Staged:
    """Write the manifests of a table.

    Files map to columns by position, and units meet different properties, so each distinct tuple of
    columns gets a manifest, and a COPY, of its own.
    """
    groups: dict[tuple[str, ...], list[CopyFile]] = {}
    cut: Counter[str] = Counter()
    rows = copies = 0
    for output in outputs:
        copies += output.copies
        cut.update(output.cut)
        if output.files:
            rows += output.rows
            groups.setdefault(output.custom, []).extend(output.files)
    manifests = []
    for number, (columns, unsorted) in enumerate(sorted(groups.items())):
        files = sorted(unsorted, key=lambda file: file.key)
        key = write_manifest(store, sync_id, spec.name, number, files)
        manifests.append(
            Manifest(
                key,
                f"{store.url}/{key}",
                (*spec.column_names, *columns, *_lineage(spec.kind)),
                sum(file.rows for file in files),
                sum(file.bytes for file in files),
            )
        )
    names = sorted({name for columns in groups for name in columns})
    return Staged(
        tuple(map(custom, names)),
        tuple(manifests),
        rows,
        copies,
        tuple(sorted(cut.items())),
        left_out,
    )


def _lineage(kind: TableKind) -> tuple[str, ...]:
    if kind in {TableKind.USERS, TableKind.USER_MIGRATIONS}:
        return ()
    return tuple(column.name for column in STAGE_LINEAGE)
