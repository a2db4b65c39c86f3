-- `metadata` and `pictures`: which entry is a post's metadata, and which stands at which place of its list of pictures;
-- the position is null where the archive has none. Archive entries carry the account, which the mapping's names do not.
CREATE TABLE metadata AS
    SELECT p.line, e.position, e.fault, e.detail FROM posts p JOIN (
        FROM entries ANTI JOIN copies USING (archive, position) WHERE archive = 'metadata'
    ) e ON base(e.name) = metadata_entry(p.influencer, p.post_id);
CREATE TABLE pictures AS
    WITH listed AS (
        SELECT line, len(images) AS listed, influencer, unnest(images) AS picture,
               generate_subscripts(images, 1) - 1 AS image
        FROM posts
    )
    SELECT l.line, l.listed::SMALLINT AS listed, l.image::SMALLINT AS image, e.position, e."offset", e."end",
           e."window", e.compressed_size, e.fault, e.detail
    FROM listed l LEFT JOIN (
        FROM entries ANTI JOIN copies USING (archive, position) WHERE archive = 'images'
    ) e ON base(e.name) = picture_entry(l.influencer, l.picture);
-- What no row lists; of one archive for both, each file is looked for once. What macOS keeps beside each file is none of it, and is told once (select_companions.sql).
CREATE TABLE unmapped AS
    SELECT 'unmapped_metadata' AS reason, archive, name
    FROM entries e ANTI JOIN copies USING (archive, position) ANTI JOIN metadata USING (position)
    WHERE e.archive = 'metadata' AND e.fault IS NULL AND (NOT $one_archive OR ends_with(name, '.info'))
    UNION ALL
    SELECT 'unmapped_image', archive, name
    FROM entries e ANTI JOIN copies USING (archive, position) ANTI JOIN pictures USING (position)
    WHERE e.archive = 'images' AND e.fault IS NULL AND NOT ($one_archive AND ends_with(name, '.info'));
INSERT INTO faults BY NAME
    SELECT 'unmapped_entry' AS rank, reason, false AS post_lost, archive, base(name) AS entry
    FROM unmapped WHERE NOT companion(name);
