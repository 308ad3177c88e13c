-- Acknowledged records that are absent from the final log, each with the side of the high watermark
-- on which it stood: `below`, `above`, or `undetermined`.
--
-- Run duckdb.sql or spark.sql first. Written in the SQL that both understand.
--
-- What it takes as proof, in the order of docs/guarantees.md:
--   below         an acks=all send succeeded; or a consumer was given the record; or a leader's high
--                 watermark, in the epoch that accepted the record, stood beyond it
--   above         the same process, when it became a follower, said that its high watermark had
--                 stood at or below the record
--   undetermined  neither
-- Who accepted a record follows from an image that holds it, else from the only time of leadership
-- of the broker that answered which fits.
--
-- Narrower than `tidemark check`: high watermarks of later epochs and of checkpoint files prove
-- nothing here, consumers are taken to have asked leaders, and nothing is attributed to a cause.
-- Compacted topics, partitions without a final log, and offsets below the log start are left out.

CREATE OR REPLACE TEMPORARY VIEW lost AS
WITH gone AS (
    SELECT o.run, o.topic, o.partition, o.log_offset, o.value, o.op, o.client, o.acks, o.broker,
           o.invoked_ns, o.returned_ns
    FROM operations o
    JOIN partitions p ON p.run = o.run AND p.topic = o.topic AND p.partition = o.partition
    LEFT JOIN records f
        ON f.run = o.run AND f.topic = o.topic AND f.partition = o.partition
        AND f.value = o.value AND f.final_log
    WHERE o.outcome = 'ok'
      AND f.value IS NULL
      AND p.final_image IS NOT NULL
      AND p.cleanup_policy NOT LIKE '%compact%'
      AND (o.log_offset IS NULL OR o.log_offset >= p.log_start)
),
-- What each replica said of its roles, in its own order, with the life of its broker.
roles AS (
    SELECT l.run, l.topic, l.partition, l.node, l.says, l.epoch, l.leo, l.hw, l.from_ns, l.to_ns,
           l.host_unix_millis, l.line, COUNT(s.line) AS life
    FROM log_lines l
    LEFT JOIN log_lines s
        ON s.run = l.run AND s.node = l.node AND s.says = 'broker-started'
        AND s.text LIKE '% starting (kafka.server.KafkaServer)%'
        AND s.host_unix_millis <= l.host_unix_millis
    WHERE l.says IN ('leader-starts', 'follower-starts')
    GROUP BY l.run, l.topic, l.partition, l.node, l.says, l.epoch, l.leo, l.hw, l.from_ns, l.to_ns,
             l.host_unix_millis, l.line
),
-- Times of leadership, each with the role that followed it on the same broker.
followed AS (
    SELECT r.*,
           LEAD(says) OVER w AS next_says, LEAD(life) OVER w AS next_life,
           LEAD(hw) OVER w AS next_hw, LEAD(to_ns) OVER w AS next_ns
    FROM roles r
    WINDOW w AS (PARTITION BY run, topic, partition, node ORDER BY host_unix_millis, line)
),
terms AS (
    SELECT run, topic, partition, node, epoch, leo, hw, from_ns, next_ns AS until_ns,
           CASE WHEN next_says = 'follower-starts' AND next_life = life THEN next_hw END AS left_hw
    FROM followed
    WHERE says = 'leader-starts'
),
-- High watermarks that a leader gave while it led, by epoch.
leader_hw AS (
    SELECT run, topic, partition, epoch, MAX(hw) AS hw
    FROM (
        SELECT run, topic, partition, epoch, hw FROM observations WHERE seen = 'leader-hw'
        UNION ALL
        SELECT run, topic, partition, epoch, hw FROM terms
        UNION ALL
        SELECT t.run, t.topic, t.partition, t.epoch, s.hw
        FROM log_lines s
        JOIN terms t
            ON t.run = s.run AND t.topic = s.topic AND t.partition = s.partition AND t.node = s.node
            AND s.from_ns >= t.from_ns AND (t.until_ns IS NULL OR s.to_ns <= t.until_ns)
        WHERE s.says = 'shrinking'
    ) AS said
    GROUP BY run, topic, partition, epoch
),
-- The epoch in which images show the record, and how many of them hold it.
sighted AS (
    SELECT g.run, g.topic, g.partition, g.value, MAX(r.epoch) AS epoch,
           COUNT(DISTINCT r.image) AS images
    FROM gone g
    JOIN records r
        ON r.run = g.run AND r.topic = g.topic AND r.partition = g.partition
        AND r.value = g.value AND r.log_offset = g.log_offset
    GROUP BY g.run, g.topic, g.partition, g.value
),
-- The only time of leadership that can have accepted what no image shows.
fitting AS (
    SELECT g.run, g.topic, g.partition, g.value, MIN(t.epoch) AS epoch
    FROM gone g
    JOIN terms t
        ON t.run = g.run AND t.topic = g.topic AND t.partition = g.partition
        AND (g.broker IS NULL OR t.node = g.broker)
        AND t.leo <= g.log_offset AND t.from_ns <= g.returned_ns
        AND (t.until_ns IS NULL OR t.until_ns >= g.invoked_ns)
    GROUP BY g.run, g.topic, g.partition, g.value
    HAVING COUNT(*) = 1
),
given AS (
    SELECT DISTINCT g.run, g.topic, g.partition, g.value
    FROM gone g
    JOIN deliveries d
        ON d.run = g.run AND d.topic = g.topic AND d.partition = g.partition
        AND d.value = g.value AND d.log_offset = g.log_offset
)
SELECT g.run, g.topic, g.partition, g.log_offset, g.value, g.op, g.client, g.acks,
       COALESCE(s.epoch, m.epoch) AS epoch, t.node AS accepted_by,
       COALESCE(s.images, 0) AS images_holding_it,
       CASE
           WHEN g.acks IN ('all', '-1') THEN 'below'
           WHEN d.value IS NOT NULL THEN 'below'
           WHEN h.hw > g.log_offset THEN 'below'
           WHEN t.left_hw <= g.log_offset THEN 'above'
           ELSE 'undetermined'
       END AS side
FROM gone g
LEFT JOIN sighted s
    ON s.run = g.run AND s.topic = g.topic AND s.partition = g.partition AND s.value = g.value
LEFT JOIN fitting m
    ON m.run = g.run AND m.topic = g.topic AND m.partition = g.partition AND m.value = g.value
LEFT JOIN given d
    ON d.run = g.run AND d.topic = g.topic AND d.partition = g.partition AND d.value = g.value
LEFT JOIN leader_hw h
    ON h.run = g.run AND h.topic = g.topic AND h.partition = g.partition
    AND h.epoch = COALESCE(s.epoch, m.epoch)
LEFT JOIN terms t
    ON t.run = g.run AND t.topic = g.topic AND t.partition = g.partition
    AND t.epoch = COALESCE(s.epoch, m.epoch);

SELECT run, topic, side, COUNT(*) AS records, MIN(log_offset) AS first_offset,
       MAX(log_offset) AS last_offset
FROM lost
GROUP BY run, topic, side
ORDER BY run, topic, side;
