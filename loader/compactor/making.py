"""Makes the COPY files of tables: cuts the work into units, runs them, gathers what they made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar, cast

from loader import config
from loader.compactor.copy_files import CopyWriter
from loader.compactor.event_units import EventUnit, TableOutput, TableTask, group_files
from loader.compactor.executors import Executor, Result, Unit
from loader.compactor.lake_view import LakeView
from loader.compactor.planning import definition_of, spec_of
from loader.compactor.staging import Staged, stage
from loader.compactor.user_maps import UserMapFile, write_user_map
from loader.compactor.user_units import (
    FoldOutput,
    FoldUnit,
    RenderUnit,
    StateFile,
    read_index,
    write_index,
    write_table,
)
from loader.lake import layout
from loader.lake.commit_log import DataFile
from loader.model.plans import Action, TablePlan
from loader.model.tables import USER_MIGRATIONS, USERS, TableKind, TableSpec
from loader.warehouse.evolution import Fit, fit
from loader.warehouse.schema import Catalog

Output = TypeVar("Output", TableOutput, FoldOutput)

#: Told how far a step is: its name, units done, units in all.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """One table's files, and what its ledger row will say of them."""

    plan: TablePlan
    spec: TableSpec
    staged: Staged
    state_key: str
    synced_to: datetime | None


