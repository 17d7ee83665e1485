"""The consumer on a real broker and a real S3 server."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest
from confluent_kafka import Consumer, TopicPartition
from structlog.testing import capture_logs

from loader.config import Settings
from loader.consumer import app
from loader.consumer.effects import Effect, Effects, Side
from loader.consumer.observer import Observer
from loader.consumer.progress import Place, Progress, Target
from loader.consumer.topics import ends_now, wait_for_topics
from loader.errors import NeedsOperator, Unreachable, UsageError
from loader.kafka.clients import Cluster
from loader.lake.commit_log import commit_log
from loader.lake.s3 import S3Store
from tests.support.kafka import event, produce, read_all
from tests.support.lake import assert_each_offset_once, records, rows


def consume(settings: Settings) -> Progress:
    return app.run(settings, until_caught_up=True, stop=threading.Event())


def with_batch(settings: Settings, max_rows: int, max_age: float = 60.0) -> Settings:
    limits = {"max_rows": max_rows, "max_age": max_age}
    return settings.model_copy(update={"batch": settings.batch.model_copy(update=limits)})


def test_every_message_becomes_one_row(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce(settings.kafka.bootstrap_servers, topic, [event(n) for n in range(500)])
    progress = consume(settings)
    assert (progress.read, progress.written, progress.dead_lettered) == (500, 500, 0)
    store = S3Store.open(settings.lake)
    table = rows(store, topic)
    assert sorted(table.column("event_id").to_pylist()) == list(range(500))
    assert set(table.column("_topic").to_pylist()) == {topic}
    assert all(arrival is not None for arrival in table.column("_arrival_time").to_pylist())


def test_all_messages_are_given_back_to_the_client(settings: Settings) -> None:
    """A client that misses some does not close."""
    produce(settings.kafka.bootstrap_servers, settings.topics.events.name, [event(1), event(2)])
    with capture_logs() as lines:
        assert consume(settings).read == 2
    assert any(line["event"] == "batch" for line in lines)
    assert "the Kafka client did not close in time" not in {line["event"] for line in lines}


def test_a_second_run_goes_on_where_the_lake_ends(settings: Settings) -> None:
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    produce(servers, topic, [event(n) for n in range(100)])
    assert consume(settings).read == 100
    assert consume(settings).read == 0
    produce(servers, topic, [event(n) for n in range(100, 250)])
    assert consume(settings).read == 150
    table = rows(S3Store.open(settings.lake), topic)
    assert sorted(table.column("event_id").to_pylist()) == list(range(250))


def test_partitions_that_go_and_come_back_in_a_bounded_run_are_read_to_the_end(
    settings: Settings,
) -> None:
    """What was polled is dropped when they go: that Kafka's end was seen then means nothing any more.

    As a worker among several: whoever started them ends them all when each partition was seen at its end.
    """
    topic, per_partition = settings.topics.events.name, 300
    for partition in range(4):
        numbers = range(partition * per_partition, (partition + 1) * per_partition)
        values = [event(n) for n in numbers]
        produce(settings.kafka.bootstrap_servers, topic, values, partition=partition)
    client = {**settings.kafka.client, "partition.assignment.strategy": "range"}
    settings = with_batch(settings, 10).model_copy(
        update={"kafka": settings.kafka.model_copy(update={"client": client})}
    )
    writing, left = threading.Event(), threading.Event()

    def slow(effect: Effect, _side: Side) -> None:
        """Until another member has come and gone, most of the batches wait behind those in writing."""
        if effect is Effect.PUT_RECORD:
            writing.set()
            left.wait(1.0)

    def come_and_go() -> None:
        """Another member takes all partitions of its share from the first one, and leaves."""
        writing.wait(60)
        came = threading.Event()
        other = Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": settings.kafka.group_id,
                **client,
            }
        )
        other.subscribe([topic], on_assign=lambda *_: came.set())
        while not came.is_set():
            other.poll(0.1)
        other.close()
        left.set()

    class Supervising(Observer):
        def settled(self, places: Iterable[Place]) -> None:
            super().settled(places)
            if target.ends.keys() <= set(self.reached):
                stop.set()

    cluster, stop = Cluster(settings.kafka), threading.Event()
    ends = ends_now(cluster, wait_for_topics(cluster, settings, stop, bounded=True)).ends
    target = Target(ends, shared=True)
    guest = threading.Thread(target=come_and_go)
    guest.start()
    progress = app.run(
        settings, target=target, stop=stop, observer=Supervising(), effects=Effects(slow)
    )
    guest.join()
    assert progress.read == 4 * per_partition
    store = S3Store.open(settings.lake)
    assert_each_offset_once(store, topic, dict.fromkeys(range(4), per_partition))


def test_the_lake_is_the_truth_when_the_group_is_forgotten(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce(settings.kafka.bootstrap_servers, topic, [event(n) for n in range(50)])
    consume(settings)
    other = settings.model_copy(
        update={"kafka": settings.kafka.model_copy(update={"group_id": "another"})}
    )
    assert consume(other).read == 0


def test_bad_messages_go_to_the_dead_letters_and_the_batch_goes_on(settings: Settings) -> None:
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    bad = [b"{", None, b"", b'{"event_id":1}', b"\xff\xfe"]
    good = [event(n) for n in range(20)]
    produce(servers, topic, [*good[:10], *bad, *good[10:]], partition=1)
    progress = consume(settings)
    assert (progress.read, progress.written, progress.dead_lettered) == (25, 20, 5)
    letters = read_all(servers, settings.topics.dead_letters.name)
    assert [letter.value() for letter in letters] == bad
    for offset, letter in enumerate(letters, start=10):
        headers = dict(letter.headers() or [])
        assert headers["dl-topic"] == topic.encode()
        assert headers["dl-partition"] == b"1"
        assert headers["dl-offset"] == str(offset).encode()
        assert headers["dl-reason"]
        assert headers["dl-error"]
    (record,) = records(S3Store.open(settings.lake), topic)
    assert sum(record.dead_letter_reasons.values()) == 5


def test_a_flood_of_bad_messages_stops_the_consumer_before_anything_is_written(
    settings: Settings,
) -> None:
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    produce(servers, topic, [b"garbage"] * 1500, partition=0)
    with pytest.raises(NeedsOperator, match=r"1500 of 1500 messages from offset 0 are refused"):
        consume(settings)
    assert read_all(servers, settings.topics.dead_letters.name) == []
    assert records(S3Store.open(settings.lake), topic) == []


def test_batches_close_on_rows_and_the_chain_has_no_gap(settings: Settings) -> None:
    topic = settings.topics.events.name
    produce(settings.kafka.bootstrap_servers, topic, [event(n) for n in range(3000)], partition=2)
    progress = consume(with_batch(settings, 500))
    assert progress.batches >= 1
    assert_each_offset_once(S3Store.open(settings.lake), topic, {2: 3000})


def test_a_partition_far_behind_does_not_hold_up_the_others(settings: Settings) -> None:
    """The backlog fills batch after batch; a single live message is written between them."""
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    produce(servers, topic, [event(n) for n in range(20_000)], partition=0)
    produce(servers, topic, [event(20_000)], partition=1)
    consume(with_batch(settings, 500))
    store = S3Store.open(settings.lake)
    assert_each_offset_once(store, topic, {0: 20_000, 1: 1})
    created = {
        partition: [r.created for r in records(store, topic) if r.partition == partition]
        for partition in (0, 1)
    }
    assert len(created[0]) == 40
    assert created[1][0] < created[0][-1]


def test_two_workers_of_one_group_read_each_offset_once(settings: Settings) -> None:
    """They join one after the other, so partitions move from one to the other in mid-flight."""
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    small = with_batch(settings, 200, max_age=2.0)
    produce(servers, topic, [event(n) for n in range(4000)])
    stop = threading.Event()
    errors: list[BaseException] = []
    first_batch = threading.Event()

    def work() -> None:
        try:
            app.run(small, stop=stop, on_progress=lambda _: first_batch.set())
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    first = threading.Thread(target=work)
    first.start()
    assert first_batch.wait(60)
    second = threading.Thread(target=work)
    second.start()
    produce(servers, topic, [event(n) for n in range(4000, 8000)])
    ends = _ends(servers, topic)
    store = S3Store.open(settings.lake)
    try:
        _await_chain(store, topic, ends, errors)
    finally:
        stop.set()
        first.join()
        second.join()
    assert errors == []
    assert_each_offset_once(store, topic, ends)


def test_a_group_that_is_ahead_of_the_lake_stops_the_consumer(settings: Settings) -> None:
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    produce(servers, topic, [event(n) for n in range(30)], partition=0)
    group = Consumer({"bootstrap.servers": servers, "group.id": settings.kafka.group_id})
    group.commit(offsets=[TopicPartition(topic, 0, 20)], asynchronous=False)
    group.close()
    with pytest.raises(NeedsOperator, match=r"committed offset 20, the lake has nothing"):
        consume(settings)


def test_a_lake_with_other_buckets_is_refused(settings: Settings) -> None:
    consume(settings)
    lake = settings.lake.model_copy(update={"buckets": settings.lake.buckets + 1})
    with pytest.raises(UsageError, match="buckets"):
        consume(settings.model_copy(update={"lake": lake}))


def test_a_missing_topic_is_named(settings: Settings) -> None:
    events = settings.topics.events.model_copy(update={"name": "no.such.topic"})
    topics = settings.topics.model_copy(update={"events": events})
    with pytest.raises(Unreachable, match=r"has no topic no\.such\.topic"):
        consume(settings.model_copy(update={"topics": topics}))


def test_stop_drops_the_open_batch_and_the_next_run_reads_it(settings: Settings) -> None:
    """What SIGTERM does: nothing half-written, nothing lost."""
    topic = settings.topics.events.name
    produce(settings.kafka.bootstrap_servers, topic, [event(n) for n in range(40)])
    stop = threading.Event()
    threading.Timer(3.0, stop.set).start()
    app.run(settings, stop=stop)
    consume(settings)
    store = S3Store.open(settings.lake)
    assert_each_offset_once(store, topic, _ends(settings.kafka.bootstrap_servers, topic))
    assert rows(store, topic).num_rows == 40


def _ends(servers: str, topic: str) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "ends"})
    try:
        return {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1]
            for p in range(4)
        }
    finally:
        consumer.close()


def _await_chain(
    store: S3Store, topic: str, ends: dict[int, int], errors: list[BaseException]
) -> None:
    log = commit_log(store)
    pause = threading.Event()
    for _ in range(600):
        tails = {p: log.tail(topic, p) for p, end in ends.items() if end}
        if errors or all(tail and tail.next == ends[p] for p, tail in tails.items()):
            return
        pause.wait(0.1)
    raise AssertionError(f"the lake did not catch up: {tails}")
