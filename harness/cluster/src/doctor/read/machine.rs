//! How a host's disk and clock are: room, speed, distance from the others.

use super::super::{About, Finding};
use crate::labfile::LabFile;

/// What a run may write before anybody worries.
const ROOM_COMFORTABLE: u64 = 4 << 30;
/// Less, and the first run is refused: jars, twice while they are unpacked, and a run.
const ROOM_NEEDED: u64 = 512 << 20;
/// Slower than this, and ZooKeeper's sessions suffer.
const FSYNC_MAX_MS: f64 = 100.0;

/// Free KiB and the file system's type.
pub(in crate::doctor) fn room(said: &str, lab: &LabFile) -> Finding {
    let about = About::Room;
    let mut words = said.split_whitespace();
    let (Some(kib), kind) = (
        words.next().and_then(|n| n.parse::<u64>().ok()),
        words.next(),
    ) else {
        return Finding::missing(
            about,
            "unknown",
            format!("df says {said:?}"),
            "look at `df` there",
        );
    };
    let (bytes, kind) = (kib << 10, kind.unwrap_or("?"));
    let found = format!("{:.1} GB {kind}", bytes as f64 / 1e9);
    let why = format!("{} MiB are free for {}", bytes >> 20, lab.dir);
    let remedy = "make room there, or set another `dir` in the lab file";
    match bytes {
        0..ROOM_NEEDED => Finding::missing(about, found, why, remedy),
        ROOM_NEEDED..ROOM_COMFORTABLE => Finding::note(about, found, why, remedy),
        _ => Finding::fits(about, found),
    }
}

/// Nanoseconds of one fsync after 4 MiB, and of eight synchronous writes.
pub(in crate::doctor) fn speed(said: &str) -> Finding {
    let about = About::Disk;
    let mut words = said.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(large)), Some(Ok(small))) = (words.next(), words.next()) else {
        let why = format!("writing there said {said:?}");
        return Finding::missing(
            about,
            "fails",
            why,
            "look at the disk below the lab's directory",
        );
    };
    let (large, each) = (large / 1e6, small / 8e6);
    let found = format!("{each:.1} ms");
    if each <= FSYNC_MAX_MS {
        return Finding::fits(about, found);
    }
    Finding::note(
        about,
        found,
        format!("a write of 4 KiB takes {each:.0} ms to the disk, 4 MiB take {large:.0} ms"),
        "use a faster disk, or the `fast` profile, whose ZooKeepers do not force their log",
    )
}

/// Apart from the others' by so many seconds, give or take.
pub(in crate::doctor) fn clock(apart: f64, unsure: f64, most: f64) -> Finding {
    let about = About::Clock;
    let found = match apart.abs() {
        0.0..10.0 => format!("{:+.1} ms ±{:.1}", apart * 1e3, unsure * 1e3),
        _ => format!("{apart:+.0} s"),
    };
    if apart.abs() <= most + unsure {
        return Finding::fits(about, found);
    }
    Finding::note(
        about,
        found,
        format!("its clock is {apart:+.3} s apart from the hosts' middle one"),
        "keep the clocks together: sudo yum install chrony && sudo systemctl enable --now chronyd",
    )
}

/// What timedatectl says: `NTP synchronized: yes` (systemd 219), `System clock synchronized: yes`
/// (239 and later).
pub(in crate::doctor) fn time_sync(said: &str) -> Finding {
    let about = About::TimeSync;
    let field = |name: &str| {
        let mut lines = said.lines().map(str::trim);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let synchronised = field("NTP synchronized").or_else(|| field("System clock synchronized"));
    match synchronised {
        Some("yes") => Finding::fits(about, "yes"),
        Some(other) => Finding::note(
            about,
            other,
            "nothing keeps its clock right",
            "sudo yum install chrony && sudo systemctl enable --now chronyd",
        ),
        None => Finding::fits(about, "not known"),
    }
}
