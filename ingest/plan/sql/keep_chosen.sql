-- Let go of all that is not of the posts of `chosen`: from here on the plan is that of a dataset which has no others.
-- An entry that no row lists is of no post, and is not chosen either. What was joined of all posts is joined again of
-- these.
CREATE TABLE kept_posts AS FROM posts SEMI JOIN chosen USING (line);
DROP TABLE posts;
ALTER TABLE kept_posts RENAME TO posts;
DELETE FROM faults WHERE rank NOT IN ('malformed_row', 'repeated_row', 'missing_account');
DELETE FROM faults WHERE rank = 'missing_account' AND influencer NOT IN (SELECT influencer FROM posts);
DELETE FROM faults WHERE rank = 'repeated_row' AND (influencer, post_id) NOT IN (SELECT (influencer, post_id) FROM posts);
CREATE TABLE kept AS
    WITH names AS (
        SELECT 'metadata'::archive_name AS archive, metadata_entry(influencer, post_id) AS base FROM posts
        UNION
        SELECT 'images', picture_entry(influencer, unnest(images)) FROM posts
    )
    SELECT e.* FROM entries e SEMI JOIN names ON names.archive = e.archive AND names.base = base(e.name);
DROP TABLE entries;
-- Windows are cut anew, for of a window that had $shard_bytes little may be left: within a part as before, each with
-- about as many bytes of what is read.
CREATE TABLE entries AS
    WITH cuts AS (
        SELECT archive, position, ("end" - 1) >> $part_bits AS part,
               (sum(compressed_size) OVER before_it - compressed_size)::BIGINT // $shard_bytes AS cut
        FROM kept WHERE "window" IS NOT NULL
        WINDOW before_it AS (PARTITION BY archive, ("end" - 1) >> $part_bits ORDER BY "offset", position
                             ROWS UNBOUNDED PRECEDING)
    ),
    numbered AS (
        SELECT archive, position,
               (dense_rank() OVER (PARTITION BY archive ORDER BY part, cut) - 1)::INTEGER AS "window"
        FROM cuts
    )
    SELECT kept.* REPLACE (n."window" AS "window") FROM kept LEFT JOIN numbered n USING (archive, position);
DROP TABLE kept;
DROP TABLE chosen;
DROP TABLE IF EXISTS copies;
DROP TABLE IF EXISTS metadata;
DROP TABLE IF EXISTS pictures;
DROP TABLE IF EXISTS unmapped;
DROP TABLE IF EXISTS outcomes;
