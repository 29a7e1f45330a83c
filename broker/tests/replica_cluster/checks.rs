//! What must hold in the small cluster after every step.

use std::collections::BTreeMap;

use broker::ids::NodeId;
use broker::log::{PartitionLog, batches};

use super::{Model, TOPIC};

impl Model {
    pub fn log(&self, id: NodeId) -> Option<&PartitionLog> {
        Some(&self.brokers.get(&id)?.manager.partition(&TOPIC, 0)?.log)
    }

    pub fn content(&self, id: NodeId) -> Option<BTreeMap<i64, String>> {
        let log = self.log(id)?;
        let mut at = log.log_start_offset();
        let mut content = BTreeMap::new();
        while at < log.log_end_offset() {
            let bytes = log.read(at, i64::MAX, usize::MAX, true, &self.disks[&id]).expect("readable");
            for batch in batches(bytes) {
                for record in batch.expect("whole").records() {
                    let record = record.expect("whole");
                    let value = record.value.unwrap_or_default();
                    content.insert(record.offset, String::from_utf8_lossy(value).into_owned());
                    at = record.offset + 1;
                }
            }
        }
        Some(content)
    }

    pub fn check(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.must_check) {
            return Ok(());
        }
        let isr = self.registration().map_or(Vec::new(), |state| state.isr);
        let logs: BTreeMap<NodeId, _> =
            (1..=3).map(NodeId).filter_map(|id| Some((id, self.content(id)?))).collect();
        for id in &isr {
            let Some(log) = logs.get(id) else { continue };
            for (offset, value) in &self.acknowledged {
                if log.get(offset) != Some(value) {
                    let found = log.get(offset);
                    return Err(format!(
                        "P-3: in-sync replica {id} has {found:?} at {offset} instead of {value}"
                    ));
                }
            }
        }
        for (a, log_a) in &logs {
            for (b, log_b) in logs.range((std::ops::Bound::Excluded(*a), std::ops::Bound::Unbounded)) {
                let hw = |id: &NodeId| self.log(*id).map_or(0, |log| log.high_watermark());
                for offset in 0..hw(a).min(hw(b)) {
                    if log_a.get(&offset) != log_b.get(&offset) {
                        return Err(format!("P-5: {a} and {b} differ at {offset}"));
                    }
                }
            }
        }
        Ok(())
    }
}
