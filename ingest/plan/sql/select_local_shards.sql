-- The post shard of each picture window that has one.
SELECT "window", shard FROM local_shards;
