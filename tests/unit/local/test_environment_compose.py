"""`docker-compose.yml` and its files say the same as the stack that runs without Docker."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from loader import config
from loader.local.kafka_broker import TOPICS
from loader.local.kafka_docker import IMAGE
from loader.local.postgres import USER
from loader.local.redshift.config import load_config

ROOT = Path(__file__).resolve().parents[3]
FILES = ROOT / "scripts" / "compose"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def test_every_port_is_published_on_loopback_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service["ports"]]
    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_file_and_volume_that_is_named_is_there(compose: dict[str, Any]) -> None:
    for source in compose["configs"].values():
        assert (ROOT / source["file"]).is_file()
    for service in compose["services"].values():
        assert {entry["source"] for entry in service.get("configs", [])} <= set(compose["configs"])
        assert {entry.split(":")[0] for entry in service["volumes"]} <= set(compose["volumes"])


def test_kafka_is_the_same_release(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["image"] == IMAGE


def test_the_topics_are_the_same() -> None:
    script = (FILES / "topics.sh").read_text()
    made = re.findall(r"^topic (\S+) (\d+)(?: --config (\S+)=(\S+))?$", script, re.MULTILINE)
    assert {
        (name, int(partitions), ((key, value),) if key else ())
        for name, partitions, key, value in made
    } == {(spec.name, spec.partitions, tuple(spec.config.items())) for spec in TOPICS.values()}


def test_loader_and_stand_in_lead_to_the_same_places(compose: dict[str, Any]) -> None:
    read = config.load(FILES / "heap-loader.toml", environment={})
    standin = load_config(FILES / "standin.json")
    identity = json.loads((FILES / "s3.json").read_text())["identities"][0]["credentials"][0]
    assert standin.s3 is not None
    assert read.lake.secret_access_key is not None

    assert read.lake.endpoint_url == standin.s3.endpoint_url
    assert read.lake.access_key_id == standin.s3.access_key_id == identity["accessKey"]
    assert read.lake.secret_access_key == standin.s3.secret_access_key
    assert read.lake.secret_access_key.get_secret_value() == identity["secretKey"]
    assert read.warehouse.copy_credentials.access_key_id == identity["accessKey"]
    assert (read.warehouse.host, read.warehouse.port) == (standin.listen.host, standin.listen.port)
    assert (read.warehouse.user, read.warehouse.password) == (
        standin.login.user,
        standin.login.password,
    )
    assert read.warehouse.database == standin.backend.database

    services = compose["services"]
    assert services["postgres"]["environment"]["POSTGRES_USER"] == standin.backend.user == USER
    assert services["postgres"]["ports"] == [f"127.0.0.1:{standin.backend.port}:5432"]
    assert services["kafka"]["ports"] == [f"{read.kafka.bootstrap_servers}:9092"]
    assert services["s3"]["ports"] == [f"{standin.s3.endpoint_url}:8333".removeprefix("http://")]
