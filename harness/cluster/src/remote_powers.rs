//! What each host can suffer: asked of its kernel and its tools, never assumed.

use crate::disk;
use crate::error::ClusterError;
use crate::injection::{Lack, POWERS, Power, Powers};
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
        let asked = [Power::OwnDisk, Power::DeviceMapper];
        let others = POWERS.into_iter().filter(|(p, _)| !asked.contains(p));
        let mut lacks: Vec<Lack> = others.map(lack).collect();
        let bytes = self.spec.disk_bytes;
        lacks.extend(disk::lacks(&node.host, &self.lab, &self.layout, bytes).await?);
        lacks.sort_by_key(|lack| lack.power);
        Ok(Powers {
            node: node.host.node(),
            lacks,
        })
    }
}
