//! The only unsafe code of this package: what the safe wrapper of librdkafka leaves out.
//!
//! It serves a client's event queue by whole delivery reports (with status, broker and latency of
//! each record, and each event once), hands records over by topic handle, and reads partitions
//! without a group, so that no group coordinator is ever created on the cluster. It draws no
//! conclusions and keeps no time.
#![expect(
    unsafe_code,
    reason = "librdkafka's C interface; nothing outside this file is unsafe"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use ::rdkafka::bindings as c;
use ::rdkafka::client::ClientContext;
use ::rdkafka::config::RDKafkaLogLevel;
use ::rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use ::rdkafka::error::KafkaError;
use ::rdkafka::message::DeliveryResult;
use ::rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use ::rdkafka::types::RDKafkaErrorCode as Code;
use history::Topic;
use tokio::sync::Notify;

use crate::fate::Persisted;

/// Ends a consumer of a group without telling the group, as the end of its process would. Whatever its
/// wrapper holds beside the client is leaked: closing it in order is what must not happen.
pub fn abandon<C: ConsumerContext>(consumer: BaseConsumer<C>) {
    let consumer = std::mem::ManuallyDrop::new(consumer);
    // SAFETY: the client lives, nobody else has it, and it is never destroyed a second time.
    unsafe {
        c::rd_kafka_destroy_flags(
            consumer.client().native_ptr(),
            c::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE,
        );
    }
}

/// The generation of a consumer's group, as the consumer knows it; negative when it is no member.
pub fn generation<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> i32 {
    // SAFETY: the client lives; what is returned is ours, read only until it is destroyed, once.
    unsafe {
        let standing = c::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if standing.is_null() {
            return -1;
        }
        let generation = c::rd_kafka_consumer_group_metadata_generation_id(standing);
        c::rd_kafka_consumer_group_metadata_destroy(standing);
        generation
    }
}

/// A context that hears nothing: events are served by [`Reports`] and [`Reader`] instead.
pub struct Silent;

impl ClientContext for Silent {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}
impl ConsumerContext for Silent {}
impl ProducerContext for Silent {
    type DeliveryOpaque = usize;
    fn delivery(&self, _: &DeliveryResult<'_>, _: usize) {}
}

/// One record that the library gave back.
#[derive(Debug, Clone, Copy)]
pub struct Reported {
    /// The number that was handed over with it.
    pub op: u64,
    /// The final code.
    pub code: Code,
    /// What the library says of its persistence.
    pub persisted: Persisted,
    /// Its offset; negative when there is none.
    pub offset: i64,
    /// `broker.id` of whoever answered; negative when nobody did.
    pub broker: i32,
    /// Time since it was handed over, where the library knows.
    pub latency: Option<Duration>,
}

/// Topic handles of one client, found again by name.
struct Topics(Vec<(Topic, *mut c::rd_kafka_topic_t)>);

impl Topics {
    /// The handle of a topic. The configuration is the client's own.
    ///
    /// # Safety
    /// `client` lives, and outlives `self`.
    unsafe fn of(
        &mut self,
        client: *mut c::rd_kafka_t,
        topic: &Topic,
    ) -> Result<*mut c::rd_kafka_topic_t, Code> {
        if let Some((_, handle)) = self.0.iter().find(|(name, _)| name == topic) {
            return Ok(*handle);
        }
        let name = CString::new(&**topic).map_err(|_| Code::InvalidArgument)?;
        // SAFETY: the caller's promise; without a configuration of its own the topic takes the client's.
        let handle = unsafe { c::rd_kafka_topic_new(client, name.as_ptr(), ptr::null_mut()) };
        if handle.is_null() {
            return Err(last_error());
        }
        self.0.push((topic.clone(), handle));
        Ok(handle)
    }

