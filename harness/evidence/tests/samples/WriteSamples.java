import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import kafka.server.KafkaConfig;
import kafka.server.KafkaServer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.utils.Time;
import org.apache.zookeeper.server.NIOServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;

/**
 * Makes the directories beside it: what a broker of Kafka 3.0.0 leaves on disk, and in dump.txt what
 * kafka.tools.DumpLogSegments says about it. ZooKeeper and the broker live in this process, on
 * loopback. Run with the class path of a broker (kafka/3.0.0/pom.xml):
 * java -cp ... WriteSamples.java OUT SCRATCH
 */
public class WriteSamples {
    static final String FILLER = "the tide comes in, the tide goes out; ";
    static String server;

    public static void main(String[] args) throws Exception {
        Path out = Paths.get(args[0]);
        Path scratch = Paths.get(args[1]);
        ZooKeeperServer zookeeper = new ZooKeeperServer(
                scratch.resolve("zk").toFile(), scratch.resolve("zk").toFile(), 500);
        NIOServerCnxnFactory doors = new NIOServerCnxnFactory();
        doors.configure(new InetSocketAddress("127.0.0.1", 0), 10);
        doors.startup(zookeeper);
        int port = freePort();
        server = "127.0.0.1:" + port;
        Path data = scratch.resolve("data");
        KafkaServer broker = new KafkaServer(KafkaConfig.fromProps(settings(port, doors.getLocalPort(), data)),
                Time.SYSTEM, scala.Option.empty(), false);
        broker.startup();
        try {
            topics();
            codecs();
            transactions();
            rolled();
            compacted(data);
            // Whatever the broker writes behind our backs has been written by then.
            Thread.sleep(1500);
            copy(data, out.resolve("live"), List.of("codecs-0", "transactions-0"));
        } finally {
            broker.shutdown();
            broker.awaitShutdown();
            doors.shutdown();
        }
        copy(data, out.resolve("closed"), List.of("transactions-0", "rolled-0", "compacted-0"));
        System.exit(0);
    }

    static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    static Properties settings(int port, int zookeeper, Path data) {
        Properties settings = new Properties();
        settings.put("broker.id", "0");
        settings.put("listeners", "PLAINTEXT://127.0.0.1:" + port);
        settings.put("advertised.listeners", "PLAINTEXT://127.0.0.1:" + port);
        settings.put("zookeeper.connect", "127.0.0.1:" + zookeeper);
        settings.put("log.dirs", data.toString());
        settings.put("auto.create.topics.enable", "false");
        settings.put("offsets.topic.num.partitions", "1");
        settings.put("offsets.topic.replication.factor", "1");
        settings.put("transaction.state.log.num.partitions", "1");
        settings.put("transaction.state.log.replication.factor", "1");
        settings.put("transaction.state.log.min.isr", "1");
        settings.put("log.cleaner.backoff.ms", "200");
        settings.put("log.cleaner.dedupe.buffer.size", "2097152");
        settings.put("file.delete.delay.ms", "600000");
        return settings;
    }

    static void topics() throws Exception {
        Map<String, String> small = Map.of("segment.index.bytes", "2048", "index.interval.bytes", "256");
        List<NewTopic> topics = new ArrayList<>();
        for (String name : List.of("codecs", "transactions")) {
            topics.add(new NewTopic(name, 1, (short) 1).configs(small));
        }
        topics.add(new NewTopic("rolled", 1, (short) 1).configs(with(small, "segment.bytes", "4000")));
        topics.add(new NewTopic("compacted", 1, (short) 1).configs(with(small,
                "segment.bytes", "4000", "cleanup.policy", "compact",
                "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "600000")));
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", server))) {
            admin.createTopics(topics).all().get();
        }
    }

    static Map<String, String> with(Map<String, String> first, String... more) {
        Map<String, String> all = new HashMap<>(first);
        for (int i = 0; i < more.length; i += 2) {
            all.put(more[i], more[i + 1]);
        }
        return all;
    }

    static KafkaProducer<byte[], byte[]> producer(String... more) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", server);
        settings.put("acks", "all");
        settings.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        settings.put("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        for (int i = 0; i < more.length; i += 2) {
            settings.put(more[i], more[i + 1]);
        }
        return new KafkaProducer<>(settings);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static ProducerRecord<byte[], byte[]> record(String topic, long time, String key, String value) {
        return new ProducerRecord<>(topic, 0, time, key == null ? null : bytes(key),
                value == null ? null : bytes(value));
    }

    /** Batches of every compression, without and with idempotence; keys, null values, headers. */
    static void codecs() throws Exception {
        long time = 1795317055000L;
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String idempotence : List.of("false", "true")) {
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                try (KafkaProducer<byte[], byte[]> producer = producer("compression.type", codec,
                        "enable.idempotence", idempotence, "linger.ms", "200")) {
                    for (int i = 0; i < 12; i++) {
                        String key = i % 3 == 0 ? null : "k" + i % 7;
                        String value = i % 5 == 4 ? null : codec + "-" + idempotence + "-" + i + " " + FILLER;
                        // Not in order: the largest timestamp is not the last.
                        ProducerRecord<byte[], byte[]> record = record("codecs", time + i * 7 % 12, key, value);
                        if (i % 4 == 1) {
                            record.headers().add("h", bytes("one")).add("none", null);
                        }
                        sent.add(producer.send(record));
                    }
                    producer.flush();
                }
                for (Future<RecordMetadata> one : sent) {
                    one.get();
                }
                time += 1000;
            }
        }
    }

