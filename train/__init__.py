"""From embedding shards to models, metrics and the report."""
