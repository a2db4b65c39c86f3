-- shards.parquet, with the offset at which a shard is complete in place of the part in which that is.
SELECT r.shard, if(r.shard < (SELECT count(*) FROM local_shards), 'window', 'spanning') AS kind,
       any_value(l."window") AS "window", count(*) AS posts, sum(o.available)::BIGINT AS images,
       sum(o.bytes)::BIGINT AS image_bytes, max(o.last_end) AS last_end
FROM rows r JOIN outcomes o USING (line) LEFT JOIN local_shards l USING (shard)
GROUP BY r.shard ORDER BY r.shard;
