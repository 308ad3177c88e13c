//! Where every record went. Every row adds up, or the imbalance is said: a report that cannot
//! account for its records is not to be believed.

use evidence::Batch;
use history::{Payload, ValueId};
use rustc_hash::FxHashSet;

use crate::contract::Contract;
use crate::facts::{Facts, Fate, PartFacts, PartId};
use crate::gone::{GoneTopic, Kind};
use crate::judgement::{Accounting, Class, DrainRow, OutcomeRow, RecordRow};

/// Accounts for one topic.
pub fn of(facts: &Facts, contract: &Contract, gone: &GoneTopic) -> Accounting {
    let mut accounting = Accounting::default();
    let none = FxHashSet::default();
    for &id in &contract.parts {
        let part = &facts.parts[id];
        if let Err(why) = &part.fin {
            accounting
                .imbalance
                .push(format!("{} cannot be accounted for: {why}.", part.name));
            continue;
        }
        let superseded = gone.superseded.get(&id).unwrap_or(&none);
        values(facts, part, superseded, &mut accounting);
        records(contract, part, &mut accounting);
        drains(facts, part, superseded, &mut accounting);
        accounting.acknowledged.expired += gone.expired.get(&id).copied().unwrap_or(0);
    }
    lost(gone, &mut accounting.acknowledged);
    balance(contract, &mut accounting);
    accounting
}

fn values(
    facts: &Facts,
    part: &PartFacts,
    superseded: &FxHashSet<ValueId>,
    accounting: &mut Accounting,
) {
    let seen = seen_but_not_final(facts, part);
    for (place, send) in facts.ops.sends_of(&part.sends) {
        let row = match send.fate {
            Fate::Acked { .. } => &mut accounting.acknowledged,
            Fate::Failed => &mut accounting.failed,
            Fate::Unknown => &mut accounting.unknown,
        };
        row.sent += 1;
        if part.final_at.is_there(place) {
            row.present += 1;
        } else if superseded.contains(&send.value) {
            row.superseded += 1;
        } else if !send.acked() {
            // Unknown sends are settled from logs and deliveries: applied then lost, or never seen.
            if seen.contains(&send.value) {
                row.lost += 1;
            } else {
                row.never_seen += 1;
            }
        }
    }
}

/// Values without an acknowledgement that some image or delivery shows, and the final log does not.
fn seen_but_not_final(facts: &Facts, part: &PartFacts) -> FxHashSet<ValueId> {
    let absent = part.sends.iter().enumerate();
    let open: FxHashSet<ValueId> = absent
        .filter(|(place, _)| !part.final_at.is_there(*place))
        .map(|(_, &send)| facts.ops.send(send))
        .filter(|send| !send.acked())
        .map(|send| send.value)
        .collect();
    if open.is_empty() {
        return open;
    }
    let stored = part.images.iter().flat_map(|image| {
        let batches = image.view.log.batches.iter();
        let others = batches.filter(|batch| !final_too(part, batch));
        others.flat_map(|batch| image.view.log.records_of(batch))
    });
    let stored = stored.map(|record| record.payload);
    let read = facts
        .ops
        .reads_of(&part.reads)
        .map(|(_, read)| read.payload);
    stored
        .chain(read)
        .filter_map(|payload| match payload {
            Payload::Value(value) => open.contains(&value).then_some(value),
            Payload::Corrupt | Payload::Foreign => None,
        })
        .collect()
}

/// Whether a batch stands in the final log, where its values were looked for.
fn final_too(part: &PartFacts, batch: &Batch) -> bool {
    let (Some(log), Ok(fin)) = (part.final_log(), &part.fin) else {
        return false;
    };
    let same = log.batch_at(batch.base);
    batch.base >= fin.start
        && same.is_some_and(|same| same.base == batch.base && same.digest == batch.digest)
}

