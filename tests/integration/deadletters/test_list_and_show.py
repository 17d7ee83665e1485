"""What was refused, listed and shown, through the console script and below it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from loader.config import Settings
from loader.consumer.progress import Progress
from loader.deadletters.letters import Filters, Origin, Place, State
from loader.deadletters.reading import find, listing
from loader.errors import UsageError
from loader.kafka.dead_letters import DeadLetter, KafkaDeadLetters
from loader.lake.s3 import S3Store
from tests.support.cli import heap_loader
from tests.support.kafka import event, produce

Consume = Callable[[Settings], Progress]
BAD = [b"{", None, b"", b'{"event_id":1}', b"\xff\xfe\x00\x1b[31m"]


@pytest.fixture
def refused(settings: Settings, consume: Consume) -> str:
    """Five bad messages at offsets 2 to 6 of events[1], two bad ones of user updates; the topic."""
    servers, topics = settings.kafka.bootstrap_servers, settings.topics
    good = [event(n) for n in range(4)]
    produce(servers, topics.events.name, [*good[:2], *BAD, *good[2:]], partition=1)
    produce(servers, topics.user_updates.name, [b"[]", b"{}"], partition=0)
    assert consume(settings).dead_lettered == 7
    return topics.events.name


def cli(config: Path, *arguments: str, code: int = 0) -> str:
    done = heap_loader("--config", str(config), "dead-letters", *arguments, cwd=config.parent)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_every_letter_is_one_line_with_its_reason_and_the_summary_counts_them(
    refused: str, settings: Settings, config_file: Path
) -> None:
    lines = cli(config_file, "list").splitlines()
    letters = [line for line in lines if " bytes  counted  " in line]
    assert len(letters) == 7
    assert any(f"{refused}[1]:3  null_value  20" in line for line in letters)
    assert any(f"{refused}  missing_field: 1 messages in 1 letters" in line for line in lines)
    assert lines[-1] == f"{settings.topics.dead_letters.name}: 7 refused messages."

    document = json.loads(cli(config_file, "list", "--json"))
    assert document["total"] == 7
    assert sum(row["letters"] for row in document["summary"]) == 7
    assert {one["dl_offset"] for one in document["letters"] if one["dl_topic"] == refused} == set(
        range(2, 7)
    )
    assert all(one["counted"] and one["copies"] == 1 for one in document["letters"])


def test_filters(refused: str, settings: Settings, config_file: Path) -> None:
    day = 946_684_800_000_000
    for filters, count in [
        (Filters(), 7),
        (Filters(topic=refused), 5),
        (Filters(reason="null_value"), 1),
        (Filters(partition=1), 5),
        (Filters(partition=3), 0),
        (Filters(since_us=day), 7),
        (Filters(until_us=day), 0),
        (Filters(topic=refused, reason="null_value", partition=1, since_us=day), 1),
        (Filters(topic=refused, from_offset=3, to_offset=6), 3),
        (Filters(from_offset=7), 0),
    ]:
        found = listing(settings, filters)
        assert (len(found.found), found.letters) == (count, count), filters
    options = ("--topic", refused, "--partition", "1", "--until", "9999-01-01", "--limit", "3")
    document = json.loads(
        cli(config_file, "list", "--json", *options, "--since", "2000-01-01T00:00:00+02:00")
    )
    assert (len(document["letters"]), document["total"]) == (3, 5)
    offsets = ("--topic", refused, "--from-offset", "4", "--to-offset", "6")
    document = json.loads(cli(config_file, "list", "--json", *offsets))
    assert sorted(one["dl_offset"] for one in document["letters"]) == [4, 5]


def test_a_limit_says_how_many_more_there_are(refused: str, config_file: Path) -> None:
    assert "... and 2 more." in cli(config_file, "list", "--topic", refused, "--limit", "3")


def test_show_by_both_names_escapes_what_a_terminal_would_obey(
    refused: str, config_file: Path
) -> None:
    text = cli(config_file, "show", f"{refused}:1:2")
    assert "reason   not_decodable" in text
    assert text.endswith("value    1 bytes\n{\n")
    binary = cli(config_file, "show", f"{refused}:1:6")
    assert "\x1b" not in binary
    assert "00000000  ff fe 00 1b 5b 33 31 6d" in binary
    letters = json.loads(cli(config_file, "list", "--json", "--topic", refused))["letters"]
    null = next(one for one in letters if one["dl_reason"] == "null_value")
    shown = json.loads(cli(config_file, "show", f"{null['partition']}:{null['offset']}", "--json"))
    assert (shown["dl_offset"], shown["value"], shown["key"]) == (3, None, {"text": "key"})


def test_raw_is_the_value_byte_by_byte(refused: str, config_file: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from loader.cli import main; main()"),
            *("--config", str(config_file), "dead-letters", "show", f"{refused}:1:6", "--raw"),
        ],
        check=True,
        capture_output=True,
    )
    assert done.stdout == BAD[-1]


def test_what_does_not_exist_is_named_with_exit_2(settings: Settings, config_file: Path) -> None:
    for arguments, said in [
        (("show", "0:999999"), "holds no letter at 0:999999"),
        (("show", "77:0"), "holds no letter at 77:0"),
        (("show", "heap.events:0:1"), "holds no letter about heap.events[0]:1"),
        (("show", "nonsense"), "names no letter"),
        (("list", "--since", "yesterday"), "is no time"),
    ]:
        assert said in cli(config_file, *arguments, code=2)


def test_an_empty_topic_and_messages_that_are_no_letters(
    settings: Settings, consume: Consume
) -> None:
    assert listing(settings, Filters()).letters == 0
    produce(settings.kafka.bootstrap_servers, settings.topics.dead_letters.name, [b"hello"])
    found = listing(settings, Filters())
    assert (found.letters, found.strangers) == (0, 1)
    with pytest.raises(UsageError, match="holds no letter at 0:0"):
        find(settings, Place(0, 0))


def letter(topic: str, offset: int, value: bytes | None = b"?") -> DeadLetter:
    return DeadLetter(topic, 0, offset, b"k", value, [], "not_decodable", "once", 1_700_000_000_000)


def test_the_lake_says_which_letters_count(settings: Settings, consume: Consume) -> None:
    """A crash between letter and record leaves a letter; what counts is decided by the second read."""
    topic = settings.topics.events.name
    produce(
        settings.kafka.bootstrap_servers, topic, [event(0), b"?", event(2), event(3)], partition=0
    )
    sink = KafkaDeadLetters(settings.kafka, settings.topics.dead_letters.name)
    sink.send([letter(topic, 1), letter(topic, 2), letter("of.another.loader", 0)])
    before = {str(one.letter.origin): one.state for one in listing(settings, Filters()).found}
    assert before == {
        f"{topic}[0]:1": State.PENDING,
        f"{topic}[0]:2": State.PENDING,
        "of.another.loader[0]:0": State.UNKNOWN,
    }
    consume(settings)
    found = listing(settings, Filters()).found
    after = {one.letter.origin.offset: one for one in found if one.letter.origin.topic == topic}
    assert after[1].state is State.COUNTED
    assert len(after[1].copies) == 2
    assert after[1].letter.error != "once"
    assert after[2].state is State.LOADED
    sink.send([letter(topic, 4)])
    assert find(settings, Origin(topic, 0, 4))[0].state is State.PENDING


def test_looking_leaves_no_trace_in_kafka(refused: str, settings: Settings) -> None:
    name = settings.topics.dead_letters.name
    listing(settings, Filters())
    group = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": settings.kafka.group_id,
        }
    )
    try:
        committed: list[Any] = group.committed([TopicPartition(name, 0)], timeout=10)
    finally:
        group.close()
    assert committed[0].offset < 0


def test_what_comes_while_we_read_is_not_waited_for(
    refused: str, settings: Settings, store: S3Store
) -> None:
    """A topic that never stands still is read to where it ended at the start."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})

    def more(_read: int, _total: int) -> None:
        for _ in range(50):
            producer.produce(settings.topics.dead_letters.name, b"noise")
        producer.flush(10)

    found = listing(settings, Filters(), on_read=more)
    assert (found.letters, found.strangers) == (7, 0)
