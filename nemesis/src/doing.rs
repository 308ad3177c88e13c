//! How each kind of fault is done and undone, and read back both times.
//!
//! It acts only through [`cluster::System`], from what *is*: a process that already runs is left
//! alone, a cut that is not there is no error.

use cluster::{ClusterError, Effect, Signal, Signalled, System};
use futures_util::future::join_all;
use history::{
    Alteration, Deed, Event, FaultId, FaultKind, HarmEvent, Mark, NodeId, ProcessState, Service,
};

use crate::ledger::Ledger;
use crate::proof::{self, Proof};
use crate::resolve::Resolved;

/// What was done, as read back.
pub(crate) struct Done {
    pub(crate) in_force: bool,
    pub(crate) evidence: String,
    /// When it took effect, where that is known.
    pub(crate) between: Option<(Mark, Mark)>,
}

impl Done {
    fn proved(proof: Proof, between: Option<(Mark, Mark)>) -> Self {
        match proof {
            Proof::InForce(evidence) => Self {
                in_force: true,
                evidence,
                between,
            },
            Proof::Nothing(evidence) => Self {
                in_force: false,
                evidence,
                between: None,
            },
        }
    }
}

impl<S: System> Ledger<'_, S> {
    /// Does a fault and reads it back.
    pub(crate) async fn act(&self, fault: FaultId, it: &Resolved) -> Result<Done, ClusterError> {
        let deed = &it.deed;
        match deed.kind {
            FaultKind::Kill | FaultKind::Restart | FaultKind::Stop | FaultKind::Pause => {
                let (proof, between) = self.strike(deed).await?;
                Ok(Done::proved(proof, Some(between)))
            }
            FaultKind::Isolate | FaultKind::Cut | FaultKind::Flap => {
                let between = self
                    .system
                    .cut(fault, &deed.links, self.roll.clock())
                    .await?;
                let proof =
                    proof::of_cuts(self.system, self.roll.clock(), fault, &deed.links).await?;
                Ok(Done::proved(proof, Some(between)))
            }
            FaultKind::PowerCut | FaultKind::Wipe | FaultKind::Checkpoints => {
                // Files change beneath a broker that is gone, and only then.
                let (proof, between) = self.strike(deed).await?;
                match proof {
                    Proof::Nothing(_) => Ok(Done::proved(proof, None)),
                    Proof::InForce(gone) => {
                        let mut done = self.apply(fault, it).await?;
                        done.evidence = format!("{gone}; {}", done.evidence);
                        done.between = done.in_force.then_some(between);
                        Ok(done)
                    }
                }
            }
            FaultKind::CrashClient => self.crash(it).await,
            FaultKind::Clients
            | FaultKind::Shape
            | FaultKind::Elect
            | FaultKind::Reassign
            | FaultKind::Configure
            | FaultKind::FillDisk
            | FaultKind::SlowDisk
            | FaultKind::FailDisk
            | FaultKind::FlipBit
            | FaultKind::DeleteRecords
            | FaultKind::Clock => self.apply(fault, it).await,
        }
    }

    /// Signals the processes of a deed, all at once.
    async fn strike(&self, deed: &Deed) -> Result<(Proof, (Mark, Mark)), ClusterError> {
        let signal = match deed.kind {
            FaultKind::Pause => Signal::Pause,
            FaultKind::Restart | FaultKind::Stop => Signal::Stop,
            _ => Signal::Kill,
        };
        let clock = self.roll.clock();
        let each = deed.processes.iter();
        let told = each.map(|(node, service)| self.system.signal(*node, *service, signal, clock));
        let told = join_all(told)
            .await
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        for ((node, service), told) in deed.processes.iter().zip(&told) {
            match told.after {
                ProcessState::Gone => self.roll.gone(*node, *service),
                ProcessState::Paused { .. } => self.roll.paused(*node, *service),
                ProcessState::Running { .. } => {}
            }
        }
        Ok((proof::of_processes(deed, &told), span(&told)))
    }

    /// What hosts, logs and topics are asked for. It is in force when any of it is; the evidence
    /// tells of each.
    async fn apply(&self, fault: FaultId, it: &Resolved) -> Result<Done, ClusterError> {
        let clock = self.roll.clock();
        let each = it.injections.iter();
        let each = join_all(each.map(|what| self.system.inject(fault, what, clock))).await;
        let mut done = Done {
            in_force: false,
            evidence: String::new(),
            between: None,
        };
        let mut failed = None;
        for effect in each {
            match effect {
                Ok(effect) => self.take_in(fault, effect, &mut done),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(done), Err)
    }

    fn take_in(&self, fault: FaultId, effect: Effect, done: &mut Done) {
        let at = self.roll.clock().mark();
        for (partition, harm) in effect.harms {
            let fault = Some(fault);
            self.note(Event::Harm(HarmEvent {
                at,
                fault,
                partition,
                harm,
            }));
        }
        self.altered(effect.altered);
        if effect.in_force {
            let (from, to) = done.between.unwrap_or(effect.between);
            done.between = Some((from.min(effect.between.0), to.max(effect.between.1)));
        }
        done.in_force |= effect.in_force;
        if !done.evidence.is_empty() {
            done.evidence.push_str("; ");
        }
        done.evidence.push_str(&effect.evidence);
    }

    fn altered(&self, altered: Vec<cluster::Altered>) {
        for it in altered {
            self.note(Event::Altered(Alteration {
                asked: it.between.0,
                answered: it.between.1,
                topic: Some(it.topic),
                key: it.key,
                value: it.value,
            }));
        }
    }

    async fn crash(&self, it: &Resolved) -> Result<Done, ClusterError> {
        let client = it.client.as_ref();
        let client = client.ok_or_else(|| ClusterError::Lab("no client is named".to_owned()))?;
        let from = self.roll.clock().mark();
        let crashed = self.clients.crash(client).await;
        let to = self.roll.clock().mark();
        let proof = crashed.map_or_else(Proof::Nothing, Proof::InForce);
        Ok(Done::proved(proof, Some((from, to))))
    }

    /// Undoes all parts of a fault and reads them back; the inner error says what is still there.
    pub(crate) async fn undo_all(
        &self,
        fault: FaultId,
        it: &Resolved,
    ) -> Result<Result<String, String>, ClusterError> {
        let mut words = Vec::new();
        if matches!(
            it.deed.kind,
            FaultKind::Isolate | FaultKind::Cut | FaultKind::Flap
        ) {
            self.system.mend(fault).await?;
            match proof::of_mending(self.system, fault).await? {
                Ok(gone) => words.push(gone),
                Err(left) => return Ok(Err(left)),
            }
        }
        for what in &it.injections {
            let recovered = self.system.recover(fault, what, self.roll.clock()).await?;
            self.altered(recovered.altered);
            words.push(recovered.evidence);
        }
        if let Some(client) = &it.client {
            match self.clients.revive(client).await {
                Ok(revived) => words.push(revived),
                Err(why) => return Ok(Err(why)),
            }
        }
        for (node, service) in &it.deed.processes {
            self.let_run(fault, it.deed.kind, *node, *service).await?;
        }
        for (node, service) in &it.deed.processes {
            let state = self.system.process(*node, *service).await?;
            let place = format!("the process table of {node}");
            match (state, self.held_by(fault, *node, *service, state)) {
                (ProcessState::Running { pid }, _) => {
                    words.push(format!("{service} {pid} runs on {node}"))
                }
                (_, Some(other)) => {
                    words.push(format!("the {service} of {node} is left to {other}"))
                }
                (ProcessState::Paused { pid }, None) => {
                    return Ok(Err(format!("{place} shows {service} {pid} stopped (T)")));
                }
                (ProcessState::Gone, None) => return Ok(Err(format!("{place} has no {service}"))),
            }
        }
        Ok(Ok(words.join("; ")))
    }

    /// From what *is*: a process that runs is left alone, a stopped one continued, a gone one
    /// started, unless another open fault keeps it so.
    async fn let_run(
        &self,
        fault: FaultId,
        kind: FaultKind,
        node: NodeId,
        service: Service,
    ) -> Result<(), ClusterError> {
        let turn = self.turn(node, service);
        let _mine = turn.lock().await;
        let state = self.system.process(node, service).await?;
        if self.held_by(fault, node, service, state).is_some() {
            return Ok(());
        }
        match (kind, state) {
            (FaultKind::Pause, ProcessState::Paused { .. }) => {
                let clock = self.roll.clock();
                self.system
                    .signal(node, service, Signal::Resume, clock)
                    .await?;
                self.roll.resumed(node, service);
            }
            (_, ProcessState::Running { .. } | ProcessState::Paused { .. }) => {}
            (_, ProcessState::Gone) => {
                self.roll.gone(node, service);
                let started = self.system.start(node, service).await?;
                if started.fresh {
                    self.roll.started(node, service, started.pid);
                }
            }
        }
        Ok(())
    }
}

/// From when the first of several signals was about to be sent to when the last was obeyed.
fn span(told: &[Signalled]) -> (Mark, Mark) {
    let first = told.iter().map(|it| it.between.0).min();
    let last = told.iter().map(|it| it.between.1).max();
    (first.unwrap_or_default(), last.unwrap_or_default())
}