    /// The topic that a message's handle names.
    ///
    /// # Safety
    /// `handle` belongs to a live message.
    unsafe fn name(&self, handle: *mut c::rd_kafka_topic_t) -> Option<&Topic> {
        // SAFETY: the caller's promise; a topic's name lives as long as its handle.
        let name = unsafe { CStr::from_ptr(c::rd_kafka_topic_name(handle)) };
        self.0
            .iter()
            .map(|(topic, _)| topic)
            .find(|topic| topic.as_bytes() == name.to_bytes())
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        for (_, handle) in &self.0 {
            // SAFETY: made by `of`, destroyed once; the owner drops this before its client.
            unsafe { c::rd_kafka_topic_destroy(*handle) };
        }
    }
}

/// Hands records over to a producer.
pub struct Sender {
    topics: Topics,
    producer: Arc<BaseProducer<Silent>>,
}

impl Sender {
    /// A sender of this producer.
    pub fn new(producer: Arc<BaseProducer<Silent>>) -> Self {
        Self {
            topics: Topics(Vec::new()),
            producer,
        }
    }

    /// Hands one record over; key and payload are copied. An error means that the library never owned
    /// it.
    pub fn send(
        &mut self,
        topic: &Topic,
        partition: i32,
        (key, payload): (Option<&[u8]>, &[u8]),
        op: u64,
    ) -> Result<(), Code> {
        // SAFETY: `topics` is declared, hence dropped, before `producer`.
        let handle = unsafe { self.topics.of(self.producer.client().native_ptr(), topic)? };
        let key = key.map_or((ptr::null(), 0), |key| (key.as_ptr().cast(), key.len()));
        // SAFETY: the handle lives; the library copies key and payload before it returns.
        let refused = unsafe {
            c::rd_kafka_produce(
                handle,
                partition,
                c::RD_KAFKA_MSG_F_COPY,
                payload.as_ptr() as *mut c_void,
                payload.len(),
                key.0,
                key.1,
                op as usize as *mut c_void,
            )
        } != 0;
        if refused { Err(last_error()) } else { Ok(()) }
    }

    /// The producer, to purge it.
    pub fn producer(&self) -> &BaseProducer<Silent> {
        &self.producer
    }

    /// The producer, for calls that wait on threads of their own.
    pub fn shared(&self) -> Arc<BaseProducer<Silent>> {
        Arc::clone(&self.producer)
    }

    /// Whether the library declared this producer dead: it will refuse every further record.
    pub fn is_dead(&self) -> bool {
        // SAFETY: the client lives; no buffer is asked to be filled.
        let code = unsafe {
            c::rd_kafka_fatal_error(self.producer.client().native_ptr(), ptr::null_mut(), 0)
        };
        code != c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
    }
}

/// The event queue of a client: delivery reports, errors and log lines, each event once.
struct Events(*mut c::rd_kafka_queue_t);

impl Events {
    /// # Safety
    /// `client` lives, and outlives the queue.
    unsafe fn of(client: *mut c::rd_kafka_t) -> Self {
        // SAFETY: the caller's promise; the main queue always exists.
        Self(unsafe { c::rd_kafka_queue_get_main(client) })
    }

    /// Waits for one event, at most `wait`, and serves it. False when none came.
    fn serve(
        &self,
        wait: Duration,
        reports: &mut dyn FnMut(Reported),
        line: &mut dyn FnMut(String),
    ) -> bool {
        // SAFETY: the queue lives; the event is destroyed below, after its last use.
        let event = unsafe { c::rd_kafka_queue_poll(self.0, wait.as_millis() as c_int) };
        if event.is_null() {
            return false;
        }
        // SAFETY: `event` is live until its destruction; messages and texts belong to it.
        unsafe {
            match c::rd_kafka_event_type(event) {
                c::RD_KAFKA_EVENT_DR => delivery_reports(event, reports),
                c::RD_KAFKA_EVENT_ERROR => {
                    let code = Code::from(c::rd_kafka_event_error(event));
                    let text = text(c::rd_kafka_event_error_string(event));
                    line(format!("{code:?}: {text}"));
                }
                c::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut words) = (ptr::null(), ptr::null());
                    let mut level = 0;
                    if c::rd_kafka_event_log(event, &mut facility, &mut words, &mut level) == 0 {
                        line(format!("{} {}", text(facility), text(words)));
                    }
                }
                _ => {}
            }
            c::rd_kafka_event_destroy(event);
        }
        true
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // SAFETY: made by `of`, destroyed once, before its client.
        unsafe { c::rd_kafka_queue_destroy(self.0) };
    }
}

