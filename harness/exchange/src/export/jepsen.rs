//! The clients' side of a history as Jepsen's Kafka workload writes it: EDN, one map a line.
//!
//! `tidemark check FILE --rules jepsen` reads it, and so does Jepsen's own checker. What that form
//! has no words for is left out: probes, images, processes of brokers, commits of groups. What a
//! transaction makes of its sends is told by their completions, which wait for its end.

mod ordered;
mod processes;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};

use history::{
    Call, ClientId, Event, FaultEvent, FaultId, FaultKind, Mark, OpId, Outcome, Partition, Reply,
    RunDir, Setting, Stage, Topic, Why,
};
use rustc_hash::FxHashMap;

use super::error::ExportError;
use super::recorded::Recorded;
use processes::Processes;
use text::{Keys, Kind, Lines, Polled, Sent, Text};

/// What was written.
pub(super) struct Written {
    pub(super) lines: u64,
    pub(super) processes: u64,
    /// Where and why the history breaks off, if it does.
    pub(super) torn: Option<String>,
}

/// Writes a run's history.
pub(super) fn write(run: &RunDir, into: impl Write) -> Result<Written, ExportError> {
    let recorded = Recorded::open(run)?;
    let mut telling = Telling::new(&recorded.setting, into);
    let torn = ordered::each(&recorded, |at, event| telling.event(at, event))?;
    let (lines, processes) = telling.end()?;
    Ok(Written {
        lines,
        processes,
        torn,
    })
}

/// A history half told.
struct Telling<'a, W> {
    setting: &'a Setting,
    lines: Lines<W>,
    processes: Processes,
    open: FxHashMap<OpId, Open>,
    clients: BTreeMap<ClientId, Client>,
    faults: BTreeMap<FaultId, FaultKind>,
    last: Mark,
}

/// A call that has not ended.
struct Open {
    client: ClientId,
    process: u64,
    call: Call,
}

/// What is known of a client between its calls.
#[derive(Default)]
struct Client {
    /// It has read since it was placed: placing it again is a new process, or its polls would be
    /// taken for one sequence.
    has_read: bool,
    /// Partitions that its group gave it or took during the call that has not ended.
    rebalanced: Vec<Partition>,
    /// Sends of its open transaction, whose completions wait.
    transaction: Option<Vec<(OpId, Open, Reply)>>,
}

impl<'a, W: Write> Telling<'a, W> {
    fn new(setting: &'a Setting, into: W) -> Self {
        Self {
            setting,
            lines: Lines::new(into),
            processes: Processes::default(),
            open: FxHashMap::default(),
            clients: BTreeMap::new(),
            faults: BTreeMap::new(),
            last: Mark(0),
        }
    }

    fn event(&mut self, at: Mark, event: Event) -> io::Result<()> {
        self.last = at;
        if let Event::Invoked {
            op, client, call, ..
        } = event
        {
            self.invoked(op, client, at, call)
        } else if let Event::Returned { op, reply, .. } = event {
            match self.open.remove(&op) {
                Some(open) => self.returned(op, open, at, reply),
                None => Ok(()),
            }
        } else if let Event::Rebalance(event) = event {
            let client = self.clients.entry(event.client).or_default();
            client.rebalanced.extend(event.partitions);
            Ok(())
        } else if let Event::Fault(event) = event {
            self.fault(&event)
        } else {
            Ok(())
        }
    }

    /// What is under way when the recording ends: nobody knows.
    fn end(mut self) -> io::Result<(u64, u64)> {
        let never = Why::new("the recording ends before its end");
        let clients = std::mem::take(&mut self.clients);
        for (op, open, _) in clients
            .into_values()
            .filter_map(|c| c.transaction)
            .flatten()
        {
            self.completed(
                op,
                &open,
                self.last,
                &Outcome::<()>::Unknown(never.clone()),
                None,
            )?;
        }
        let mut open: Vec<(OpId, Open)> = self.open.drain().collect();
        open.sort_unstable_by_key(|(op, _)| *op);
        for (op, open) in open {
            self.completed(
                op,
                &open,
                self.last,
                &Outcome::<()>::Unknown(never.clone()),
                None,
            )?;
        }
        let lines = self.lines.written;
        self.lines.end()?;
        Ok((lines, self.processes.count()))
    }

