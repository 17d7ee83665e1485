"""``heap-loader consume``: one worker in this process, or several in processes of their own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable

from loader import config
from loader.consumer.overview import Overview
from loader.consumer.progress import Progress, Target
from loader.consumer.reports import Report, Start
from loader.consumer.restarts import Policy
from loader.consumer.serving import served
from loader.consumer.signals import stop_on_signals
from loader.consumer.supervisor import Supervisor
from loader.consumer.topics import ends_now, wait_for_topics
from loader.errors import UsageError
from loader.kafka.clients import Cluster

#: Failures in a row of one worker after which a bounded run gives up. A service never does.
_ATTEMPTS = 5


def consume(
    settings: config.Settings,
    *,
    until_caught_up: bool = False,
    verbose: bool = False,
    json_logs: bool = True,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Consume events and user updates into the lake with ``consumer.workers`` workers.

    Installs handlers for SIGTERM and SIGINT: of the main thread only.

    Args:
        settings: the whole configuration.
        until_caught_up: end at the high watermarks seen at start.
        verbose: workers log debug lines too.
        json_logs: workers log JSON.
        on_progress: called with what all workers have done, after each report.

    Returns:
        What all workers did. What a killed one had not reported yet is missing; the lake has it.

    Raises:
        UsageError: the configuration does not fit, or the address of the metrics cannot be had.
        NeedsOperator: data would be lost.
        Unreachable: Kafka or the lake stayed away.
    """
    if settings.consumer.workers == 1:
        return _here(settings, until_caught_up, on_progress)
    if "group.instance.id" in settings.kafka.client:
        raise UsageError(
            "kafka.client.group.instance.id would be the same for all workers.",
            hint="Set consumer.static_id instead: worker i joins as <static_id>-<i>.",
        )
    target = None
    if until_caught_up:
        target = _target(settings)
    overview = Overview(settings.consumer.workers, target)
    supervisor = Supervisor(
        settings.consumer.workers,
        _program,
        lambda worker: Start(worker, settings, target, verbose, json_logs).encode(),
        overview,
        Policy(
            attempts=_ATTEMPTS if until_caught_up else None,
            stop_timeout=settings.consumer.stop_timeout,
        ),
        on_progress=lambda: on_progress(overview.progress()),
    )
    with served(settings.consumer, overview):
        asyncio.run(supervisor.run())
    return overview.progress()


def _here(
    settings: config.Settings, until_caught_up: bool, on_progress: Callable[[Progress], None]
) -> Progress:
    """The only worker needs no process of its own."""
    from loader.consumer.member import run_member  # noqa: PLC0415 - a supervisor does not need it

    stop = stop_on_signals()
    overview = Overview(1)

    def send(report: Report) -> None:
        overview.reported(0, report)
        on_progress(overview.progress())

    with served(settings.consumer, overview):
        overview.started(0)
        run_member(settings, worker=0, stop=stop, send=send, until_caught_up=until_caught_up)
    return overview.progress()


def _target(settings: config.Settings) -> Target:
    cluster = Cluster(settings.kafka)
    return ends_now(cluster, wait_for_topics(cluster, settings, threading.Event(), bounded=True))


def _program(worker: int, descriptor: int) -> list[str]:
    # -P: a folder named "loader" where the command happens to run is not this package.
    main = "loader.consumer.worker_main"
    return [sys.executable, "-P", "-m", main, str(worker), str(descriptor)]
