"""The run's own Kafka and S3, with a proxy before each for every worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from loader.local.kafka_broker import TOPICS, KafkaFromJars, TopicSpec, create_topics
from loader.local.object_server import BUCKET, REGION, SeaweedFS
from loader.local.parts import Place
from loader.local.ports import HOST
from loader.local.program_part import ProgramPart
from loader.local.state import StateFile
from soak.options import SESSION_SECONDS, Options
from soak.proxy import Address, Proxy, Route
from soak.requests import kafka_request, s3_request

READERS: Final = ("events", "user_updates")
_READY_WITHIN: Final = 120.0


class ProxiedKafka(KafkaFromJars):
    """The broker with one more listener for each worker, which is advertised as the worker's proxy.

    Args:
        proxies: ports of the proxies, by worker.
    """

    def __init__(self, proxies: list[int]) -> None:
        self._proxies = proxies
        names = [self.port_name(worker) for worker in range(len(proxies))]
        self.port_names = (*KafkaFromJars.port_names, *names)

    @staticmethod
    def port_name(worker: int) -> str:
        """Name of the port behind a worker's proxy."""
        return f"kafka_worker_{worker}"

    def settings(self, place: Place) -> Mapping[str, str]:
        """The stack's settings, the listeners, and sessions as short as the run wants them."""
        ours = dict(super().settings(place))
        for worker, proxy in enumerate(self._proxies):
            name = f"WORKER{worker}"
            ours["listeners"] += f",{name}://{HOST}:{place.ports[self.port_name(worker)]}"
            ours["advertised.listeners"] += f",{name}://{HOST}:{proxy}"
            ours["listener.security.protocol.map"] += f",{name}:PLAINTEXT"
        session = str(int(SESSION_SECONDS * 1000))
        ours |= {
            "inter.broker.listener.name": "PLAINTEXT",
            "group.consumer.session.timeout.ms": session,
            "group.consumer.min.session.timeout.ms": session,
            "group.consumer.heartbeat.interval.ms": "500",
            "group.consumer.min.heartbeat.interval.ms": "500",
        }
        return ours


class Outages:
    """When a dependency was away, so that an exit for its absence can be told from a bug."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._spans: list[tuple[float, float | None]] = []

    def begin(self) -> None:
        """It is about to go."""
        with self._guard:
            self._spans.append((time.monotonic(), None))

    def end(self) -> None:
        """It answers again."""
        with self._guard:
            start, _ = self._spans[-1]
            self._spans[-1] = (start, time.monotonic())

    def touch(self, seconds: float) -> bool:
        """Whether one was under way within the last ``seconds``."""
        since = time.monotonic() - seconds
        with self._guard:
            return any(end is None or end >= since for _, end in self._spans)


class SoakStack:
    """Kafka and S3 in ``folder``, reached directly and through proxies."""

    def __init__(self, folder: Path, options: Options) -> None:
        self._options = options
        self._proxy = Proxy()
        folder.mkdir(parents=True, exist_ok=True)
        self._states = StateFile(folder)
        self._states.load()
        self._states.create()
        seed, workers = options.seed, range(options.workers)
        self.kafka_routes: list[Route] = [
            self._proxy.add(
                partial(self._address, ProxiedKafka.port_name(n)),
                kafka_request,
                options.faults / 10,
                f"kafka {n} {seed}",
            )
            for n in workers
        ]
        self.s3_routes: list[Route] = [
            self._proxy.add(
                partial(self._address, "s3"), s3_request, options.faults, f"s3 {n} {seed}"
            )
            for n in workers
        ]
        kafka = ProxiedKafka([route.port for route in self.kafka_routes])
        self._kafka = ProgramPart(kafka, folder, self._states, ready_within=_READY_WITHIN)
        self._s3 = ProgramPart(SeaweedFS(), folder, self._states, ready_within=_READY_WITHIN)
        self.outages = Outages()

    def up(self) -> None:
        """Start both and make the topics."""
        self._kafka.up(_silent)
        self._s3.up(_silent)
        partitions = self._options.partitions
        create_topics(
            self.bootstrap_servers,
            [TopicSpec(f"soak.{key}", partitions, TOPICS[key].config) for key in READERS],
        )

    def away(self, part: str, how: str, seconds: float) -> None:
        """End the broker or S3 by SIGKILL or SIGTERM, wait, and start it again."""
        chosen = self._kafka if part == "broker" else self._s3
        self.outages.begin()
        try:
            chosen.down(_silent, forget=how == "kill")
            time.sleep(seconds)
            chosen.up(_silent)
        finally:
            self.outages.end()

    def down(self) -> None:
        """End everything."""
        try:
            self._kafka.down(_silent, forget=True)
            self._s3.down(_silent, forget=True)
        finally:
            self._proxy.close()

    @property
    def bootstrap_servers(self) -> str:
        """The broker itself."""
        return f"{HOST}:{self._states.state.ports['kafka']}"

    def s3(self) -> dict[str, str]:
        """Arguments of a boto3 client of the S3 server itself."""
        state = self._states.state
        return {
            "endpoint_url": f"http://{HOST}:{state.ports['s3']}",
            "aws_access_key_id": state.access_key_id,
            "aws_secret_access_key": state.secret_access_key,
            "region_name": REGION,
        }

    def settings(self, worker: int | None) -> dict[str, Any]:
        """The loader's configuration: of a worker behind its proxies, or (None) without any."""
        s3, servers = self.s3(), self.bootstrap_servers
        client: dict[str, str | int] = {}
        if worker is not None:
            s3["endpoint_url"] = f"http://{HOST}:{self.s3_routes[worker].port}"
            servers = f"{HOST}:{self.kafka_routes[worker].port}"
            client = self._options.client()
        names = {key: f"soak.{key}" if key in READERS else TOPICS[key].name for key in TOPICS}
        return {
            "kafka": {"bootstrap_servers": servers, "group_id": "soak", "client": client},
            "topics": {
                key: {"name": name, "format": self._options.format} for key, name in names.items()
            },
            "lake": {
                "url": f"s3://{BUCKET}/soak",
                "endpoint_url": s3["endpoint_url"],
                "region": REGION,
                "access_key_id": s3["aws_access_key_id"],
                "secret_access_key": s3["aws_secret_access_key"],
            },
        }

    def _address(self, port: str) -> Address:
        return HOST, self._states.state.ports[port]


def _silent(_part: str, _state: str, _detail: str) -> None:
    """Report nothing."""


def quiet(route: Route) -> None:
    """Harm nothing any more."""
    route.trap = None
    route.rate = 0.0
