-- The tables of `tidemark export RUN --as parquet` as views, for DuckDB. Run it in the directory
-- that was given to --to; runs that were exported there together are asked together.
--
-- Runs and topics are texts, also where all of them look like numbers.

CREATE OR REPLACE TEMPORARY VIEW operations AS SELECT * FROM read_parquet('operations/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW deliveries AS SELECT * FROM read_parquet('deliveries/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW records AS SELECT * FROM read_parquet('records/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW calls AS SELECT * FROM read_parquet('calls/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW observations AS SELECT * FROM read_parquet('observations/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW faults AS SELECT * FROM read_parquet('faults/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW events AS SELECT * FROM read_parquet('events/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW log_lines AS SELECT * FROM read_parquet('log_lines/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW replicas AS SELECT * FROM read_parquet('replicas/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW partitions AS SELECT * FROM read_parquet('partitions/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW verdicts AS SELECT * FROM read_parquet('verdicts/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW findings AS SELECT * FROM read_parquet('findings/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
CREATE OR REPLACE TEMPORARY VIEW runs AS SELECT * FROM read_parquet('runs/*/*.parquet', hive_partitioning = true, hive_types_autocast = false);
