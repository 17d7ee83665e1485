"""Kafka clients, configured in one place."""
