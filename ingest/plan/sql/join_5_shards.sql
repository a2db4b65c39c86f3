-- `rows`: the post shard of each post, and its row there. A local post goes to its window's shard. The others go to
-- shards of their own, cut in the order in which their last picture comes, each with about $shard_bytes of pictures. Before
-- them come those without a picture, in the order of their metadata, which counts as that of a part before the first.
CREATE TABLE local_shards AS
    SELECT first_window AS "window", (row_number() OVER (ORDER BY first_window) - 1)::INTEGER AS shard
    FROM (SELECT DISTINCT first_window FROM outcomes WHERE lost IS NULL AND first_window = last_window);
CREATE TABLE spanning AS
    WITH apart AS (
        SELECT line, last_end, bytes, bytes AS weight FROM outcomes WHERE lost IS NULL AND first_window <> last_window
        UNION ALL
        SELECT line, position + 1 - (1::BIGINT << $part_bits), 0, compressed_size
        FROM (FROM outcomes WHERE lost IS NULL AND available = 0) JOIN metadata USING (line)
        JOIN (SELECT position, compressed_size FROM entries WHERE archive = 'metadata') USING (position)
    )
    SELECT line, last_end, bytes,
           ((sum(weight) OVER (ORDER BY last_end, line ROWS UNBOUNDED PRECEDING) - weight) // $shard_bytes)::BIGINT AS cut
    FROM apart;
-- A post larger than a shard leaves cuts with no post, so the cuts that there are get numbers of their own.
CREATE TABLE spanning_shards AS
    SELECT cut, (row_number() OVER (ORDER BY cut) - 1 + (SELECT count(*) FROM local_shards))::INTEGER AS shard
    FROM (SELECT DISTINCT cut FROM spanning);
-- Rows stand in the order in which posts become complete, so that a window need not be held in memory.
CREATE TABLE rows AS
    SELECT line, shard, (row_number() OVER (PARTITION BY shard ORDER BY last_end, line) - 1)::INTEGER AS row
    FROM (
        SELECT line, last_end, shard FROM outcomes JOIN local_shards ON "window" = first_window
            WHERE lost IS NULL AND first_window = last_window
        UNION ALL
        SELECT line, last_end, shard FROM spanning JOIN spanning_shards USING (cut)
    );
