-- `copies`: of several entries with one file name the last in the directory counts, for an entry that is added again
-- replaces the one before it; these are the others, and one fault a name tells of them. An entry with a hostile name
-- replaces none: no program that leaves it out would have it do so.
-- They are as rare as repeated rows, and looked for in the same way.
CREATE TABLE copies AS
    WITH hashes AS (SELECT archive, hash(base(name)) AS h FROM entries GROUP BY ALL HAVING count(*) > 1),
    again AS MATERIALIZED (
        SELECT archive, base(name) AS base, position, name, fault IS NOT DISTINCT FROM 'name_hostile' AS hostile
        FROM entries SEMI JOIN hashes ON hashes.archive = entries.archive AND hash(base(name)) = h
    ),
    lasts AS (
        SELECT archive, base, coalesce(max(position) FILTER (NOT hostile), max(position)) AS last
        FROM again GROUP BY ALL HAVING count(*) > 1
    )
    SELECT archive, base, position, name, last FROM again JOIN lasts USING (archive, base) WHERE position <> last;
INSERT INTO faults BY NAME
    SELECT 'repeated_name' AS rank, 'duplicate_name' AS reason, false AS post_lost, archive,
           arg_min(name, position) AS entry,
           if(count(*) = 1, 'an earlier entry', count(*) || ' earlier entries')
           || ' of this name; the last in the directory counts' AS detail
    FROM copies WHERE position < last GROUP BY archive, base;
