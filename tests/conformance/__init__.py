"""What Amazon Redshift answers, statement by statement; held against the stand-in or a cluster."""
