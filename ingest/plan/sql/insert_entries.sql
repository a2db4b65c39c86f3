-- Put the placed entries `incoming` of $archive into `entries`, with what is wrong with each: first what its record
-- shows, then what its neighbours show, then its size.
INSERT INTO entries BY NAME
SELECT * EXCLUDE (fault, detail, overlapping, largest), $archive AS archive,
       CASE WHEN fault IS NOT NULL THEN fault
            WHEN overlapping THEN 'overlap'
            WHEN largest > $max_entry THEN 'too_large' END AS fault,
       CASE WHEN fault IS NOT NULL THEN detail
            WHEN overlapping THEN 'at byte ' || ("offset" & ((1::BIGINT << $part_bits) - 1)) || ' of part '
                || (("offset" >> $part_bits) + 1)
            WHEN largest > $max_entry THEN largest || ' bytes, the limit is ' || $max_entry END AS detail
FROM (SELECT *, greatest(size, compressed_size) AS largest FROM incoming);
