"""From split zips to post shards: archives read in place, the plan, and the three ingest stages."""