/// Adds what the drain gave of a partition. What compaction took before the capture was read all the
/// same.
fn drains(
    facts: &Facts,
    part: &PartFacts,
    superseded: &FxHashSet<ValueId>,
    accounting: &mut Accounting,
) {
    let consumers = &facts.recording.setting.consumers;
    let mut taken = [0, 0];
    if !superseded.is_empty() {
        let log = part.final_log();
        let reads = part.reads.iter().map(|&read| facts.ops.read(read));
        for read in reads.filter(|read| read.drain) {
            let gone = log.is_none_or(|log| log.at(read.offset).is_none());
            let ours = matches!(read.payload, Payload::Value(v) if superseded.contains(&v));
            let committed = consumers
                .get(&read.client)
                .is_some_and(|consumer| consumer.read_committed);
            taken[usize::from(committed)] += u64::from(gone && ours);
        }
    }
    let add = |to: &mut DrainRow, row: &DrainRow, taken: u64| {
        to.expected += row.expected;
        to.delivered += row.delivered;
        to.matching += row.matching;
        to.superseded += taken;
        to.aborted += row.aborted;
        to.unstable += row.unstable;
    };
    add(&mut accounting.drain, &part.drain, taken[0]);
    if let Some(row) = &part.committed_drain {
        let committed = accounting.committed_drain.get_or_insert_default();
        add(committed, row, taken[1]);
    }
}

fn records(contract: &Contract, part: &PartFacts, accounting: &mut Accounting) {
    let present = part.final_at.present();
    let row: &mut RecordRow = &mut accounting.records;
    row.data += part.data_records;
    row.present += present;
    row.extra_copies += part.copies.len() as u64;
    row.phantoms += part.phantoms.len() as u64;
    row.control += part.control_records;
    let counted = present
        + part.copies.len() as u64
        + part.phantoms.len() as u64
        + part.strangers.len() as u64;
    if !part.strangers.is_empty() {
        accounting.imbalance.push(format!(
            "{} holds {} of this run that its history did not send there.",
            part.name,
            crate::gone::many(part.strangers.len() as u64, "record", "records")
        ));
    }
    if counted != part.data_records {
        accounting.imbalance.push(format!(
            "{} holds {} data records, of which {counted} are accounted for.",
            part.name, part.data_records
        ));
    }
    // Damage and compaction leave offsets without records.
    if let (false, Some(log), Ok(fin)) = (contract.compacted, part.final_log(), &part.fin)
        && let Some(last) = log.log.batches.last()
        && log.log.damage.is_empty()
    {
        let offsets = u64::try_from(last.last.0 + 1 - fin.start.0).unwrap_or(0);
        let filled = part.data_records + part.control_records;
        if offsets != filled {
            accounting.imbalance.push(format!(
                "{} has {offsets} offsets from {} on, of which {filled} hold data or end \
                 transactions.",
                part.name, fin.start
            ));
        }
    }
}

fn lost(gone: &GoneTopic, row: &mut OutcomeRow) {
    for record in gone.records.iter().filter(|record| record.acked) {
        // A value that may have been deleted is open as a finding; here it is where it may be.
        if gone.groups[record.group].class == Class::Expired {
            row.expired += 1;
            continue;
        }
        match record.kind {
            Kind::AckedBelow => row.lost_below_hw += 1,
            Kind::AckedAbove => row.lost_above_hw += 1,
            Kind::AckedUndetermined => row.lost_undetermined += 1,
            // It is present, elsewhere; and the last two are not acknowledged.
            Kind::AckedElsewhere | Kind::Committed | Kind::Read => {}
        }
    }
    row.lost = row.lost_below_hw + row.lost_above_hw + row.lost_undetermined;
}

fn balance(contract: &Contract, accounting: &mut Accounting) {
    let rows: [(&str, &OutcomeRow); 3] = [
        ("acknowledged", &accounting.acknowledged),
        ("failed", &accounting.failed),
        ("unknown", &accounting.unknown),
    ];
    let mut imbalance = Vec::new();
    for (name, row) in rows {
        let sum = row.present + row.superseded + row.expired + row.lost + row.never_seen;
        if sum != row.sent {
            imbalance.push(format!(
                "{}: {} {name} values were sent, {sum} are accounted for.",
                contract.topic, row.sent
            ));
        }
    }
    let committed = accounting.committed_drain.iter();
    let rows = [(&accounting.drain, "the drain")].into_iter();
    for (row, name) in rows.chain(committed.map(|row| (row, "the drain of committed data"))) {
        let balanced = row.delivered == row.matching + row.superseded;
        if row.delivered > 0 && !(balanced && row.matching == row.expected) {
            imbalance.push(format!(
                "{}: {name} gave {} records, of which {} match the {} of the final logs.",
                contract.topic, row.delivered, row.matching, row.expected
            ));
        }
    }
    accounting.imbalance.extend(imbalance);
}

/// Partitions that the drain did not read to their ends.
pub fn undrained(facts: &Facts) -> Vec<PartId> {
    (0..facts.parts.len())
        .filter(|&id| facts.parts[id].undrained().is_some())
        .collect()
}
