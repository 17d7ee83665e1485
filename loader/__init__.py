"""heap-loader: product-analytics events from Kafka to a Parquet lake on S3 to Redshift tables."""

__version__ = "0.1.0"
