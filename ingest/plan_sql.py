"""The joins of the plan, as DuckDB statements: out of memory where they must be, the same answer every time.

Tables that go in: ``mapping`` (:data:`ingest.mapping.ROWS`), ``influencers``, and ``entries``, one row for each usable
record of both central directories, already placed. A mapped post is known by the line of its first mapping row.

Ten million rows meet twenty million here, so what is rare is looked for first by a hash, which is an integer, and only
the few that share one are compared by name; and what is rare is kept in small tables of its own.
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
CREATE MACRO base(name) AS parse_filename(name, false, 'forward_slash');
CREATE MACRO archive_name(archive) AS if(archive = 0, 'metadata', 'images');
CREATE MACRO safe(post_id) AS left(regexp_replace(post_id, '[^A-Za-z0-9_-]', '_', 'g'), 64);
"""

# One row for each mapped post: of several rows with one account and name the first counts.
POSTS = """
CREATE TABLE repeats AS
    WITH hashes AS (SELECT hash(influencer, post_id) AS h FROM mapping GROUP BY h HAVING count(*) > 1),
    again AS MATERIALIZED (FROM mapping SEMI JOIN hashes ON hash(influencer, post_id) = h),
    firsts AS (
        SELECT influencer, post_id, min(line) AS first_line, arg_min(images, line) AS images
        FROM again GROUP BY ALL HAVING count(*) > 1
    )
    SELECT a.line, influencer, post_id, a.images = f.images AS same, f.first_line
    FROM again a JOIN firsts f USING (influencer, post_id) WHERE a.line <> f.first_line;
INSERT INTO faults
    SELECT 2, if(same, 'duplicate_mapping_row', 'conflicting_mapping_row'), false, influencer, post_id,
           NULL, NULL, line, 'line ' || first_line || ' counts'
    FROM repeats;
DELETE FROM mapping WHERE line IN (SELECT line FROM repeats);
ALTER TABLE mapping RENAME TO posts;
DROP TABLE repeats;
"""

# Archive entries carry the account as a prefix that the mapping leaves out. Of several entries with one file name,
# in whatever folder, the first in the directory counts; the others are `copies`.
NAMES = """
CREATE TABLE copies AS
    WITH hashes AS (SELECT archive, hash(base(name)) AS h FROM entries GROUP BY ALL HAVING count(*) > 1),
    again AS MATERIALIZED (
        SELECT archive, base(name) AS base, position, name
        FROM entries SEMI JOIN hashes ON hashes.archive = entries.archive AND hash(base(name)) = h
    ),
    firsts AS (SELECT archive, base, min(position) AS first FROM again GROUP BY ALL HAVING count(*) > 1)
    SELECT archive, position, name FROM again JOIN firsts USING (archive, base) WHERE position <> first;
INSERT INTO faults
    SELECT 4, 'duplicate_name', false, NULL, NULL, archive_name(archive), name, NULL,
           'another entry of this name comes first in the directory'
    FROM copies;
"""

# `metadata` and `pictures`: which entry is a post's metadata, and which stands at which place of its list; null where
# the archive has none.
USES = """
CREATE TABLE metadata AS
    SELECT p.line, e.position, e.fault, e.detail FROM posts p JOIN (
        FROM entries ANTI JOIN copies USING (archive, position) WHERE archive = 0
    ) e ON base(e.name) = p.influencer || '-' || p.post_id || '.info';
CREATE TABLE pictures AS
    WITH listed AS (
        SELECT line, len(images) AS listed, influencer, unnest(images) AS picture,
               generate_subscripts(images, 1) - 1 AS image
        FROM posts
    )
    SELECT l.line, l.listed::SMALLINT AS listed, l.image::SMALLINT AS image, e.position, e."offset", e."end",
           e."window", e.compressed_size, e.fault, e.detail
    FROM listed l LEFT JOIN (
        FROM entries ANTI JOIN copies USING (archive, position) WHERE archive = 1
    ) e ON base(e.name) = l.influencer || '-' || l.picture;
INSERT INTO faults
    SELECT 5, 'unmapped_metadata', false, NULL, NULL, 'metadata', base(name), NULL, NULL
    FROM entries e ANTI JOIN copies USING (archive, position) ANTI JOIN metadata USING (position)
    WHERE e.archive = 0 AND e.fault IS NULL;
INSERT INTO faults
    SELECT 5, 'unmapped_image', false, NULL, NULL, 'images', base(name), NULL, NULL
    FROM entries e ANTI JOIN copies USING (archive, position) ANTI JOIN pictures USING (position)
    WHERE e.archive = 1 AND e.fault IS NULL;
"""

