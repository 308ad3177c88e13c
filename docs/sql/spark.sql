-- The tables of `tidemark export RUN --as parquet` as views, for Spark SQL. Start `spark-sql` in the
-- directory that was given to --to, or write its URL before each path.
--
-- Runs and topics are texts, also where all of them look like numbers.

SET spark.sql.sources.partitionColumnTypeInference.enabled = false;

CREATE OR REPLACE TEMPORARY VIEW operations USING parquet OPTIONS (path 'operations');
CREATE OR REPLACE TEMPORARY VIEW deliveries USING parquet OPTIONS (path 'deliveries');
CREATE OR REPLACE TEMPORARY VIEW records USING parquet OPTIONS (path 'records');
CREATE OR REPLACE TEMPORARY VIEW calls USING parquet OPTIONS (path 'calls');
CREATE OR REPLACE TEMPORARY VIEW observations USING parquet OPTIONS (path 'observations');
CREATE OR REPLACE TEMPORARY VIEW faults USING parquet OPTIONS (path 'faults');
CREATE OR REPLACE TEMPORARY VIEW events USING parquet OPTIONS (path 'events');
CREATE OR REPLACE TEMPORARY VIEW log_lines USING parquet OPTIONS (path 'log_lines');
CREATE OR REPLACE TEMPORARY VIEW replicas USING parquet OPTIONS (path 'replicas');
CREATE OR REPLACE TEMPORARY VIEW partitions USING parquet OPTIONS (path 'partitions');
CREATE OR REPLACE TEMPORARY VIEW verdicts USING parquet OPTIONS (path 'verdicts');
CREATE OR REPLACE TEMPORARY VIEW findings USING parquet OPTIONS (path 'findings');
CREATE OR REPLACE TEMPORARY VIEW runs USING parquet OPTIONS (path 'runs');
