-- `outcomes`: what can be had of each post. It needs its metadata and, unless $pictureless, at least one picture; if it
-- lacks them, `lost` is the reason. A post of one picture, as most are, needs no grouping.
CREATE TABLE outcomes AS
    WITH usable AS (
        SELECT line, 1 AS available, "window" AS first_window, "window" AS last_window, "end" AS last_end,
               compressed_size AS bytes
        FROM pictures WHERE listed = 1 AND position IS NOT NULL AND fault IS NULL
        UNION ALL
        SELECT line, count(*), min("window"), max("window"), max("end"), sum(compressed_size)::BIGINT
        FROM pictures WHERE listed > 1 AND position IS NOT NULL AND fault IS NULL GROUP BY line
    )
    SELECT p.line, coalesce(len(p.images), 0)::SMALLINT AS listed, coalesce(u.available, 0)::SMALLINT AS available,
           u.first_window, u.last_window, u.last_end, u.bytes, coalesce(p.malformed, m.detail) AS detail,
           CASE WHEN p.malformed IS NOT NULL THEN 'malformed_mapping_row'
                WHEN m.line IS NULL THEN 'metadata_missing'
                WHEN m.fault IS NOT NULL THEN m.fault
                WHEN u.line IS NULL AND NOT $pictureless THEN 'no_image' END AS lost
    FROM posts p LEFT JOIN metadata m USING (line) LEFT JOIN usable u USING (line);
INSERT INTO faults BY NAME
    SELECT 'lost_post' AS rank, o.lost AS reason, true AS post_lost, p.influencer, p.post_id,
           if(o.lost IN ('metadata_missing', 'no_image', 'malformed_mapping_row'), NULL, 'metadata') AS archive, line,
           if(o.lost = 'no_image', o.listed || ' listed', o.detail) AS detail
    FROM (FROM outcomes WHERE lost IS NOT NULL) o JOIN posts p USING (line);
-- Of a post that is lost, one fault is enough: its pictures have no part in this, nor where none were asked for.
INSERT INTO faults BY NAME
    SELECT 'lost_picture' AS rank, coalesce(i.fault, 'image_missing') AS reason, false AS post_lost, p.influencer,
           p.post_id, 'images' AS archive, picture_entry(p.influencer, p.images[i.image + 1]) AS entry, line, i.detail
    FROM (FROM pictures WHERE position IS NULL OR fault IS NOT NULL) i JOIN outcomes o USING (line)
    JOIN posts p USING (line)
    WHERE o.lost IS NULL AND NOT $text_only;
INSERT INTO faults BY NAME
    WITH reported AS (
        SELECT 'metadata'::archive_name AS archive, m.position FROM metadata m JOIN outcomes o USING (line)
            WHERE m.fault = o.lost
        UNION ALL
        SELECT 'images', i.position FROM (FROM pictures WHERE fault IS NOT NULL) i JOIN outcomes o USING (line)
        WHERE o.lost IS NULL
    )
    SELECT 'faulty_entry' AS rank, fault AS reason, false AS post_lost, archive, name AS entry, detail
    FROM (FROM entries WHERE fault IS NOT NULL) ANTI JOIN reported USING (archive, position);