/// # Safety
/// `event` is a live delivery report event.
unsafe fn delivery_reports(event: *mut c::rd_kafka_event_t, reports: &mut dyn FnMut(Reported)) {
    loop {
        // SAFETY: the caller's promise; messages live as long as their event.
        unsafe {
            let message = c::rd_kafka_event_message_next(event);
            if message.is_null() {
                return;
            }
            reports(reported(message));
        }
    }
}

/// # Safety
/// `message` is live.
unsafe fn reported(message: *const c::rd_kafka_message_t) -> Reported {
    use c::rd_kafka_msg_status_t as Status;
    // SAFETY: the caller's promise; all of these only read.
    unsafe {
        let latency = c::rd_kafka_message_latency(message);
        Reported {
            op: (*message)._private as usize as u64,
            code: (*message).err.into(),
            persisted: match c::rd_kafka_message_status(message) {
                Status::RD_KAFKA_MSG_STATUS_NOT_PERSISTED => Persisted::No,
                Status::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED => Persisted::Possibly,
                Status::RD_KAFKA_MSG_STATUS_PERSISTED => Persisted::Yes,
            },
            offset: (*message).offset,
            broker: c::rd_kafka_message_broker_id(message),
            latency: u64::try_from(latency).ok().map(Duration::from_micros),
        }
    }
}

/// What a producer gives back; served by its poll thread.
pub struct Reports {
    events: Events,
    producer: Arc<BaseProducer<Silent>>,
}

// SAFETY: librdkafka's queues may be used from any thread, and this is the queue's only reader.
unsafe impl Send for Reports {}

impl Reports {
    /// The reports of this producer.
    pub fn new(producer: Arc<BaseProducer<Silent>>) -> Self {
        // SAFETY: `events` is declared, hence dropped, before `producer`.
        let events = unsafe { Events::of(producer.client().native_ptr()) };
        Self { events, producer }
    }

    /// Waits for one event, at most `wait`, and serves it. False when none came.
    pub fn serve(
        &self,
        wait: Duration,
        reports: &mut dyn FnMut(Reported),
        line: &mut dyn FnMut(String),
    ) -> bool {
        self.events.serve(wait, reports, line)
    }

    /// Whether the library holds neither records nor events.
    pub fn is_empty(&self) -> bool {
        self.producer.in_flight_count() == 0
    }

    /// The producer, to purge it.
    pub fn producer(&self) -> &BaseProducer<Silent> {
        &self.producer
    }
}

/// One message that a reader was given.
pub struct Taken<'a> {
    /// Its topic.
    pub topic: &'a Topic,
    /// Its partition.
    pub partition: i32,
    /// Its offset; of an error, where the library knows, else negative.
    pub offset: i64,
    /// The record's payload, or the error and its text.
    pub what: Result<&'a [u8], (Code, String)>,
    /// The leader epoch of its batch; negative when unknown.
    pub epoch: i32,
    /// The broker that served it; negative when unknown.
    pub broker: i32,
}

/// Reads partitions of one consumer through one queue, without a group.
pub struct Reader {
    started: Vec<(*mut c::rd_kafka_topic_t, i32)>,
    topics: Topics,
    events: Events,
    queue: *mut c::rd_kafka_queue_t,
    consumer: BaseConsumer<Silent>,
    /// Told from a thread of the library whenever the queue becomes non-empty.
    wake: Arc<Notify>,
}

// SAFETY: librdkafka's handles may be used from any thread; this is their only owner.
unsafe impl Send for Reader {}

impl Reader {
    /// A reader of nothing yet.
    pub fn new(consumer: BaseConsumer<Silent>, wake: Arc<Notify>) -> Self {
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives in `consumer`, which is dropped last; the opaque pointer is the
        // `Notify` that `wake` keeps alive until `drop` has switched the callback off.
        let (events, queue) = unsafe {
            let queue = c::rd_kafka_queue_new(client);
            let opaque = Arc::as_ptr(&wake) as *mut c_void;
            c::rd_kafka_queue_cb_event_enable(queue, Some(wake_up), opaque);
            (Events::of(client), queue)
        };
        Self {
            started: Vec::new(),
            topics: Topics(Vec::new()),
            events,
            queue,
            consumer,
            wake,
        }
    }

