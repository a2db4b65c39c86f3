-- entries.parquet: what is read, in the order in which it lies. The image -1 is METADATA_IMAGE: the entry is a post's
-- metadata. An entry that two posts list is here twice.
SELECT enum_code(e.archive)::TINYINT AS archive, e."window", e."offset", e."end", e.compressed_size, e.size, e.crc32,
       e.method, e.flags, coalesce(e.raw_name, encode(e.name)) AS name, r.shard, r.row, u.image
FROM rows r JOIN (
    SELECT line, position, (-1)::SMALLINT AS image, 'metadata'::archive_name AS archive FROM metadata
    UNION ALL
    SELECT line, position, image, 'images' FROM pictures WHERE position IS NOT NULL AND fault IS NULL
) u USING (line)
JOIN entries e ON e.archive = u.archive AND e.position = u.position
ORDER BY e.archive, e."window", e."offset", r.shard, r.row, u.image;
