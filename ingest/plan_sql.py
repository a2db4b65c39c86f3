"""The joins of the plan, as DuckDB statements: out of memory where they must be, the same answer every time.

Tables that go in: ``mapping`` (:data:`ingest.mapping.ROWS`), ``influencers``, and ``entries``, one row for each usable
record of both central directories, already placed. A mapped post is known by the line of its first mapping row.
"""

from __future__ import annotations

TABLES = """
CREATE TABLE mapping (line BIGINT, influencer VARCHAR, post_id VARCHAR, images VARCHAR[]);
CREATE TABLE influencers (influencer VARCHAR, category VARCHAR, followers BIGINT, followees BIGINT, posts BIGINT);
CREATE TABLE entries (
    archive TINYINT, position BIGINT, name VARCHAR, raw_name BLOB, "offset" BIGINT, "end" BIGINT,
    compressed_size BIGINT, size BIGINT, crc32 UINTEGER, method USMALLINT, flags USMALLINT, "window" INTEGER,
    fault VARCHAR, detail VARCHAR
);
CREATE TABLE faults (
    rank TINYINT, reason VARCHAR, post_lost BOOLEAN, influencer VARCHAR, post_id VARCHAR, archive VARCHAR,
    entry VARCHAR, line BIGINT, detail VARCHAR
);
"""

# One row for each mapped post: of several rows with one account and name the first counts.
POSTS = """
CREATE TABLE repeated AS
    SELECT influencer, post_id, min(line) AS first_line, arg_min(images, line) AS images
    FROM mapping GROUP BY ALL HAVING count(*) > 1;
CREATE TABLE repeats AS
    SELECT m.line, m.influencer, m.post_id, m.images = r.images AS same, r.first_line
    FROM mapping m JOIN repeated r USING (influencer, post_id) WHERE m.line <> r.first_line;
INSERT INTO faults
    SELECT 2, if(same, 'duplicate_mapping_row', 'conflicting_mapping_row'), false, influencer, post_id,
           NULL, NULL, line, 'line ' || first_line || ' counts'
    FROM repeats;
CREATE TABLE posts AS SELECT m.* FROM mapping m ANTI JOIN repeats r USING (line);
DROP TABLE mapping; DROP TABLE repeated; DROP TABLE repeats;
"""

# Archive entries carry the account as a prefix that the mapping leaves out. Of several entries with one file name,
# in whatever folder, the first in the directory counts.
NAMES = """
CREATE TABLE named AS
    SELECT archive, parse_filename(name, false, 'forward_slash') AS base, min(position) AS position,
           count(*) AS copies
    FROM entries GROUP BY 1, 2;
INSERT INTO faults
    SELECT 4, 'duplicate_name', false, NULL, NULL, if(e.archive = 0, 'metadata', 'images'), e.name, NULL,
           'another entry of this name comes first in the directory'
    FROM entries e JOIN named n
        ON e.archive = n.archive AND parse_filename(e.name, false, 'forward_slash') = n.base
    WHERE n.copies > 1 AND e.position <> n.position;
"""

# `uses`: which picture entry stands at which place of which post; null where the archive has none.
USES = """
CREATE TABLE metadata AS
    SELECT p.line, n.position FROM posts p JOIN named n
        ON n.archive = 0 AND n.base = p.influencer || '-' || p.post_id || '.info';
CREATE TABLE uses AS
    WITH listed AS (
        SELECT line, influencer, unnest(images) AS picture, generate_subscripts(images, 1) - 1 AS image FROM posts
    )
    SELECT l.line, l.image::SMALLINT AS image, n.position
    FROM listed l LEFT JOIN named n ON n.archive = 1 AND n.base = l.influencer || '-' || l.picture;
INSERT INTO faults
    SELECT 5, if(n.archive = 0, 'unmapped_metadata', 'unmapped_image'), false, NULL, NULL,
           if(n.archive = 0, 'metadata', 'images'), n.base, NULL, NULL
    FROM named n JOIN entries e ON e.archive = n.archive AND e.position = n.position
    WHERE e.fault IS NULL
      AND NOT EXISTS (FROM metadata m WHERE n.archive = 0 AND m.position = n.position)
      AND NOT EXISTS (FROM uses u WHERE n.archive = 1 AND u.position = n.position);
DROP TABLE named;
"""