    fn invoked(&mut self, op: OpId, client: ClientId, at: Mark, call: Call) -> io::Result<()> {
        let state = self.clients.entry(client).or_default();
        let placed = match &call {
            Call::Assign { .. } | Call::Subscribe { .. } | Call::Seek { .. } => true,
            Call::Send { .. } | Call::Poll | Call::Commit { .. } | Call::Begin => false,
            Call::End { .. } => false,
        };
        let crashed = placed && std::mem::take(&mut state.has_read);
        state.has_read |= call == Call::Poll;
        if let Call::Begin = call {
            state.transaction = Some(Vec::new());
        }
        if crashed {
            // Jepsen's own way to let a client read again from elsewhere.
            let process = self.processes.take(client);
            self.processes.forget(client);
            for kind in [Kind::Invoke, Kind::Info] {
                self.lines.line(at, kind, process, ":crash", "nil", "")?;
            }
        }
        let process = if has_line(&call) {
            self.processes.take(client)
        } else {
            u64::MAX
        };
        let open = Open {
            client,
            process,
            call,
        };
        self.tell(op, &open, at, Kind::Invoke, None, "")?;
        self.open.insert(op, open);
        Ok(())
    }

    fn returned(&mut self, op: OpId, open: Open, at: Mark, reply: Reply) -> io::Result<()> {
        let state = self.clients.entry(open.client).or_default();
        match (&open.call, &mut state.transaction) {
            (Call::Send { .. }, Some(sends)) => {
                sends.push((op, open, reply));
                return Ok(());
            }
            (Call::End { commit }, _) => {
                let sends = state.transaction.take().unwrap_or_default();
                return self.transaction_ended(at, *commit, &reply, sends);
            }
            _ => {}
        }
        self.answered(op, &open, at, &reply)
    }

    fn answered(&mut self, op: OpId, open: &Open, at: Mark, reply: &Reply) -> io::Result<()> {
        match reply {
            Reply::Sent(outcome) => self.completed(op, open, at, outcome, Some(reply)),
            Reply::Polled(outcome) => self.completed(op, open, at, outcome, Some(reply)),
            Reply::Assigned(outcome) | Reply::Done(outcome) => {
                self.completed(op, open, at, outcome, Some(reply))
            }
        }
    }

    /// Sends of a transaction are what its end makes of them.
    fn transaction_ended(
        &mut self,
        at: Mark,
        commit: bool,
        end: &Reply,
        sends: Vec<(OpId, Open, Reply)>,
    ) -> io::Result<()> {
        let unknown = Why::new("nobody knows how its transaction ended");
        let aborted = Why::new("its transaction was aborted");
        for (op, open, reply) in sends {
            match (end, commit) {
                (Reply::Done(Outcome::Ok(())), true) => self.answered(op, &open, at, &reply)?,
                (Reply::Done(Outcome::Ok(())), false) => {
                    let failed = Outcome::<()>::Failed(aborted.clone());
                    self.completed(op, &open, at, &failed, None)?;
                }
                _ => {
                    let unknown = Outcome::<()>::Unknown(unknown.clone());
                    self.completed(op, &open, at, &unknown, None)?;
                }
            }
        }
        Ok(())
    }

