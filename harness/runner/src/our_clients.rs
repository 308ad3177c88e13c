//! The workload's clients, as a fault sees them.

use std::cell::RefCell;

use history::ClientId;
use nemesis::CrashedClient;
use nemesis::clients::{Answer, Clients};
use workloads::Workload;

/// The clients of this run.
pub struct OurClients<'a> {
    workload: &'a Workload,
    /// Who crashed and was not yet replaced, with the fault's words for it.
    gone: RefCell<Vec<(CrashedClient, ClientId)>>,
}

impl<'a> OurClients<'a> {
    /// Of a load.
    pub fn new(workload: &'a Workload) -> Self {
        Self {
            workload,
            gone: RefCell::default(),
        }
    }
}

impl Clients for OurClients<'_> {
    fn crash<'a>(&'a self, which: &'a CrashedClient) -> Answer<'a> {
        Box::pin(async move {
            let CrashedClient { topic, consumer } = which;
            let Some(crashed) = self.workload.crash(topic, *consumer).await else {
                let side = if *consumer { "consumer" } else { "producer" };
                return Err(format!("no {side} of {topic} lives"));
            };
            self.gone.borrow_mut().push((which.clone(), crashed.client));
            Ok(format!(
                "{} is gone; {} of its operations have no outcome",
                crashed.client, crashed.in_flight
            ))
        })
    }

    fn revive<'a>(&'a self, which: &'a CrashedClient) -> Answer<'a> {
        Box::pin(async move {
            let gone = |(it, _): &(CrashedClient, ClientId)| it == which;
            let ended = {
                let all = self.gone.borrow();
                all.iter().find(|it| gone(it)).map(|(_, client)| *client)
            };
            let Some(ended) = ended else {
                return Ok(format!("no client of {} is missing", which.topic));
            };
            let fresh = self.workload.revive(&which.topic, ended).await;
            let fresh = fresh.map_err(|error| error.to_string())?;
            self.gone
                .borrow_mut()
                .retain(|(_, client)| *client != ended);
            Ok(match fresh {
                Some(fresh) => format!("{fresh} stands in the place of {ended}"),
                None => format!("nobody is missing in the place of {ended}"),
            })
        })
    }
}
