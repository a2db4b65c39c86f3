-- Rows of `mapping` where there is none: what the names of the entries say. Metadata is USERNAME-POSTID.info, as no user name
-- has a hyphen; the pictures of a post bear its id, and where they are several, a number behind it: USERNAME-POSTID_2.jpg.
-- They stand in the order of their numbers. A picture with an id of its own may be any post's, and is left to none.
INSERT INTO mapping BY NAME
    WITH named AS (
        SELECT archive, min(position) AS position, base(name) AS file FROM entries
        WHERE NOT companion(name) AND regexp_full_match(base(name), '[^-]+-[^\x00-\x1f\x7f''"\\]+') GROUP BY ALL
    ),
    infos AS (
        SELECT position, split_part(file, '-', 1) AS influencer, regexp_extract(file, '^[^-]+-(.+)\.info$', 1) AS post_id
        FROM named WHERE archive = 'metadata' AND regexp_matches(file, '^[^-]+-.+\.info$')
    ),
    stems AS (
        SELECT split_part(file, '-', 1) AS influencer, substr(file, position('-' IN file) + 1) AS picture,
               regexp_replace(substr(file, position('-' IN file) + 1), $picture_suffix, '') AS stem
        FROM named WHERE archive = 'images' AND regexp_matches(file, $picture_suffix)
    ),
    numbered AS (
        SELECT s.influencer, regexp_replace(stem, '_\d{1,9}$', '') AS post_id, picture,
               regexp_extract(stem, '_(\d{1,9})$', 1)::INTEGER AS number
        FROM (FROM stems WHERE regexp_matches(stem, '_\d{1,9}$')) s
        ANTI JOIN infos i ON i.influencer = s.influencer AND i.post_id = s.stem  -- an id may have such a number too
    ),
    owned AS (
        SELECT influencer, post_id, list(picture ORDER BY number, picture) AS images
        FROM (SELECT influencer, stem AS post_id, picture, -1 AS number FROM stems UNION ALL FROM numbered)
        GROUP BY ALL
    )
    SELECT row_number() OVER (ORDER BY i.position) AS line, i.influencer, i.post_id,
           if(len(images) > $most_pictures, NULL, coalesce(images, [])) AS images,
           if(len(images) > $most_pictures, len(images) || ' pictures are named after it', NULL) AS malformed
    FROM infos i LEFT JOIN owned USING (influencer, post_id);
