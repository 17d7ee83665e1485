from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from loader import config
from loader.local.environment import (
    Environment,
    KafkaEnvironment,
    RedshiftEnvironment,
    S3Environment,
    render_config,
    settings,
)


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    return Environment(
        kafka=KafkaEnvironment("127.0.0.1:20001"),
        s3=S3Environment("http://127.0.0.1:20002", "heap-lake", "KEY", 'se"cret\\', "us-east-1"),
        redshift=RedshiftEnvironment(
            "127.0.0.1", 20003, "dev", "heap", "pass'word", "main_production"
        ),
        config=tmp_path / "heap-loader.toml",
    )


def test_the_document_is_the_documented_one(env: Environment) -> None:
    assert json.loads(json.dumps(env.document())) == {
        "kafka": {"bootstrap_servers": "127.0.0.1:20001"},
        "s3": {
            "endpoint_url": "http://127.0.0.1:20002",
            "bucket": "heap-lake",
            "access_key_id": "KEY",
            "secret_access_key": 'se"cret\\',
            "region": "us-east-1",
        },
        "redshift": {
            "host": "127.0.0.1",
            "port": 20003,
            "database": "dev",
            "user": "heap",
            "password": "pass'word",
            "schema": "main_production",
        },
        "config": str(env.config),
    }


def test_the_loader_reads_the_written_configuration(env: Environment) -> None:
    env.config.write_text(render_config(env))
    read = config.load(env.config, environment={})
    assert read.kafka.bootstrap_servers == "127.0.0.1:20001"
    assert read.lake.url == "s3://heap-lake"
    assert read.lake.endpoint_url == "http://127.0.0.1:20002"
    assert read.lake.secret_access_key is not None
    assert read.lake.secret_access_key.get_secret_value() == 'se"cret\\'
    assert (read.warehouse.host, read.warehouse.port) == ("127.0.0.1", 20003)
    assert read.warehouse.password.get_secret_value() == "pass'word"
    assert read.warehouse.db_schema == "main_production"
    assert read.warehouse.sslmode == "disable"
    assert read.warehouse.copy_credentials.access_key_id == "KEY"
    assert read.topics == config.Topics()


def test_a_test_or_a_demo_may_ask_for_names_of_its_own(env: Environment) -> None:
    document = settings(
        env, lake_prefix="a/b", schema="other", topics={"events": "mine"}, group_id="g"
    )
    read = config.Settings.model_validate(document)
    assert read.lake.url == "s3://heap-lake/a/b"
    assert read.warehouse.db_schema == "other"
    assert read.topics.events.name == "mine"
    assert read.topics.dead_letters.name == "heap.dead_letters"
    assert read.kafka.group_id == "g"


def test_no_secret_in_a_repr(env: Environment) -> None:
    assert 'se"cret' not in repr(env)
    assert "pass'word" not in repr(env)


def test_the_file_says_where_it_comes_from(env: Environment) -> None:
    text = render_config(env)
    assert text.startswith("# Written by `heap-loader local up`")
    assert set(tomllib.loads(text)) == {"kafka", "topics", "lake", "warehouse"}
