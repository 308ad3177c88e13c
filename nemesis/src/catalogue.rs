//! Every fault in a row: what it does, what proves it, what undoes it. docs/faults.md shows these
//! rows, and a test holds the two together; what a fault needs is `needs`.

/// One fault.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// As a plan writes it.
    pub example: &'static str,
    /// What is done.
    pub does: &'static str,
    /// What must have been read back before it counts as in force.
    pub proof: &'static str,
    /// How it is undone, and what must have been read back then.
    pub undo: &'static str,
}

const STARTED: &str = "started again (a broker once its old ZooKeeper session is gone); the process table shows it running";
const UNCUT: &str = "its rules are removed; no rule of this fault is left on any host";
const CUT: &str = "each rule is listed on its host and has dropped packets; where there was no traffic, a fresh connection met the rule";
const GONE: &str = "the process table showed the process before, and has it no more";
const QDISC: &str = "the queueing discipline is listed with its parameters, and its counters moved";
const UNQDISC: &str = "our queueing discipline and rules are removed; none is listed";
const NOTHING: &str = "cannot be undone: the log stays as it is, and the judge knows";

/// All faults, those of processes first.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        example: "kill leader of ledger/0",
        does: "SIGKILL to the broker; `kill zookeeper of n0` to the ZooKeeper server",
        proof: GONE,
        undo: STARTED,
    },
    Entry {
        example: "pause n0",
        does: "SIGSTOP",
        proof: "the process table showed it running before, and shows it stopped (T)",
        undo: "SIGCONT, or a start if it died meanwhile; the process table shows it running",
    },
    Entry {
        example: "stop n0",
        does: "SIGTERM and the wait for the clean end (a controlled shutdown); down until the heal",
        proof: GONE,
        undo: STARTED,
    },
    Entry {
        example: "restart controller",
        does: "as `stop`, and started again at once; `roll` does it to each node in turn",
        proof: GONE,
        undo: STARTED,
    },
    Entry {
        example: "isolate n0",
        does: "drops every packet between a node and all other nodes, both ways; clients still reach it",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "cut n2 -> n1 port broker",
        does: "drops what one host sends to another, or only what it sends to one port there",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "split {n0} | {n1, n2}",
        does: "cuts every link between two groups of nodes",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "bridge n1",
        does: "cuts every link that does not touch this node: all hear it, nobody hears another",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "ring",
        does: "cuts one direction of every link: each node hears only the one before it",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "part n2 from zookeeper",
        does: "cuts a node's ZooKeeper ports, its own server's included: the broker loses its session, peers and clients still reach it",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "part n2 from peers",
        does: "cuts the brokers' listeners between a node and all others, both ways; ZooKeeper and clients go on",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "part n2 from clients",
        does: "drops what anybody who is no node of the lab sends to the broker's listener; peers and ZooKeeper go on",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "flap isolate n0 every 500ms",
        does: "lets a cut come and go; each coming is recorded",
        proof: CUT,
        undo: UNCUT,
    },
    Entry {
        example: "delay n0 -> n1 by 100ms jitter 20ms",
        does: "every packet of a link waits",
        proof: QDISC,
        undo: UNQDISC,
    },
    Entry {
        example: "lose 5% of n0 -> n1",
        does: "drops so many packets of a link: netem at the sender, or iptables' statistic at the receiver",
        proof: "the discipline or the rule is listed, and its counters moved",
        undo: UNQDISC,
    },
    Entry {
        example: "duplicate 1% of n0 -> n1",
        does: "so many packets arrive twice",
        proof: QDISC,
        undo: UNQDISC,
    },
    Entry {
        example: "corrupt 0.1% of n0 -> n1",
        does: "so many packets have a wrong bit (TCP drops them)",
        proof: QDISC,
        undo: UNQDISC,
    },
    Entry {
        example: "reorder 10% of n0 -> n1",
        does: "so many packets overtake others",
        proof: QDISC,
        undo: UNQDISC,
    },
    Entry {
        example: "limit n0 -> n1 to 512kbit",
        does: "narrows a link (tbf)",
        proof: QDISC,
        undo: UNQDISC,
    },
    Entry {
        example: "elect preferred of ledger/0",
        does: "asks the controller for a leader election (KIP-460); `elect unclean` takes a replica that is not in sync",
        proof: "the leader or its epoch is another one afterwards, in the metadata of a broker",
        undo: "nothing to undo: the new leader stays",
    },
    Entry {
        example: "reassign ledger/0 to n1, n2, n0",
        does: "gives a partition other replicas (KIP-455) and waits until they are in sync",
        proof: "the assignment is the new one, and no reassignment is under way",
        undo: "reassigned to the plan's own replicas; read back the same way",
    },
    Entry {
        example: "configure ledger min.insync.replicas = 1",
        does: "changes a topic's setting under load (KIP-339)",
        proof: "every broker that answers shows the new value",
        undo: "the value, or its absence, that was there before; every broker that answers shows it",
    },
    Entry {
        example: "fill disk of n0",
        does: "fills the broker's bounded file system with a file of ours",
        proof: "no byte is left, and a write there was refused",
        undo: "our file is removed, and the broker started if it died; space is left, the process table shows it running",
    },
    Entry {
        example: "slow disk of n0 by 50ms",
        does: "puts dm-delay below the log directory",
        proof: "the device's table shows the delay",
        undo: "the plain table is put back; the device shows it",
    },
    Entry {
        example: "fail disk of n0",
        does: "puts dm-error below the log directory",
        proof: "the device's table shows the error target",
        undo: "the plain table is put back, and the broker started if it died",
    },
    Entry {
        example: "power-cut n0",
        does: "SIGKILL, then the broker's logs lose what they had not flushed, never below their durable point: whole batches; `torn`: half a batch stays; `zeroed`: the files keep their length",
        proof: "the process is gone, and the log ends earlier than it did, both read from its files",
        undo: STARTED,
    },
    Entry {
        example: "flip bit of ledger/0 on n0 closed",
        does: "changes one bit of a record's value in the active segment, or in a closed one",
        proof: "exactly one byte of the file differs",
        undo: NOTHING,
    },
    Entry {
        example: "remove checkpoints of n0",
        does: "SIGKILL, then the broker's checkpoint files are removed; `stale checkpoints`: replaced by older ones",
        proof: "the process is gone, and the files are gone or others",
        undo: STARTED,
    },
    Entry {
        example: "wipe n0",
        does: "SIGKILL, then the broker's log directory is emptied",
        proof: "the process is gone, and the directory is empty",
        undo: STARTED,
    },
    Entry {
        example: "delete records of ledger/0 before hw",
        does: "DeleteRecords (KIP-107) up to an offset or to the high watermark",
        proof: "the leader answers with a later log start",
        undo: NOTHING,
    },
    Entry {
        example: "bump clock of n0 by 500ms",
        does: "sets a host's clock off; `strobe clock of n0 by 200ms every 50ms` bumps it forth and back",
        proof: "the clock's distance from the monotonic one changed by as much",
        undo: "set back by what it was set off; the distance is the old one",
    },
    Entry {
        example: "crash producer of ledger",
        does: "ends one of our own clients without flush or goodbye; `crash consumer`",
        proof: "the client is gone, and its sends without an answer are recorded as unknown",
        undo: "a fresh client with another id is opened in its place",
    },
];

