-- Values that stand at two or more offsets of the final log, and who put them there:
--   broker    same producer id, epoch and sequence: the broker failed to recognise a copy
--   producer  same producer id, another epoch: the client library sent it again under a new epoch
--   resend    another producer id or none: nothing recognises such copies without idempotence
--
-- Run duckdb.sql or spark.sql first. Written in the SQL that both understand. Whether a copy was
-- promised not to happen is for `tidemark check` to say.

CREATE OR REPLACE TEMPORARY VIEW duplicates AS
SELECT run, topic, partition, value, COUNT(*) AS copies,
       MIN(log_offset) AS first_offset, MAX(log_offset) AS last_offset,
       CASE
           WHEN COUNT(producer_id) < COUNT(*) OR COUNT(DISTINCT producer_id) > 1 THEN 'resend'
           WHEN COUNT(DISTINCT producer_epoch) > 1 THEN 'producer'
           WHEN COUNT(DISTINCT sequence) = 1 THEN 'broker'
           ELSE 'resend'
       END AS by_whom
FROM records
WHERE final_log AND NOT control AND value IS NOT NULL
GROUP BY run, topic, partition, value
HAVING COUNT(*) > 1;

SELECT run, topic, by_whom, COUNT(*) AS values_copied, SUM(copies - 1) AS extra_copies
FROM duplicates
GROUP BY run, topic, by_whom
ORDER BY run, topic, by_whom;
