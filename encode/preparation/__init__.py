"""From post shards to batches that a model takes: reading, decoding, tokenizing, ahead of the device."""
