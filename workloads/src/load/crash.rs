//! Clients that end without goodbye, and fresh ones in their place.
//!
//! What a crashed client had in flight ends as unknown, as it does for an application whose process
//! died. Its id never comes back. Whom to crash and when is decided elsewhere.

use std::cell::Cell;
use std::rc::Rc;

use history::{ClientId, Topic};
use tokio::sync::{mpsc, oneshot};

use super::{Lane, Workload};
use crate::client::OpenError;

/// A client that was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crashed {
    /// Which.
    pub client: ClientId,
    /// Operations that had no outcome and now never get one.
    pub in_flight: u64,
}

/// What a client's task is told.
pub enum Order {
    /// End the client as a crash of its process would.
    Crash(oneshot::Sender<Crashed>),
    /// Open a fresh one in its place.
    Revive(oneshot::Sender<Result<ClientId, OpenError>>),
}

/// Who is behind a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// This client.
    Alive(ClientId),
    /// Nobody since this client crashed.
    Gone(ClientId),
}

/// A client's task as the workload sees it.
pub struct Handle<T> {
    pub to: mpsc::UnboundedSender<T>,
    pub now: Rc<Cell<Now>>,
}

impl<T: From<Order>> Handle<T> {
    /// Crashes the client behind this handle; nothing when there is none.
    async fn crash(&self) -> Option<Crashed> {
        let Now::Alive(client) = self.now.get() else {
            return None;
        };
        let (answer, answered) = oneshot::channel();
        // At once, so that a second crash takes another client.
        self.now.set(Now::Gone(client));
        self.to.send(Order::Crash(answer).into()).ok()?;
        let crashed = answered.await.ok()?;
        self.now.set(Now::Gone(crashed.client));
        Some(crashed)
    }

    async fn revive(&self) -> Option<Result<ClientId, OpenError>> {
        let (answer, answered) = oneshot::channel();
        self.to.send(Order::Revive(answer).into()).ok()?;
        let revived = answered.await.ok()?;
        if let Ok(client) = revived {
            self.now.set(Now::Alive(client));
        }
        Some(revived)
    }
}

async fn crash_first<T: From<Order>>(handles: &[Handle<T>]) -> Option<Crashed> {
    for handle in handles {
        if let Some(crashed) = handle.crash().await {
            return Some(crashed);
        }
    }
    None
}

async fn revive_of<T: From<Order>>(
    handles: &[Handle<T>],
    ended: ClientId,
) -> Option<Result<ClientId, OpenError>> {
    let gone = |handle: &&Handle<T>| handle.now.get() == Now::Gone(ended);
    handles.iter().find(gone)?.revive().await
}

impl Workload {
    /// Ends one producer of a topic (or one consumer that reads along) without flush or goodbye:
    /// the first that lives. Nothing when the topic has none.
    pub async fn crash(&self, topic: &Topic, consumer: bool) -> Option<Crashed> {
        let lane: &Lane = self.lanes.get(topic)?;
        match consumer {
            false => crash_first(&lane.senders).await,
            true => crash_first(&lane.readers).await,
        }
    }

    /// Opens a fresh client in the place of one that crashed, with an id of its own; its share of
    /// the load begins again then. Nothing when nobody is missing in that place.
    ///
    /// # Errors
    /// When the client library refuses the client; the place stays empty then.
    pub async fn revive(
        &self,
        topic: &Topic,
        ended: ClientId,
    ) -> Result<Option<ClientId>, OpenError> {
        let Some(lane) = self.lanes.get(topic) else {
            return Ok(None);
        };
        let revived = match revive_of(&lane.senders, ended).await {
            None => revive_of(&lane.readers, ended).await,
            some => some,
        };
        revived.transpose()
    }
}