    /** Two producers at once: commits, aborts, an abort of nothing, and one left open. */
    static void transactions() throws Exception {
        try (KafkaProducer<byte[], byte[]> first = producer("transactional.id", "first");
                KafkaProducer<byte[], byte[]> second = producer("transactional.id", "second", "linger.ms", "50")) {
            first.initTransactions();
            second.initTransactions();
            for (int round = 0; round < 6; round++) {
                first.beginTransaction();
                second.beginTransaction();
                long time = System.currentTimeMillis();
                for (int i = 0; i < 4; i++) {
                    first.send(record("transactions", time, "first", "first-" + round + "-" + i)).get();
                    second.send(record("transactions", time, null, "second-" + round + "-" + i + " " + FILLER));
                }
                second.flush();
                end(first, round % 2 == 0);
                end(second, round % 3 == 0);
            }
            first.beginTransaction();
            end(first, false);
            first.beginTransaction();
            first.send(record("transactions", System.currentTimeMillis(), "open", "never ended")).get();
        }
    }

    static void end(KafkaProducer<byte[], byte[]> producer, boolean commit) {
        if (commit) {
            producer.commitTransaction();
        } else {
            producer.abortTransaction();
        }
    }

    /** One record a batch, several segments. */
    static void rolled() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("enable.idempotence", "true")) {
            for (int i = 0; i < 60; i++) {
                long time = 1795317055000L + i * 10 - (i % 4 == 3 ? 25 : 0);
                producer.send(record("rolled", time, null, "rolled-" + i + " " + FILLER.repeat(1 + i % 3))).get();
            }
        }
    }

    /** Ten keys overwritten and deleted, some of it in transactions, until the cleaner has been there. */
    static void compacted(Path data) throws Exception {
        try (KafkaProducer<byte[], byte[]> plain = producer("linger.ms", "20");
                KafkaProducer<byte[], byte[]> bound = producer("transactional.id", "bound", "linger.ms", "20")) {
            bound.initTransactions();
            for (int round = 0; round < 12; round++) {
                for (int i = 0; i < 10; i++) {
                    boolean gone = i == 3 && round == 9;
                    plain.send(record("compacted", System.currentTimeMillis(), "key" + i,
                            gone ? null : "value-" + round + "-" + i + " " + FILLER));
                }
                plain.flush();
                bound.beginTransaction();
                for (int i = 0; i < 3; i++) {
                    bound.send(record("compacted", System.currentTimeMillis(), "bound" + (round + i) % 9,
                            "bound-" + round + "-" + i));
                }
                bound.flush();
                end(bound, round % 2 == 0);
            }
        }
        Path checkpoint = data.resolve("cleaner-offset-checkpoint");
        long deadline = System.currentTimeMillis() + 60_000;
        while (!Files.exists(checkpoint) || !Files.readString(checkpoint).contains("compacted 0 ")) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException("the cleaner did not come within 60 s");
            }
            Thread.sleep(200);
        }
    }

    static void copy(Path data, Path out, List<String> directories) throws Exception {
        Files.createDirectories(out);
        for (String file : List.of("recovery-point-offset-checkpoint", "replication-offset-checkpoint",
                "log-start-offset-checkpoint", ".kafka_cleanshutdown")) {
            if (Files.exists(data.resolve(file))) {
                Files.copy(data.resolve(file), out.resolve(file));
            }
        }
        for (String directory : directories) {
            Path to = Files.createDirectories(out.resolve(directory));
            List<Path> files;
            try (Stream<Path> all = Files.list(data.resolve(directory))) {
                files = all.sorted().collect(Collectors.toList());
            }
            for (Path file : files) {
                // Empty instead of what was marked for deletion: the name is the sample.
                if (file.toString().endsWith(".deleted")) {
                    Files.createFile(to.resolve(file.getFileName()));
                } else {
                    Files.copy(file, to.resolve(file.getFileName()));
                }
            }
            dump(to);
        }
    }

    static void dump(Path directory) throws IOException {
        List<String> files;
        try (Stream<Path> all = Files.list(directory)) {
            files = all.map(Path::toString)
                    .filter(name -> name.matches(".*\\.(log|index|timeindex|txnindex|snapshot)"))
                    .sorted().collect(Collectors.toList());
        }
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        scala.Console$.MODULE$.withOut(said, () -> {
            kafka.tools.DumpLogSegments.main(new String[] {
                "--deep-iteration", "--print-data-log", "--files", String.join(",", files)});
            return null;
        });
        String text = said.toString(StandardCharsets.UTF_8).replace(directory + File.separator, "");
        Files.writeString(directory.resolve("dump.txt"), text);
    }
}
