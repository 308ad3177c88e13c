//! Which anomalies invalidate, and the verdict as it is printed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::entry::{Entry, Shown};
use super::tables::Tables;

/// Whether the history is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    /// Nothing was found that invalidates.
    Yes,
    /// Something was.
    No,
    /// Jepsen's own checker dies on this history.
    Unknown,
}

/// What one guarantee comes to, under our own rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guaranteed {
    /// Its name: a type of anomaly, or a guarantee about replicas.
    pub name: &'static str,
    /// "held", "broken" or "unproven".
    pub verdict: &'static str,
    /// How much was looked at.
    pub examined: u64,
    /// Why it is unproven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
}

/// What was found in a foreign history. It serializes as `docs/jepsen.md` shows.
#[derive(Debug)]
pub struct ForeignVerdict<'h> {
    /// Whether it is valid.
    pub valid: Valid,
    /// Why Jepsen's own checker dies, if it does.
    pub crash: Option<String>,
    /// Types that invalidate, by name.
    pub bad: Vec<&'static str>,
    /// Guarantee by guarantee; empty under Jepsen's rules, which have none.
    pub guarantees: Vec<Guaranteed>,
    pub(super) tables: Tables<'h>,
    anomalies: BTreeMap<&'static str, Vec<Entry>>,
}

impl<'h> ForeignVerdict<'h> {
    pub(super) fn new(tables: Tables<'h>) -> ForeignVerdict<'h> {
        ForeignVerdict {
            valid: Valid::Unknown,
            crash: None,
            bad: Vec::new(),
            guarantees: Vec::new(),
            tables,
            anomalies: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, name: &'static str, entries: Vec<Entry>) {
        if !entries.is_empty() {
            self.anomalies.entry(name).or_default().extend(entries);
        }
    }

    /// Decides. Of a checker that died nothing is left but why.
    pub(super) fn fold(&mut self, allowed: &[&str]) {
        if self.crash.is_some() {
            self.anomalies.clear();
            return;
        }
        let names = self.anomalies.keys().copied();
        self.bad = names.filter(|name| !allowed.contains(name)).collect();
        self.valid = if self.bad.is_empty() {
            Valid::Yes
        } else {
            Valid::No
        };
    }

    /// Decides by our own rules: what is broken is bad, and nothing of a replica is proven.
    pub(super) fn fold_guarantees(&mut self, guarantees: Vec<Guaranteed>) {
        let broken = guarantees.iter().filter(|row| row.verdict == "broken");
        self.bad = broken.map(|row| row.name).collect();
        self.bad.sort_unstable();
        let open = guarantees.iter().any(|row| row.verdict == "unproven");
        self.valid = match (self.bad.is_empty(), open) {
            (false, _) => Valid::No,
            (true, true) => Valid::Unknown,
            (true, false) => Valid::Yes,
        };
        self.guarantees = guarantees;
    }

    /// The verdict for people, in a few lines.
    pub fn sentence(&self) -> String {
        let mut said = match (self.valid, &self.crash) {
            (_, Some(why)) => return format!("Unknown. Jepsen's checker dies here: {why}."),
            (Valid::Yes, _) => "Valid.".to_owned(),
            (Valid::No, _) => "Invalid.".to_owned(),
            (Valid::Unknown, _) => "Unproven. Clients saw nothing wrong.".to_owned(),
        };
        let told = |(name, count): (&str, u64)| {
            let tolerated = if self.bad.contains(&name) {
                ""
            } else {
                " (tolerated)"
            };
            format!("\n  {name}: {count}{tolerated}")
        };
        said.extend(self.errors().map(told));
        let open = self
            .guarantees
            .iter()
            .filter(|row| row.verdict == "unproven");
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in open {
            let why = row.why.unwrap_or("nothing to examine");
            reasons.entry(why).or_default().push(row.name);
        }
        for (why, names) in reasons {
            said += &format!("\n  unproven ({why}): {}", names.join(", "));
        }
        said
    }

    /// How many of each type were found.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.anomalies
            .iter()
            .map(|(name, entries)| (*name, entries.len() as u64))
    }
}

/// What Jepsen tolerates.
pub(super) fn allowed(ww_deps: bool, subscribed: bool) -> Vec<&'static str> {
    // Kafka isolates no writes from each other.
    let mut allowed = vec![
        "int-send-skip",
        "G0",
        "G0-process",
        "G0-realtime",
        "PL-1-cycle-exists",
        "strong-PL-1-cycle-exists",
    ];
    if subscribed {
        allowed.extend(["poll-skip", "nonmonotonic-poll"]);
    }
    if ww_deps {
        allowed.extend([
            "G1c",
            "G1c-process",
            "G1c-realtime",
            "PL-2-cycle-exists",
            "strong-PL-2-cycle-exists",
        ]);
    }
    allowed
}

impl Serialize for ForeignVerdict<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        match self.valid {
            Valid::Yes => map.serialize_entry("valid", &true)?,
            Valid::No => map.serialize_entry("valid", &false)?,
            Valid::Unknown => map.serialize_entry("valid", "unknown")?,
        }
        if let Some(crash) = &self.crash {
            map.serialize_entry("crash", crash)?;
        }
        map.serialize_entry("errors", &self.errors().collect::<BTreeMap<_, _>>())?;
        map.serialize_entry("bad", &self.bad)?;
        map.serialize_entry("anomalies", &Anomalies(self))?;
        if !self.guarantees.is_empty() {
            map.serialize_entry("guarantees", &self.guarantees)?;
        }
        map.end()
    }
}

struct Anomalies<'a, 'h>(&'a ForeignVerdict<'h>);

impl Serialize for Anomalies<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Anomalies(verdict) = self;
        let mut map = out.serialize_map(Some(verdict.anomalies.len()))?;
        for (name, entries) in &verdict.anomalies {
            let list = List {
                entries,
                tables: &verdict.tables,
            };
            map.serialize_entry(name, &list)?;
        }
        map.end()
    }
}

struct List<'a, 'h> {
    entries: &'a [Entry],
    tables: &'a Tables<'h>,
}

impl Serialize for List<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut list = out.serialize_seq(Some(self.entries.len()))?;
        for entry in self.entries {
            list.serialize_element(&Shown(entry, self.tables))?;
        }
        list.end()
    }
}
