#!/bin/bash
# Makes the loader's topics, each once; run inside the Kafka container. Fails until Kafka answers.
set -eu
[ -e /tmp/topics-made ] && exit 0
topic() {
    /opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9094 --create --if-not-exists \
        --topic "$1" --partitions "$2" --replication-factor 1 "${@:3}"
}
topic heap.events 4 --config retention.ms=-1
topic heap.user_updates 4 --config retention.ms=-1
topic heap.user_migrations 1 --config retention.ms=-1
topic heap.definitions 1 --config cleanup.policy=compact
topic heap.user_deletions 1 --config retention.ms=-1
topic heap.dead_letters 1 --config retention.ms=-1
touch /tmp/topics-made