class Maker:
    """Compaction of one sync.

    Args:
        view: the lake.
        topics: the topics' names.
        sync_id: the sync.
        group_rows: rows of one unit at most.
        executor: where units run.
        progress: told after each unit.
        catalog: the columns that tables have now.
    """

    def __init__(
        self,
        view: LakeView,
        topics: config.Topics,
        sync_id: str,
        group_rows: int,
        executor: Executor,
        progress: Progress,
        catalog: Catalog,
    ) -> None:
        self._view = view
        self._store = view.store
        self._topics = topics
        self._sync_id = sync_id
        self._group_rows = group_rows
        self._executor = executor
        self._progress = progress
        self._catalog = catalog
        self._users_file: UserMapFile | None = None
        self._users_written = False

    def make(self, plans: Sequence[TablePlan], state_key: str) -> list[Made]:
        """Make the files of tables that read the same range of the same topics.

        Args:
            plans: tables with equal kind of work and equal ``since``.
            state_key: key of the state of ``users`` so far.

        Raises:
            NeedsOperator: a file of the lake is missing or altered.
        """
        if plans[0].kind is TableKind.USERS:
            return [self._users(plans[0], state_key)]
        if plans[0].kind is TableKind.USER_MIGRATIONS:
            return [self._user_migrations(plans[0])]
        return self._events(plans)

    def _events(self, plans: Sequence[TablePlan]) -> list[Made]:
        tasks = tuple(
            TableTask(plan.key, spec_of(plan.kind, plan.table), definition_of(self._view, plan.key))
            for plan in plans
        )
        topics, since = (self._topics.events.name,), plans[0].since
        groups = group_files(self._view.files(topics, since), self._group_rows)
        outputs = self._event_outputs(tasks, groups)
        fits = {task.key: self._fit(task.spec, outputs[task.key]) for task in tasks}
        # What a table does not take is known when all of it was seen: those are made once more.
        narrow = tuple(
            replace(task, keep=frozenset(fits[task.key].keep))
            for task in tasks
            if fits[task.key].left_out
        )
        if narrow:
            outputs |= self._event_outputs(narrow, groups)
        synced_to = self._view.arrived_up_to(topics, since)
        return [
            Made(
                plan,
                task.spec,
                stage(
                    self._store,
                    self._sync_id,
                    task.spec,
                    outputs[task.key],
                    fits[task.key].left_out,
                ),
                "",
                synced_to,
            )
            for plan, task in zip(plans, tasks, strict=True)
        ]

    def _event_outputs(
        self, tasks: tuple[TableTask, ...], groups: Sequence[tuple[DataFile, ...]]
    ) -> dict[str, list[TableOutput]]:
        units = [
            EventUnit(f"{number:05d}", self._sync_id, files, tasks, self._users_map())
            for number, files in enumerate(groups)
        ]
        outputs: dict[str, list[TableOutput]] = {task.key: [] for task in tasks}
        for output in self._run("events", units, TableOutput):
            outputs[output.key].append(output)
        return outputs

    def _fit(self, spec: TableSpec, outputs: Sequence[TableOutput]) -> Fit:
        used: Counter[str] = Counter()
        for output in outputs:
            used.update(output.used)
        return fit(self._catalog.columns(spec.name), spec, used)

    def _users(self, plan: TablePlan, state_key: str) -> Made:
        events, updates = self._topics.events.name, self._topics.user_updates.name
        # A plan that reads from the beginning folds anew, whatever state there is.
        states = read_index(self._store, state_key) if plan.since else {}
        event_files = self._view.files((events,), plan.since)
        update_files = self._view.files((updates,), plan.since)
        folds = self._fold_units(states, event_files, update_files)
        folded = self._run("users: fold", folds, FoldOutput)
        after = {output.bucket: output.state for output in folded if output.state is not None}
        if after != states:
            state_key = write_index(self._store, self._sync_id, list(after.values()))
        changed = None
        if plan.action is Action.APPEND:
            changed = tuple(output.changed for output in folded if output.changed is not None)
        outputs: list[TableOutput] = []
        fitted = Fit(())
        if changed != ():
            moved = tuple(output.moved for output in folded if output.moved is not None)
            outputs = self._render(after, moved, changed)
            fitted = self._fit(USERS, outputs)
            if fitted.left_out:
                outputs = self._render(after, moved, changed, frozenset(fitted.keep))
        return Made(
            plan,
            USERS,
            stage(self._store, self._sync_id, USERS, outputs, fitted.left_out),
            state_key,
            self._view.arrived_up_to((events, updates), plan.since),
        )

    def _fold_units(
        self,
        states: dict[int, StateFile],
        events: Sequence[DataFile],
        updates: Sequence[DataFile],
    ) -> list[FoldUnit]:
        """One unit for all buckets where that is small enough, else one for each."""
        everything = range(self._view.buckets)
        rows = sum(file.rows for file in (*events, *updates))
        rows += sum(state.rows for state in states.values())
        together = [tuple(everything)] if rows <= self._group_rows else [(b,) for b in everything]
        return [
            FoldUnit(
                self._sync_id,
                tuple((bucket, states.get(bucket)) for bucket in group),
                self._view.buckets,
                tuple(file for file in events if set(group) & set(file.buckets)),
                tuple(file for file in updates if set(group) & set(file.buckets)),
                self._users_map(),
            )
            for group in together
        ]

    def _render(
        self,
        states: dict[int, StateFile],
        moved: tuple[StateFile, ...],
        changed: tuple[StateFile, ...] | None,
        keep: frozenset[str] | None = None,
    ) -> list[TableOutput]:
        folder = layout.sync_folder(self._sync_id, "_users")
        merge_times = self._view.registry.users.merge_times()
        times = write_table(self._store, f"{folder}merge-times.parquet", 0, merge_times)
        units = [
            RenderUnit(
                f"{bucket:05d}",
                self._sync_id,
                bucket,
                self._view.buckets,
                states.get(bucket),
                moved,
                changed,
                self._users_map(),
                times,
                keep,
            )
            for bucket in range(self._view.buckets)
        ]
        return self._run("users: rows", units, TableOutput)

    def _user_migrations(self, plan: TablePlan) -> Made:
        rows = self._view.registry.users.rows()
        writer = CopyWriter(self._store, self._sync_id, USER_MIGRATIONS.name, "00000")
        writer.write(rows)
        output = TableOutput(plan.key, (), writer.finish(), rows.num_rows, 0, {})
        staged = stage(self._store, self._sync_id, USER_MIGRATIONS, [output])
        return Made(plan, USER_MIGRATIONS, staged, "", None)

    def _users_map(self) -> UserMapFile | None:
        if not self._users_written:
            users = self._view.registry.users
            self._users_file = write_user_map(self._store, self._sync_id, users)
            self._users_written = True
        return self._users_file

    def _run(self, step: str, units: Sequence[Unit], kind: type[Output]) -> list[Output]:
        """Run units; what they made in the units' order: nothing depends on who was first."""
        results: dict[int, Result] = {}
        self._progress(step, 0, len(units))
        for number, result in self._executor.run(units):
            results[number] = result
            self._progress(step, len(results), len(units))
        made = [output for number in range(len(units)) for output in results[number]]
        assert all(isinstance(output, kind) for output in made), "units of one kind"  # noqa: S101
        return cast("list[Output]", made)
