-- A row where the metadata archive holds JSON files, and no metadata as the dataset has it.
SELECT count(*) FROM entries
WHERE archive = 'metadata' AND regexp_matches(name, '(?i)\.(info|json|json\.xz)$') AND NOT companion(name)
HAVING count(*) > 0 AND count(*) FILTER (ends_with(name, '.info')) = 0;
