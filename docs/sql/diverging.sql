-- Offsets at which a replica, at the end of the run, does not hold what the final log holds: another
-- record, none, or one too many. Whole batches are compared, by digest, so a record whose batch
-- differs in any byte is listed. `below_hw` says whether every replica was proved to be committed
-- beyond that offset, by a leader's high watermark in the newest epoch of that replica's log, or by
-- an acks=all acknowledgement in it.
--
-- Run duckdb.sql or spark.sql first. Written in the SQL that both understand.
--
-- Images of processes that were running are left out unless nothing changed while they were copied,
-- and so are compacted topics and partitions without a final log. A run that did not come to rest
-- may differ above the high watermark without anything being wrong: see the verdict's premises.

CREATE OR REPLACE TEMPORARY VIEW diverging AS
WITH ends AS (
    SELECT r.run, r.topic, r.partition, r.node, r.image, r.log_start, r.leo, r.newest_epoch,
           r.final_log
    FROM replicas r
    JOIN partitions p ON p.run = r.run AND p.topic = r.topic AND p.partition = r.partition
    WHERE r.is_final AND r.sound
      AND p.final_image IS NOT NULL
      AND p.cleanup_policy NOT LIKE '%compact%'
),
leader_hw AS (
    SELECT run, topic, partition, epoch, MAX(hw) AS hw
    FROM (
        SELECT run, topic, partition, epoch, hw FROM observations WHERE seen = 'leader-hw'
        UNION ALL
        SELECT run, topic, partition, epoch, hw FROM log_lines WHERE says = 'leader-starts'
        UNION ALL
        SELECT o.run, o.topic, o.partition, f.epoch, o.log_offset + 1
        FROM operations o
        JOIN records f
            ON f.run = o.run AND f.topic = o.topic AND f.partition = o.partition
            AND f.value = o.value AND f.log_offset = o.log_offset AND f.final_log
        WHERE o.outcome = 'ok' AND o.acks IN ('all', '-1')
    ) AS said
    GROUP BY run, topic, partition, epoch
),
-- From where all logs begin to where all are proved to be committed.
committed AS (
    SELECT e.run, e.topic, e.partition, MAX(e.log_start) AS log_start,
           MIN(LEAST(COALESCE(h.hw, 0), e.leo)) AS hw
    FROM ends e
    LEFT JOIN leader_hw h
        ON h.run = e.run AND h.topic = e.topic AND h.partition = e.partition
        AND h.epoch = e.newest_epoch
    GROUP BY e.run, e.topic, e.partition
),
-- Each other replica beside the final log.
pairs AS (
    SELECT e.run, e.topic, e.partition, e.node, e.image, f.image AS final_image
    FROM ends e
    JOIN ends f
        ON f.run = e.run AND f.topic = e.topic AND f.partition = e.partition AND f.final_log
    WHERE NOT e.final_log
),
ours AS (
    SELECT p.run, p.topic, p.partition, p.node, r.log_offset, r.value, r.epoch, r.batch_digest
    FROM pairs p
    JOIN records r
        ON r.run = p.run AND r.topic = p.topic AND r.partition = p.partition
        AND r.image = p.final_image
),
theirs AS (
    SELECT p.run, p.topic, p.partition, p.node, r.log_offset, r.value, r.epoch, r.batch_digest
    FROM pairs p
    JOIN records r
        ON r.run = p.run AND r.topic = p.topic AND r.partition = p.partition
        AND r.image = p.image
),
compared AS (
    SELECT COALESCE(o.run, t.run) AS run, COALESCE(o.topic, t.topic) AS topic,
           COALESCE(o.partition, t.partition) AS partition, COALESCE(o.node, t.node) AS node,
           COALESCE(o.log_offset, t.log_offset) AS log_offset,
           o.value AS leader_value, o.epoch AS leader_epoch,
           t.value AS replica_value, t.epoch AS replica_epoch,
           CASE
               WHEN t.log_offset IS NULL THEN 'missing'
               WHEN o.log_offset IS NULL THEN 'extra'
               ELSE 'different'
           END AS what
    FROM ours o
    FULL OUTER JOIN theirs t
        ON t.run = o.run AND t.topic = o.topic AND t.partition = o.partition AND t.node = o.node
        AND t.log_offset = o.log_offset
    WHERE o.log_offset IS NULL OR t.log_offset IS NULL OR o.batch_digest <> t.batch_digest
)
SELECT c.run, c.topic, c.partition, c.node, c.log_offset, c.what, c.leader_value, c.leader_epoch,
       c.replica_value, c.replica_epoch, c.log_offset < k.hw AS below_hw
FROM compared c
JOIN committed k ON k.run = c.run AND k.topic = c.topic AND k.partition = c.partition
WHERE c.log_offset >= k.log_start;

SELECT run, topic, partition, node, what, below_hw, COUNT(*) AS records,
       MIN(log_offset) AS first_offset, MAX(log_offset) AS last_offset
FROM diverging
GROUP BY run, topic, partition, node, what, below_hw
ORDER BY run, topic, partition, node, what, below_hw;