    fn completed<T>(
        &mut self,
        op: OpId,
        open: &Open,
        at: Mark,
        outcome: &Outcome<T>,
        reply: Option<&Reply>,
    ) -> io::Result<()> {
        let rebalanced = match (&open.call, self.clients.get_mut(&open.client)) {
            (Call::Poll, Some(client)) => std::mem::take(&mut client.rebalanced),
            _ => Vec::new(),
        };
        let mut more = String::new();
        if !rebalanced.is_empty() {
            more += &format!(", :rebalance-log [{{:keys {}}}]", Keys(&rebalanced));
        }
        let kind = match outcome {
            Outcome::Ok(_) => Kind::Ok,
            Outcome::Failed(why) => {
                more += &format!(", :error {}", Text(&why.0));
                Kind::Fail
            }
            Outcome::Unknown(why) => {
                more += &format!(", :error {}", Text(&why.0));
                Kind::Info
            }
        };
        self.tell(op, open, at, kind, reply, &more)?;
        if kind != Kind::Info && has_line(&open.call) {
            self.processes.give_back(open.client, open.process);
        }
        Ok(())
    }

    /// Writes the line of a call, or of what came of it.
    fn tell(
        &mut self,
        op: OpId,
        open: &Open,
        at: Mark,
        kind: Kind,
        reply: Option<&Reply>,
        more: &str,
    ) -> io::Result<()> {
        let (lines, process) = (&mut self.lines, open.process);
        let more = format_args!(", :op {}{more}", op.0);
        match &open.call {
            Call::Send { partition, value } => {
                let offset = match reply {
                    Some(Reply::Sent(Outcome::Ok(ack))) => ack.offset,
                    _ => None,
                };
                let value = Sent(partition, offset, *value);
                lines.line(at, kind, process, ":send", value, more)
            }
            Call::Poll => match reply {
                Some(Reply::Polled(Outcome::Ok(records))) => {
                    lines.line(at, kind, process, ":poll", Polled(records), more)
                }
                _ => lines.line(at, kind, process, ":poll", "[[:poll]]", more),
            },
            Call::Assign { from } => {
                let keys: Vec<Partition> = from.iter().map(|(key, _)| key.clone()).collect();
                lines.line(at, kind, process, ":assign", Keys(&keys), more)
            }
            Call::Subscribe { topics } => {
                let keys = keys_of(self.setting, topics);
                lines.line(at, kind, process, ":subscribe", Keys(&keys), more)
            }
            Call::Seek { .. } | Call::Commit { .. } | Call::Begin | Call::End { .. } => Ok(()),
        }
    }

    fn fault(&mut self, event: &FaultEvent) -> io::Result<()> {
        let (stage, words) = match &event.stage {
            Stage::Injecting { asked, deed } => {
                self.faults.insert(event.fault, deed.kind);
                ("injecting", asked.as_str())
            }
            Stage::Injected { evidence } => ("injected", evidence.as_str()),
            Stage::Ineffective { evidence } => ("ineffective", evidence.as_str()),
            Stage::Healing => ("healing", ""),
            Stage::Healed { evidence } => ("healed", evidence.as_str()),
            Stage::Stuck { why } => ("stuck", why.as_str()),
            Stage::TookEffect { .. } => ("took-effect", ""),
        };
        let kind = self.faults.get(&event.fault).map(ToString::to_string);
        let f = format!(":{}", kind.as_deref().unwrap_or("fault"));
        let fault = event.fault.0;
        let value = format_args!(
            "{{:fault {fault}, :stage :{stage}, :words {}}}",
            Text(words)
        );
        self.lines
            .line(event.at, Kind::Info, ":nemesis", &f, value, "")
    }
}

/// Whether Jepsen's form has a word for a call.
fn has_line(call: &Call) -> bool {
    match call {
        Call::Send { .. } | Call::Poll | Call::Assign { .. } | Call::Subscribe { .. } => true,
        Call::Seek { .. } | Call::Commit { .. } | Call::Begin | Call::End { .. } => false,
    }
}

/// All partitions of these topics.
fn keys_of(setting: &Setting, topics: &[Topic]) -> Vec<Partition> {
    let known = topics
        .iter()
        .filter_map(|name| setting.topics.get_key_value(name));
    known
        .flat_map(|(name, topic)| topic.partitions(name))
        .collect()
}
