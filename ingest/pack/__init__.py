"""The three stages: what the plan says becomes spools and post shards."""
