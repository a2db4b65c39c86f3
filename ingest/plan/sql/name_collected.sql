-- Let the entries of a collector's files have the names that the dataset has, by `collected`; those that are of no post go, for
-- they have been told of. Where each is read from, its raw name says.
UPDATE entries SET raw_name = coalesce(raw_name, encode(entries.name)), name = collected.name FROM collected
WHERE entries.archive = collected.archive::archive_name AND entries.name = collected.path;
DELETE FROM entries WHERE fault IS NULL AND NOT companion(name)
    AND (archive, name) NOT IN (SELECT (archive::archive_name, name) FROM collected);
