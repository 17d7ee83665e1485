"""The whole system once, on a throw-away stack: the steps of ``heap-loader demo`` and what they show."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from loader.config import Settings, load
from loader.local.environment import Environment
from loader.local.oracle import Oracle
from loader.local.simulate import simulate
from loader.local.simulator.options import TrafficOptions
from loader.local.simulator.samples import sample_definitions
from loader.local.stack import Stack

#: Told the step's title when it begins, and again with what came of it.
Report = Callable[[str, str], None]

SEED: Final = 7
FIRST_EVENTS: Final = 200_000
MORE_EVENTS: Final = 50_000

FUNNEL: Final = """\
SELECT s.device_type,
       COUNT(DISTINCT s.user_id) AS visitors,
       COUNT(DISTINCT v.user_id) AS saw_prices,
       COUNT(DISTINCT c.user_id) AS clicked_trial,
       COUNT(DISTINCT p.user_id) AS purchased
FROM {schema}.sessions s
LEFT JOIN {schema}.funnel_view_pricing v
       ON v.user_id = s.user_id AND v.session_id = s.session_id
LEFT JOIN {schema}.funnel_click_start_free_trial c
       ON c.user_id = v.user_id AND c.session_id = v.session_id AND c.time >= v.time
LEFT JOIN {schema}.funnel_purchase p
       ON p.user_id = c.user_id AND p.time >= c.time
GROUP BY s.device_type
ORDER BY visitors DESC
LIMIT 5"""


@dataclass(frozen=True, slots=True)
class Stage:
    """How fast one step was: ``count`` things of kind ``unit`` in ``seconds``."""

    name: str
    count: int
    unit: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """One proof: what the oracle says and what stands."""

    name: str
    expected: int
    actual: int

    @property
    def holds(self) -> bool:
        """Whether they are equal."""
        return self.expected == self.actual


@dataclass(slots=True)
class Outcome:
    """Everything that the demo shows."""

    schema: str
    tables: list[dict[str, Any]] = field(default_factory=list)
    funnel_sql: str = ""
    funnel_columns: list[str] = field(default_factory=list)
    funnel_rows: list[list[Any]] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)


def run_demo(directory: Path, report: Report, kafka: str | None = None) -> Outcome:
    """Run it. The stack in ``directory`` is left running; the caller ends it.

    Raises:
        LoaderError: a step failed.
    """
    run = _Run(report)
    with run.step("Start Kafka, S3 and the Redshift stand-in") as say:
        environment = Stack.open(directory, kafka).up(lambda part, state, _: say(f"{part} {state}"))
        say("on 127.0.0.1, data in one directory")
    settings = load(environment.config, {})
    run.outcome.schema = settings.warehouse.db_schema
    run.simulate(settings, TrafficOptions(events=FIRST_EVENTS, seed=SEED), "Simulate people")
    run.consume(settings, "Consume to the lake")
    run.define(settings)
    run.sync(settings, "Sync to the warehouse")
    more = TrafficOptions(events=MORE_EVENTS, seed=SEED, skip=FIRST_EVENTS, merges=0.0)
    run.simulate(settings, more, "Simulate more")
    run.consume(settings, "Consume what is new")
    run.sync(settings, "Sync what is new")
    run.look(settings, environment)
    return run.outcome


class _Run:
    """The steps, each timed, and what they leave for the end."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._oracle = Oracle(sample_definitions())
        self._refused = 0
        self.outcome = Outcome("")

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Announce a step; what is said last stands beside it."""
        self._report(title, "")
        yield lambda text: self._report(title, text)

    def simulate(self, settings: Settings, traffic: TrafficOptions, title: str) -> None:
        """Send traffic, and tell the oracle."""
        with self.step(title) as say:
            sent = simulate(
                settings,
                traffic,
                oracle=self._oracle,
                on_progress=lambda count: say(f"{count:,} messages"),
            )
            count = sum(sent.messages.values())
            self._stage(title, count, "messages", sent.seconds)
            say(f"{count:,} messages, duplicates, late and broken ones among them")

    def consume(self, settings: Settings, title: str) -> None:
        """Kafka to the lake."""
        from loader.consumer import app

        with self.step(title) as say:
            done = app.run(
                settings,
                until_caught_up=True,
                stop=threading.Event(),
                on_progress=lambda p: say(f"{p.read:,} messages"),
            )
            self._refused += done.dead_lettered
            self._stage(title, done.read, "messages", done.seconds)
            say(
                f"{done.written:,} rows in {done.files:,} Parquet files, "
                f"{done.dead_lettered:,} dead letters"
            )

    def define(self, settings: Settings) -> None:
        """Three labelled events into the registry, with the merges of users."""
        from importlib.resources import files

        from loader.reconciler.app import run
        from loader.reconciler.definition_files import apply_definitions, read_definitions

        with self.step("Define three labelled events, merge users") as say:
            started = perf_counter()
            definitions = read_definitions(Path(str(files("loader.local") / "samples")))
            apply_definitions(settings, definitions, lambda _: None)
            run(settings, until_caught_up=True, report=say)
            merges = self._oracle.messages["user_migrations"]
            self._stage(
                "Reconcile", merges + len(definitions), "messages", perf_counter() - started
            )
            say(f"{len(definitions)} definitions, {merges:,} merges in the registry")

    def sync(self, settings: Settings, title: str) -> None:
        """The lake to the warehouse."""
        from loader.compactor.sync import run_sync

        with self.step(title) as say:
            started = perf_counter()
            done = run_sync(settings, progress=lambda step, now, of: say(f"{step} {now} of {of}"))
            inserted = sum(table.inserted for table in done.tables)
            self._stage(title, inserted, "rows", perf_counter() - started)
            say(f"{inserted:,} rows into {len(done.tables)} tables")

    def look(self, settings: Settings, environment: Environment) -> None:
        """Ask the warehouse as an analyst would, and compare it with the oracle."""
        import redshift_connector

        from loader.compactor.status import table_of_tables

        with self.step("Compare with what the simulator knows") as say:
            self.outcome.tables = table_of_tables(settings)
            self.outcome.funnel_sql = FUNNEL.format(schema=self.outcome.schema)
            server = environment.redshift
            connection = redshift_connector.connect(
                host=server.host,
                port=server.port,
                database=server.database,
                user=server.user,
                password=server.password,
                ssl=False,
            )
            try:
                cursor = connection.cursor()
                cursor.execute(self.outcome.funnel_sql)
                self.outcome.funnel_columns = [str(column[0]) for column in cursor.description]
                self.outcome.funnel_rows = [list(row) for row in cursor.fetchall()]
                for table, expected in self._oracle.counts().items():
                    cursor.execute(f'SELECT COUNT(*) FROM {self.outcome.schema}."{table}"')  # noqa: S608 - our own names
                    actual = int(cursor.fetchall()[0][0])
                    self.outcome.checks.append(Check(table, expected, actual))
            finally:
                connection.close()
            refused = self._oracle.rejected["events"] + self._oracle.rejected["user_updates"]
            self.outcome.checks.append(Check("dead letters", refused, self._refused))
            say("every count equal" if self.outcome.holds else "counts differ")

    def _stage(self, name: str, count: int, unit: str, seconds: float) -> None:
        self.outcome.stages.append(Stage(name, count, unit, seconds))