# What of each post can be had. A post needs its metadata and at least one picture; one fault says why it is lost.
OUTCOMES = """
CREATE TABLE pictures AS
    SELECT u.line, u.image, u.position, e."offset", e."end", e."window", e.compressed_size, e.fault,
           e.detail
    FROM uses u LEFT JOIN entries e ON e.archive = 1 AND e.position = u.position;
DROP TABLE uses;
CREATE TABLE outcomes AS
    WITH seen AS (
        SELECT line, count(*) FILTER (position IS NOT NULL AND fault IS NULL) AS found,
               min("window") FILTER (fault IS NULL) AS first_window,
               max("window") FILTER (fault IS NULL) AS last_window,
               min("offset") FILTER (fault IS NULL) AS first_offset,
               max("end") FILTER (fault IS NULL) AS last_end,
               sum(compressed_size) FILTER (fault IS NULL) AS bytes
        FROM pictures GROUP BY line
    )
    SELECT p.line, coalesce(s.found, 0) AS found, s.first_window, s.last_window, s.first_offset, s.last_end, s.bytes,
           e.detail,
           CASE WHEN m.line IS NULL THEN 'metadata_missing'
                WHEN e.fault IS NOT NULL THEN e.fault
                WHEN coalesce(s.found, 0) = 0 THEN 'no_image' END AS lost
    FROM posts p LEFT JOIN metadata m USING (line)
    LEFT JOIN entries e ON e.archive = 0 AND e.position = m.position
    LEFT JOIN seen s ON s.line = p.line;
INSERT INTO faults
    SELECT 0, o.lost, true, p.influencer, p.post_id,
           if(o.lost IN ('metadata_missing', 'no_image'), NULL, 'metadata'), NULL, p.line,
           if(o.lost = 'no_image', len(p.images) || ' listed', o.detail)
    FROM outcomes o JOIN posts p USING (line) WHERE o.lost IS NOT NULL;
INSERT INTO faults
    SELECT 1, coalesce(i.fault, 'image_missing'), false, p.influencer, p.post_id, 'images',
           p.influencer || '-' || p.images[i.image + 1], p.line, i.detail
    FROM pictures i JOIN outcomes o USING (line) JOIN posts p USING (line)
    WHERE o.lost IS NULL AND (i.position IS NULL OR i.fault IS NOT NULL);
INSERT INTO faults
    SELECT 3, e.fault, false, NULL, NULL, if(e.archive = 0, 'metadata', 'images'), e.name, NULL, e.detail
    FROM entries e
    WHERE e.fault IS NOT NULL
      AND NOT EXISTS (FROM metadata m WHERE e.archive = 0 AND m.position = e.position)
      AND NOT EXISTS (
          FROM pictures i JOIN outcomes o USING (line)
          WHERE e.archive = 1 AND i.position = e.position AND o.lost IS NULL
      );
"""

# Local posts go to their window's shard. The others go to shards of their own, in the order in which their last
# picture comes, each about as large as a window.
SHARDS = """
CREATE TABLE local_shards AS
    SELECT first_window AS "window", (row_number() OVER (ORDER BY first_window) - 1)::INTEGER AS shard
    FROM (SELECT DISTINCT first_window FROM outcomes WHERE lost IS NULL AND first_window = last_window);
CREATE TABLE spanning AS
    SELECT line, bytes,
           ((sum(bytes) OVER (ORDER BY last_end, line ROWS UNBOUNDED PRECEDING) - bytes) // $shard_bytes)::BIGINT AS cut
    FROM outcomes WHERE lost IS NULL AND first_window <> last_window;
CREATE TABLE spanning_shards AS
    SELECT cut, (row_number() OVER (ORDER BY cut) - 1 + (SELECT count(*) FROM local_shards))::INTEGER AS shard
    FROM (SELECT DISTINCT cut FROM spanning);
CREATE TABLE rows AS
    SELECT line, shard, (row_number() OVER (PARTITION BY shard ORDER BY first_offset, line) - 1)::INTEGER AS row
    FROM (
        SELECT line, first_offset, shard FROM outcomes JOIN local_shards ON "window" = first_window
            WHERE lost IS NULL AND first_window = last_window
        UNION ALL
        SELECT line, first_offset, shard FROM spanning JOIN spanning_shards USING (cut)
            JOIN outcomes USING (line)
    );
"""

# A key is the post id made safe; where two would be equal but for the case, both carry a hash of account and id.
KEYS = """
CREATE TABLE clashing AS
    SELECT lower(left(regexp_replace(post_id, '[^A-Za-z0-9_-]', '_', 'g'), 64)) AS safe
    FROM posts GROUP BY 1 HAVING count(*) > 1;
CREATE TABLE keys AS
    WITH safe AS (
        SELECT line, influencer, post_id, left(regexp_replace(post_id, '[^A-Za-z0-9_-]', '_', 'g'), 64) AS safe
        FROM posts
    )
    SELECT line, if(c.safe IS NULL, s.safe, s.safe || '-' || left(sha256(influencer || '/' || post_id), 16)) AS key
    FROM safe s LEFT JOIN clashing c ON c.safe = lower(s.safe);
"""

