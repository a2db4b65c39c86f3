-- `clashing`: the safe post ids that more than one post has, upper and lower case being the same, for some file systems
-- take them for the same. Rare, and looked for by hash first.
CREATE TABLE clashing AS
    WITH hashes AS (SELECT hash(lower(safe(post_id))) AS h FROM posts GROUP BY h HAVING count(*) > 1)
    SELECT lower(safe(post_id)) AS safe FROM posts SEMI JOIN hashes ON hash(lower(safe(post_id))) = h
    GROUP BY ALL HAVING count(*) > 1;
