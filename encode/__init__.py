"""From post shards to embedding shards."""
