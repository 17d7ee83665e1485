"""Other systems that load Kafka into Parquet, each in an environment of its own."""