SELECT_POSTS = """
SELECT r.shard, r.row, k.key, p.influencer, p.post_id, p.line, p.images,
       coalesce(f.found, [false for x in p.images]) AS found,
       i.category, i.followers, i.followees, i.posts AS influencer_posts
FROM rows r JOIN posts p USING (line) JOIN keys k USING (line)
LEFT JOIN influencers i ON i.influencer = p.influencer
LEFT JOIN (
    SELECT line, list(position IS NOT NULL AND fault IS NULL ORDER BY image) AS found FROM pictures GROUP BY line
) f ON f.line = r.line
ORDER BY r.shard, r.row
"""

SELECT_ENTRIES = """
SELECT e.archive, e."window", e."offset", e."end", e.compressed_size, e.size, e.crc32, e.method, e.flags,
       e.raw_name AS name, r.shard, r.row, u.image
FROM rows r JOIN (
    SELECT line, position, (-1)::SMALLINT AS image, 0 AS archive FROM metadata
    UNION ALL
    SELECT line, position, image, 1 FROM pictures WHERE position IS NOT NULL AND fault IS NULL
) u ON u.line = r.line
JOIN entries e ON e.archive = u.archive AND e.position = u.position
ORDER BY e.archive, e."window", e."offset", r.shard, r.row, u.image
"""

SELECT_WINDOWS = """
WITH used AS (
    SELECT e.archive, e."window", e."offset", e."end", r.shard
    FROM rows r JOIN metadata m USING (line) JOIN entries e ON e.archive = 0 AND e.position = m.position
    UNION ALL
    SELECT 1, i."window", i."offset", i."end", r.shard
    FROM rows r JOIN pictures i USING (line) WHERE i.position IS NOT NULL AND i.fault IS NULL
)
SELECT u.archive, u."window", min(u."offset") AS start, max(u."end") AS "end",
       count(DISTINCT u."offset") AS entries, any_value(l.shard) AS shard,
       bool_or(l.shard IS NULL OR l.shard <> u.shard) AS spools
FROM used u LEFT JOIN local_shards l ON u.archive = 1 AND l."window" = u."window"
GROUP BY ALL ORDER BY u.archive, u."window"
"""

SELECT_SHARDS = """
SELECT r.shard, if(r.shard < (SELECT count(*) FROM local_shards), 'window', 'spanning') AS kind,
       any_value(l."window") AS "window", count(*) AS posts, sum(o.found)::BIGINT AS images,
       sum(o.bytes)::BIGINT AS image_bytes, max(o.last_end) AS last_end
FROM rows r JOIN outcomes o USING (line) LEFT JOIN local_shards l USING (shard)
GROUP BY r.shard ORDER BY r.shard
"""

SELECT_FAULTS = """
SELECT reason, post_lost, influencer, post_id, archive, entry, line, detail
FROM faults ORDER BY rank, line, archive, entry, reason, detail
"""

TOTALS = ("mapped_posts", "planned_posts", "planned_images", "lost", "faults", "spanning_posts", "spool_bytes", "uses")
SELECT_TOTALS = """
WITH kept AS (FROM outcomes WHERE lost IS NULL)
SELECT (SELECT count(*) FROM posts), (SELECT count(*) FROM rows), (SELECT coalesce(sum(found), 0) FROM kept),
       (SELECT count(*) FROM outcomes WHERE lost IS NOT NULL), (SELECT count(*) FROM faults),
       (SELECT count(*) FROM spanning), (SELECT coalesce(sum(bytes), 0) FROM spanning),
       (SELECT count(*) FROM rows) + (SELECT coalesce(sum(found), 0) FROM kept)
"""

# What the strict level refuses: the first contradiction of either archive.
SELECT_CONTRADICTION = """
SELECT reason, entry, detail FROM (
    SELECT archive, position, fault AS reason, name AS entry, detail FROM entries WHERE fault IS NOT NULL
    UNION ALL
    SELECT 2, 0, reason, entry, detail FROM faults WHERE reason = 'duplicate_name'
) ORDER BY archive, position, entry LIMIT 1
"""

STEPS = (POSTS, NAMES, USES, OUTCOMES, SHARDS, KEYS)
