//! What each host can suffer: asked of its kernel and its tools, never assumed.
//!
//! It leaves nothing behind. What a kernel can queue is tried where nobody sends: on the loopback
//! device, below a root that carries the lab's handle, so that a heal would find it.

use std::time::Duration;

use crate::cmd::Cmd;
use crate::config::Layout;
use crate::disk;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::injection::{Lack, Power, Powers};
use crate::injections;
use crate::labfile::LabFile;
use crate::remote::{Node, RemoteCluster};
use crate::remote_all::all_ok;
use crate::site::Site;

const SHORT: Duration = Duration::from_secs(10);
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Prints a line for each power that is lacking: its word, and why. A rule that is asked for and is
/// not there is a "bad rule"; anything else that iptables says is about the match itself.
const LACKS: &str = r#"lack() { printf '%s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"; }
if ! said=$(ipt -n -L INPUT 2>&1 >/dev/null); then
  lack iptables "$said"; lack statistic "$said"
elif ! said=$(ipt -C INPUT -m statistic --mode random --probability 0.5 -j DROP 2>&1); then
  case $said in *"Bad rule"*) ;; *) lack statistic "$said";; esac
fi
hold 3
if ! said=$(tc -V 2>&1); then lack netem "$said"; lack tbf "$said"; exit 0; fi
root_of lo
if [ "$whose" != kernel ]; then said="could not be tried: lo has a queueing discipline of its own ($whose)"
elif said=$($root tc qdisc add dev lo root handle "$handle" htb 2>&1); then
  $root tc class add dev lo parent "$handle" classid "${handle}1" htb rate 10gbit quantum 60000 || lack netem "tc refuses a class"
  for queue in "netem delay 1us" "tbf rate 1gbit burst 128kb latency 100ms"; do
    if said=$($root tc qdisc add dev lo parent "${handle}1" handle 1: $queue 2>&1); then
      $root tc qdisc del dev lo parent "${handle}1" handle 1:
    else lack "${queue%% *}" "tc: $said"; fi
  done
  $root tc qdisc del dev lo root; exit
else said="htb, on which the others stand: tc: $said"; fi
lack netem "$said"; lack tbf "$said""#;

impl RemoteCluster {
    /// The powers of one host.
    ///
    /// # Errors
    /// The host does not answer.
    pub(crate) async fn powers_of(&self, node: &Node) -> Result<Powers, ClusterError> {
        let host = &node.host;
        let bytes = self.spec.disk_bytes;
        let mut lacks = asked(host, &self.lab, &self.layout, bytes).await?;
        if let Some(why) = self.shares_its_clock(node).await? {
            let power = Power::OwnClock;
            lacks.push(Lack { power, why });
        }
        lacks.sort_by_key(|lack| lack.power);
        Ok(Powers {
            node: host.node(),
            lacks,
        })
    }

    /// With whom a host shares its kernel, and so its clock. Every kernel draws an id when it starts.
    pub(crate) async fn shares_its_clock(
        &self,
        node: &Node,
    ) -> Result<Option<String>, ClusterError> {
        let each = self.nodes.iter().map(|node| async move {
            Ok((node.host.node().to_string(), boot_id(&node.host).await?))
        });
        let mut all = all_ok(each).await?;
        all.push(("the controller".to_owned(), own_boot_id()));
        let own = node.host.node().to_string();
        Ok(shared(&own, &all))
    }
}

/// What one host lacks, as far as it can say so alone; `bytes` as [`disk::lacks`] has it.
///
/// # Errors
/// The host does not answer.
pub(crate) async fn asked(
    host: &Host,
    lab: &LabFile,
    layout: &Layout,
    bytes: Option<u64>,
) -> Result<Vec<Lack>, ClusterError> {
    let text = format!("{}{LACKS}", injections::TREE);
    let cmd = Site::of(host, lab).script(&text, [""; 0]);
    let mut lacks = read(&host.ok(Lane::Control, &cmd, SHORT).await?);
    lacks.extend(disk::lacks(host, lab, layout, bytes).await?);
    Ok(lacks)
}

/// What a host's kernel drew when it started.
///
/// # Errors
/// The host does not answer.
pub(crate) async fn boot_id(host: &Host) -> Result<String, ClusterError> {
    let cmd = Cmd::new("cat").arg(BOOT_ID);
    let said = host.ok(Lane::Control, &cmd, SHORT).await?;
    Ok(said.trim().to_owned())
}

/// The id that this machine's kernel drew when it started; empty where it draws none.
pub(crate) fn own_boot_id() -> String {
    let here = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    here.trim().to_owned()
}

/// Who else runs on the kernel of `own`, in words.
fn shared(own: &str, all: &[(String, String)]) -> Option<String> {
    let (_, id) = all.iter().find(|(name, _)| name == own)?;
    let others = all.iter().filter(|(name, it)| it == id && name != own);
    let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
    (!others.is_empty()).then(|| {
        format!(
            "it runs on the same kernel as {} (boot id {id})",
            others.join(" and ")
        )
    })
}

/// Reads what [`LACKS`] prints.
fn read(said: &str) -> Vec<Lack> {
    let power = |word: &str| match word {
        "iptables" => Some(Power::Iptables),
        "statistic" => Some(Power::Statistic),
        "netem" => Some(Power::Netem),
        "tbf" => Some(Power::Tbf),
        _ => None,
    };
    let lack = |line: &str| {
        let (word, why) = line.split_once(' ')?;
        let why = why.trim().to_owned();
        power(word).map(|power| Lack { power, why })
    };
    said.lines().filter_map(lack).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_share_a_kernel_share_a_clock() {
        let name = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        let all = [
            name("n0", "a"),
            name("n1", "b"),
            name("the controller", "a"),
        ];
        let why = shared("n0", &all).expect("shared");
        assert_eq!(
            why,
            "it runs on the same kernel as the controller (boot id a)"
        );
        assert_eq!(shared("n1", &all), None);
    }

    #[test]
    fn a_host_says_itself_what_it_lacks() {
        let said = "netem tc: Error: Specified qdisc kind is unknown.\nstatistic x y\nodd\n";
        let read = read(said);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].power, Power::Netem);
        assert_eq!(read[0].why, "tc: Error: Specified qdisc kind is unknown.");
    }

    /// The real iptables and tc, in a network namespace of their own.
    #[test]
    fn asking_leaves_nothing_behind() {
        let lab = crate::labfile::find("local").expect("built in");
        let text = format!("{}{LACKS}", injections::TREE);
        let cmd = Site::new("", &lab).script(&text, [""; 0]);
        let ask = crate::cmd::quoted(cmd.words(""));
        let look = "tc qdisc show; iptables-save";
        let script = format!("ip link set lo up; {look}; echo ---; {ask}; echo ---; {look}");
        let out = std::process::Command::new("unshare")
            .args(["-n", "sh", "-c", &script])
            .output();
        let Some(out) = out.ok().filter(|out| out.status.success()) else {
            println!("SKIPPED: no network namespace here (needs root, unshare, iptables, tc)");
            return;
        };
        let text = String::from_utf8(out.stdout).expect("text");
        let parts: Vec<&str> = text.split("---\n").collect();
        println!("{}", parts[1]);
        assert_eq!(parts[0], parts[2]);
        assert!(
            read(parts[1])
                .iter()
                .all(|lack| lack.power != Power::Iptables)
        );
        assert!(!parts[1].contains("could not be tried"), "{}", parts[1]);
    }
}
