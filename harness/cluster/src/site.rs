//! What a lab is called on its hosts, and the prelude of the scripts that harm and heal there.
//!
//! It decides nothing: whether a lease is in force, a script asks on the host itself.

use sha2::{Digest, Sha256};

use crate::cmd::Cmd;
use crate::guard_heal;
use crate::host::Host;
use crate::labfile::LabFile;

/// The longest name iptables takes for a chain.
pub(crate) const CHAIN_MAX: usize = 28;

/// What all scripts begin with. A login that is not root often has no sbin on its path.
/// $1 `sudo -n` or nothing, $2 the lab's directory, $3 what our chains' names begin with, $4 the
/// handle of our queueing disciplines.
const PRELUDE: &str = r#"PATH=$PATH:/usr/sbin:/sbin LC_ALL=C; export PATH LC_ALL
root=$1 dir=$2 prefix=$3 handle=$4; shift 4
now() { read -r up rest </proc/uptime; now=${up%.*}${up#*.}; }
lives() {
  read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  at=$2; set -- ${stat##*) }; [ "$1" != Z ] && [ "${20}" = "$at" ]
}
lease() { until=0 whose= guard= since=; read -r until whose guard since 2>/dev/null <"$dir/.lease"; }
hold() { [ -e "$dir/.guard" ] && exec 9<"$dir/.guard" && flock -w "$1" 9; }
# iptables 1.4.21 knows -w, but not with seconds.
ipt() { $root iptables -w "$@"; }
armed() {
  why=
  if ! hold 3; then why="nobody lets go of $dir/.guard"
  elif ! lease; then why="there is no lease on this host"
  elif [ "$whose" != "$1" ]; then why="the lease is that of run $whose"
  elif ! lives "$guard" "$since"; then why="the guard (process $guard) is gone"
  else now; [ "$until" -gt $((now + 100)) ] || why="the lease has run out"; fi
  [ -z "$why" ] || { echo "$why" >&2; exit 7; }
}
"#;

/// What a host's scripts need to know of the lab, and how they are run.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    root: String,
    dir: String,
    prefix: String,
    handle: String,
}

impl Site {
    /// Of a lab on a host.
    pub(crate) fn of(host: &Host, lab: &LabFile) -> Self {
        Self::new(&host.root_prefix(), lab)
    }

    pub(crate) fn new(root: &str, lab: &LabFile) -> Self {
        Self {
            root: root.to_owned(),
            dir: lab.dir.trim_end_matches('/').to_owned(),
            prefix: chain_prefix(&lab.name),
            handle: handle(&lab.name),
        }
    }

    /// What our queueing disciplines are called: `7c1:`.
    pub(crate) fn handle(&self) -> &str {
        &self.handle
    }

    /// A script's text for a program on the host, which takes the same first four arguments.
    pub(crate) fn text(&self, text: &str) -> String {
        format!("{PRELUDE}{text}")
    }

    /// A script that has the prelude's functions; `args` are its `$1`, `$2`, ...
    pub(crate) fn script<A: Into<String>>(
        &self,
        text: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Cmd {
        let own = [&self.root, &self.dir, &self.prefix, &self.handle].map(String::clone);
        let args = own.into_iter().chain(args.into_iter().map(Into::into));
        Cmd::script(&format!("{PRELUDE}{text}"), args)
    }

    /// The same with the function `heal`.
    pub(crate) fn healing<A: Into<String>>(
        &self,
        text: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Cmd {
        self.script(&format!("{}{text}", guard_heal::functions()), args)
    }
}

/// `TM-<lab>-`. A long name keeps its beginning and six digits of its digest.
pub(crate) fn chain_prefix(lab: &str) -> String {
    // "TM-", the name, "-f65535".
    const NAME: usize = CHAIN_MAX - 3 - 7;
    if lab.len() <= NAME {
        return format!("TM-{lab}-");
    }
    let digest = Sha256::digest(lab.as_bytes());
    let digits: String = digest.iter().take(3).map(|b| format!("{b:02x}")).collect();
    let beginning: String = lab.chars().take(NAME - 7).collect();
    format!("TM-{beginning}+{digits}-")
}

/// Of a lab's queueing disciplines: one of 1 792 from 700 to dff (hexadecimal), by the lab's name.
/// The kernel gives out 8001 and above by itself, people write small ones.
fn handle(lab: &str) -> String {
    let digest = Sha256::digest(lab.as_bytes());
    let number = digest
        .iter()
        .take(4)
        .fold(0u32, |n, b| (n << 8) | u32::from(*b));
    format!("{:x}:", 0x700 + number % 0x700)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_two_labs_do_not_meet() {
        assert_eq!(chain_prefix("local"), "TM-local-");
        let handles = ["local", "centos7", "k123s"].map(handle);
        for name in &handles {
            let number = u32::from_str_radix(name.trim_end_matches(':'), 16).expect("hexadecimal");
            assert!((0x700..0xe00).contains(&number), "{name}");
        }
        assert_ne!(handles[0], handles[1]);
    }
}
