-- The files of a collector that can be had, of both archives, in order.
SELECT DISTINCT name FROM entries WHERE fault IS NULL AND NOT companion(name) ORDER BY name;
