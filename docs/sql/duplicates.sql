-- Values that stand at two or more offsets of the final log, and who put them there:
--   broker    same producer id, epoch and sequence: the broker failed to recognise a copy
--   producer  same producer id, another epoch: the client library sent it again under a new epoch
--   resend    another producer id or none: nothing recognises such copies without idempotence
--
-- Run duckdb.sql or spark.sql first. Written in the SQL that both understand. Whether a copy was
-- promised not to happen is for `tidemark check` to say.

CREATE OR REPLACE TEMPORARY VIEW duplicates AS
WITH twice AS (
    SELECT run, topic, partition, value
    FROM records
    WHERE final_log AND NOT control AND value IS NOT NULL
    GROUP BY run, topic, partition, value
    HAVING COUNT(*) > 1
)
SELECT r.run, r.topic, r.partition, r.value, COUNT(*) AS copies,
       MIN(r.log_offset) AS first_offset, MAX(r.log_offset) AS last_offset,
       CASE
           WHEN COUNT(r.producer_id) < COUNT(*) OR COUNT(DISTINCT r.producer_id) > 1 THEN 'resend'
           WHEN COUNT(DISTINCT r.producer_epoch) > 1 THEN 'producer'
           WHEN COUNT(DISTINCT r.sequence) = 1 THEN 'broker'
           ELSE 'resend'
       END AS by_whom
FROM twice t
JOIN records r
    ON r.run = t.run AND r.topic = t.topic AND r.partition = t.partition AND r.value = t.value
WHERE r.final_log AND NOT r.control
GROUP BY r.run, r.topic, r.partition, r.value;

SELECT run, topic, by_whom, COUNT(*) AS values_copied, SUM(copies - 1) AS extra_copies
FROM duplicates
GROUP BY run, topic, by_whom
ORDER BY run, topic, by_whom;
