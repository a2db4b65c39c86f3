-- How many entries of each archive are what macOS keeps beside its files: a row for each archive that has such.
SELECT archive, count(*) FROM unmapped WHERE companion(name) GROUP BY archive ORDER BY archive;