/// The rows as docs/faults.md has them.
pub fn rows() -> String {
    let mut text = String::from(
        "| fault | what it does | in force when | undone by, and when | needs |\n| --- | --- | --- | --- | --- |\n",
    );
    for entry in CATALOGUE {
        let ask: plan::Ask = match entry.example.parse() {
            Ok(ask) => ask,
            Err(why) => unreachable!("an example that is no fault: {why}"),
        };
        let groups = crate::needs(&ask).into_iter();
        let groups = groups.map(|group| {
            let names: Vec<String> = group.iter().map(ToString::to_string).collect();
            names.join(" or ")
        });
        let needs: Vec<String> = groups.collect();
        let needs = if needs.is_empty() {
            "the login user".to_owned()
        } else {
            needs.join(", ")
        };
        let Entry {
            example,
            does,
            proof,
            undo,
        } = entry;
        let example = cell(example);
        text.push_str(&format!(
            "| `{example}` | {does} | {proof} | {undo} | {needs} |\n"
        ));
    }
    text
}

/// Words in a cell of a table.
pub(crate) fn cell(words: &str) -> String {
    words.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/faults.md");

    #[test]
    fn the_page_about_faults_shows_both_tables() {
        let mut page = std::fs::read_to_string(DOCS).expect("docs/faults.md");
        let tables = [
            ("the catalogue", rows()),
            ("what was seen", crate::seen::rows()),
        ];
        for (name, rows) in tables {
            let (begin, end) = (
                format!("<!-- {name} begins -->\n"),
                format!("<!-- {name} ends -->"),
            );
            let (head, rest) = page.split_once(&begin).expect(name);
            let (shown, tail) = rest.split_once(&end).expect(name);
            if std::env::var_os("UPDATE").is_none() {
                assert_eq!(shown, rows, "UPDATE=1 cargo test -p nemesis writes it anew");
            }
            page = format!("{head}{begin}{rows}{end}{tail}");
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(DOCS, page).expect("written");
        }
    }

    #[test]
    fn no_fault_is_missing() {
        use std::collections::BTreeSet;
        use std::mem::{Discriminant, discriminant};
        let kinds = |texts: &[&str]| -> BTreeSet<String> {
            let kind = |text: &&str| {
                let ask: plan::Ask = text.parse().expect("a fault");
                let _: Discriminant<plan::Ask> = discriminant(&ask);
                let debug = format!("{ask:?}");
                debug
                    .split([' ', '(', '{'])
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            };
            texts.iter().map(kind).collect()
        };
        let ours: Vec<&str> = CATALOGUE.iter().map(|entry| entry.example).collect();
        assert_eq!(kinds(&ours), kinds(plan::ask::EXAMPLES));
    }
}
