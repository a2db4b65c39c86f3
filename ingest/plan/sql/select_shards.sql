-- shards.parquet, with the place at which a shard is complete in place of the part in which that is: one without a picture
-- before all parts.
SELECT r.shard, if(r.shard < (SELECT count(*) FROM local_shards), 'window', 'spanning') AS kind,
       any_value(l."window") AS "window", count(*) AS posts, sum(o.available)::BIGINT AS images,
       coalesce(sum(o.bytes), 0)::BIGINT AS image_bytes, coalesce(max(o.last_end), -1) AS last_end
FROM rows r JOIN outcomes o USING (line) LEFT JOIN local_shards l USING (shard)
GROUP BY r.shard ORDER BY r.shard;
