-- What the strict level refuses: the first contradiction of the metadata archive, else of the picture archive, else the
-- first name that an archive has twice. No row where there is none.
SELECT reason, entry, detail FROM (
    SELECT enum_code(archive) AS rank, position, fault AS reason, name AS entry, detail
    FROM entries WHERE fault IS NOT NULL
    UNION ALL
    SELECT 2, 0, reason, entry, detail FROM faults WHERE reason = 'duplicate_name'
) ORDER BY rank, position, entry LIMIT 1;
