"""The laptop: Kafka, S3, the Redshift stand-in and traffic, all on 127.0.0.1."""
