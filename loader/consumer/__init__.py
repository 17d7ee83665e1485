"""The consumer: from Kafka to the lake, exactly once."""
