//! What each host can suffer: asked of its kernel and its tools, never assumed.

use crate::error::ClusterError;
use crate::injection::{Lack, POWERS, Powers};
use crate::remote::{Node, RemoteCluster};

impl RemoteCluster {
    /// The powers of one host.
    ///
    /// # Errors
    /// The host does not answer.
    pub(crate) async fn powers_of(&self, node: &Node) -> Result<Powers, ClusterError> {
        let lack = |(power, _)| Lack {
            power,
            why: "this build does not ask for it yet".to_owned(),
        };
        Ok(Powers {
            node: node.host.node(),
            lacks: POWERS.into_iter().map(lack).collect(),
        })
    }
}