# What of each post can be had. A post needs its metadata and at least one picture; one fault says why it is lost.
# Most posts list one picture, and need no grouping.
OUTCOMES = """
CREATE TABLE outcomes AS
    WITH seen AS (
        SELECT line, 1 AS found, "window" AS first_window, "window" AS last_window, "end" AS last_end,
               compressed_size AS bytes
        FROM pictures WHERE listed = 1 AND position IS NOT NULL AND fault IS NULL
        UNION ALL
        SELECT line, count(*), min("window"), max("window"), max("end"), sum(compressed_size)::BIGINT
        FROM pictures WHERE listed > 1 AND position IS NOT NULL AND fault IS NULL GROUP BY line
    )
    SELECT p.line, len(p.images)::SMALLINT AS listed, coalesce(s.found, 0)::SMALLINT AS found, s.first_window,
           s.last_window, s.last_end, s.bytes, m.detail,
           CASE WHEN m.line IS NULL THEN 'metadata_missing'
                WHEN m.fault IS NOT NULL THEN m.fault
                WHEN s.line IS NULL THEN 'no_image' END AS lost
    FROM posts p LEFT JOIN metadata m USING (line) LEFT JOIN seen s USING (line);
INSERT INTO faults
    SELECT 0, o.lost, true, p.influencer, p.post_id,
           if(o.lost IN ('metadata_missing', 'no_image'), NULL, 'metadata'), NULL, line,
           if(o.lost = 'no_image', o.listed || ' listed', o.detail)
    FROM (FROM outcomes WHERE lost IS NOT NULL) o JOIN posts p USING (line);
INSERT INTO faults
    SELECT 1, coalesce(i.fault, 'image_missing'), false, p.influencer, p.post_id, 'images',
           p.influencer || '-' || p.images[i.image + 1], line, i.detail
    FROM (FROM pictures WHERE position IS NULL OR fault IS NOT NULL) i JOIN outcomes o USING (line)
    JOIN posts p USING (line)
    WHERE o.lost IS NULL;
INSERT INTO faults
    WITH told AS (
        SELECT 0::TINYINT AS archive, position FROM metadata WHERE fault IS NOT NULL
        UNION ALL
        SELECT 1, i.position FROM (FROM pictures WHERE fault IS NOT NULL) i JOIN outcomes o USING (line)
        WHERE o.lost IS NULL
    )
    SELECT 3, fault, false, NULL, NULL, archive_name(archive), name, NULL, detail
    FROM (FROM entries WHERE fault IS NOT NULL) ANTI JOIN told USING (archive, position);
"""

# Local posts go to their window's shard. The others go to shards of their own, in the order in which their last
# picture comes, each about as large as a window.
SHARDS = """
CREATE TABLE local_shards AS
    SELECT first_window AS "window", (row_number() OVER (ORDER BY first_window) - 1)::INTEGER AS shard
    FROM (SELECT DISTINCT first_window FROM outcomes WHERE lost IS NULL AND first_window = last_window);
CREATE TABLE spanning AS
    SELECT line, last_end, bytes,
           ((sum(bytes) OVER (ORDER BY last_end, line ROWS UNBOUNDED PRECEDING) - bytes) // $shard_bytes)::BIGINT AS cut
    FROM outcomes WHERE lost IS NULL AND first_window <> last_window;
CREATE TABLE spanning_shards AS
    SELECT cut, (row_number() OVER (ORDER BY cut) - 1 + (SELECT count(*) FROM local_shards))::INTEGER AS shard
    FROM (SELECT DISTINCT cut FROM spanning);
CREATE TABLE rows AS
    SELECT line, shard, (row_number() OVER (PARTITION BY shard ORDER BY last_end, line) - 1)::INTEGER AS row
    FROM (
        SELECT line, last_end, shard FROM outcomes JOIN local_shards ON "window" = first_window
            WHERE lost IS NULL AND first_window = last_window
        UNION ALL
        SELECT line, last_end, shard FROM spanning JOIN spanning_shards USING (cut)
    );
"""

# A key is the post id made safe; where two would be equal but for the case, both carry a hash of account and id.
KEYS = """
CREATE TABLE clashing AS
    WITH hashes AS (SELECT hash(lower(safe(post_id))) AS h FROM posts GROUP BY h HAVING count(*) > 1)
    SELECT lower(safe(post_id)) AS safe FROM posts SEMI JOIN hashes ON hash(lower(safe(post_id))) = h
    GROUP BY ALL HAVING count(*) > 1;
"""

SELECT_POSTS = """
WITH partial AS (
    SELECT line, list(position IS NOT NULL AND fault IS NULL ORDER BY image) AS found
    FROM pictures SEMI JOIN (FROM outcomes WHERE lost IS NULL AND found < listed) USING (line) GROUP BY line
)
SELECT r.shard, r.row,
       if(c.safe IS NULL, safe(post_id),
          safe(post_id) || '-' || left(sha256(p.influencer || '/' || post_id), 16)) AS key,
       p.influencer, post_id, line, p.images, coalesce(f.found, list_transform(p.images, lambda x: true)) AS found,
       i.category, i.followers, i.followees, i.posts AS influencer_posts
FROM rows r JOIN posts p USING (line)
LEFT JOIN clashing c ON c.safe = lower(safe(post_id))
LEFT JOIN influencers i ON i.influencer = p.influencer
LEFT JOIN partial f USING (line)
ORDER BY r.shard, r.row
"""

SELECT_ENTRIES = """
SELECT e.archive, e."window", e."offset", e."end", e.compressed_size, e.size, e.crc32, e.method, e.flags,
       coalesce(e.raw_name, encode(e.name)) AS name, r.shard, r.row, u.image
FROM rows r JOIN (
    SELECT line, position, (-1)::SMALLINT AS image, 0::TINYINT AS archive FROM metadata
    UNION ALL
    SELECT line, position, image, 1 FROM pictures WHERE position IS NOT NULL AND fault IS NULL
) u USING (line)
JOIN entries e ON e.archive = u.archive AND e.position = u.position
ORDER BY e.archive, e."window", e."offset", r.shard, r.row, u.image
"""

SELECT_LOCAL_SHARDS = 'SELECT "window", shard FROM local_shards'

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