    /// Begins to read a partition at an offset.
    pub fn start(&mut self, topic: &Topic, partition: i32, offset: i64) -> Result<(), Code> {
        // SAFETY: the client lives; handles and queue live until `drop` has stopped everything.
        unsafe {
            let handle = self.topics.of(self.consumer.client().native_ptr(), topic)?;
            if c::rd_kafka_consume_start_queue(handle, partition, offset, self.queue) != 0 {
                return Err(last_error());
            }
            self.started.push((handle, partition));
        }
        Ok(())
    }

    /// Ends all reading; what was queued is never delivered.
    pub fn stop(&mut self) {
        for (handle, partition) in self.started.drain(..) {
            // SAFETY: started by `start`, and the handle lives.
            unsafe { c::rd_kafka_consume_stop(handle, partition) };
        }
    }

    /// The next messages that are at hand, at most `max`; waits for none. How many there were.
    pub fn take(&mut self, max: usize, each: &mut dyn FnMut(Taken<'_>)) -> usize {
        let mut messages: Vec<*mut c::rd_kafka_message_t> = vec![ptr::null_mut(); max];
        // SAFETY: the queue lives and the array holds `max` pointers.
        let count =
            unsafe { c::rd_kafka_consume_batch_queue(self.queue, 0, messages.as_mut_ptr(), max) };
        let count = usize::try_from(count).unwrap_or(0);
        for message in &messages[..count] {
            // SAFETY: the message is ours until it is destroyed, after its last use.
            unsafe {
                if let Some(taken) = self.taken(*message) {
                    each(taken);
                }
                c::rd_kafka_message_destroy(*message);
            }
        }
        count
    }

    /// # Safety
    /// `message` is live, and longer so than what is returned.
    unsafe fn taken(&self, message: *mut c::rd_kafka_message_t) -> Option<Taken<'_>> {
        // SAFETY: the caller's promise. A payload may be absent.
        unsafe {
            let inner = &*message;
            let topic = self.topics.name(inner.rkt)?;
            let what = if inner.err == c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                Ok(match inner.payload.is_null() {
                    true => &[][..],
                    false => std::slice::from_raw_parts(inner.payload as *const u8, inner.len),
                })
            } else {
                let words = text(c::rd_kafka_message_errstr(message));
                Err((Code::from(inner.err), words))
            };
            Some(Taken {
                topic,
                partition: inner.partition,
                offset: inner.offset,
                what,
                epoch: c::rd_kafka_message_leader_epoch(message),
                broker: c::rd_kafka_message_broker_id(message),
            })
        }
    }

    /// Serves what stands in the event queue: errors and log lines, as text.
    pub fn lines(&self, line: &mut dyn FnMut(String)) {
        while self.events.serve(Duration::ZERO, &mut |_| {}, line) {}
    }

    /// Told whenever messages may be at hand.
    pub fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: the queue lives; after this the library no longer holds the `Notify`.
        unsafe { c::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut()) };
        self.stop();
        // SAFETY: made by `new`, destroyed once, before the consumer.
        unsafe { c::rd_kafka_queue_destroy(self.queue) };
    }
}

unsafe extern "C" fn wake_up(_: *mut c::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: `Reader::new` gave a `Notify` that outlives the callback.
    unsafe { &*(opaque as *const Notify) }.notify_one();
}

/// Why the last call of this thread failed.
fn last_error() -> Code {
    // SAFETY: reads a value of this thread.
    unsafe { c::rd_kafka_last_error() }.into()
}

/// # Safety
/// `words` is null or a live C string.
unsafe fn text(words: *const c_char) -> String {
    if words.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    let words = unsafe { CStr::from_ptr(words) };
    words.to_string_lossy().trim().to_owned()
}
