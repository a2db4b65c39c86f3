-- `posts`: one row for each mapped post. Of several rows with one account and post the first counts that is no malformed
-- one.
-- Few rows are repeated, so they are looked for by hash, which is an integer, and only those that share one are
-- compared by name.
CREATE TABLE repeats AS
    WITH hashes AS (SELECT hash(influencer, post_id) AS h FROM mapping GROUP BY h HAVING count(*) > 1),
    again AS MATERIALIZED (FROM mapping SEMI JOIN hashes ON hash(influencer, post_id) = h),
    firsts AS (
        SELECT influencer, post_id, coalesce(min(line) FILTER (malformed IS NULL), min(line)) AS first_line,
               arg_min(images, line) FILTER (malformed IS NULL) AS images
        FROM again GROUP BY ALL HAVING count(*) > 1
    )
    SELECT a.line, influencer, post_id, a.malformed, a.images = f.images AS same, f.first_line
    FROM again a JOIN firsts f USING (influencer, post_id) WHERE a.line <> f.first_line;
INSERT INTO faults BY NAME
    SELECT 'repeated_row' AS rank,
           CASE WHEN malformed IS NOT NULL THEN 'malformed_mapping_row'
                WHEN same THEN 'duplicate_mapping_row'
                ELSE 'conflicting_mapping_row' END AS reason,
           false AS post_lost, influencer, post_id, line,
           if(malformed IS NULL, '', malformed || '; ') || 'line ' || first_line || ' counts' AS detail
    FROM repeats;
DELETE FROM mapping WHERE line IN (SELECT line FROM repeats);
ALTER TABLE mapping RENAME TO posts;
DROP TABLE repeats;
-- How many there are, of which a selection may leave most out.
CREATE TABLE mapped AS SELECT count(*) AS posts FROM posts;
-- An account that influencers.txt lacks is told of once, whatever the number of its posts; not where there is none.
INSERT INTO faults BY NAME
    SELECT 'missing_account' AS rank, 'influencer_missing' AS reason, false AS post_lost, influencer, min(line) AS line,
           count(*) || ' mapped posts' AS detail
    FROM posts ANTI JOIN influencers USING (influencer) WHERE EXISTS (FROM influencers) GROUP BY influencer;
