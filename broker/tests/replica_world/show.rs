//! Effects as the lines of a story. Plain appends and flushes are left out: `log t/0` shows them when they matter.

use broker::io::Disk;
use broker::log::{PartitionLog, batches};
use broker::metadata::MetadataImage;
use broker::rpc::{Call, Outgoing, ReplyTo};
use broker::trace::Observation;
use broker::wire::{ErrorCode, Request, Response};

pub fn effect(effect: &Outgoing, image: &MetadataImage) -> Option<String> {
    match effect {
        Outgoing::Reply { to, response } => Some(reply(to, response, image)),
        Outgoing::NoReply { to } => Some(format!("no reply #{}", to.correlation_id)),
        Outgoing::Disconnect { to } => Some(format!("disconnect #{}", to.correlation_id)),
        Outgoing::Call(call) => Some(asked(call, image)),
        Outgoing::Fact(fact) => observed(fact),
        Outgoing::Halt { reason } => Some(format!("halt: {reason}")),
    }
}

fn topic(id: &broker::ids::TopicId, image: &MetadataImage) -> String {
    image.topic(id).map_or("?".to_string(), |topic| topic.name.to_string())
}

fn code(code: i16) -> String {
    ErrorCode::try_from_code(code).map_or("ok".to_string(), |error| format!("{error:?}"))
}

fn list(ids: impl IntoIterator<Item = impl ToString>) -> String {
    ids.into_iter().map(|id| id.to_string()).collect::<Vec<_>>().join(",")
}

/// The values of the records in some batches.
fn values(records: &bytes::Bytes) -> String {
    let mut words = Vec::new();
    for batch in batches(records.clone()) {
        for record in batch.expect("a whole batch").records() {
            let value = record.expect("a record").value.unwrap_or_default();
            words.push(String::from_utf8_lossy(value).into_owned());
        }
    }
    words.join(" ")
}

/// Who leads instead, as a refusal tells it (KIP-951).
fn leader(id: i32, epoch: i32, address: Option<String>) -> String {
    match (id, epoch, address) {
        (-1, -1, None) => String::new(),
        (-1, epoch, None) => format!(", nobody leads in epoch {epoch}"),
        (id, epoch, None) => format!(", {id} leads in epoch {epoch}"),
        (id, epoch, Some(address)) => format!(", {id} leads in epoch {epoch} at {address}"),
    }
}

fn reply(to: &ReplyTo, response: &Response, image: &MetadataImage) -> String {
    let what = match response {
        Response::Produce(answer) => {
            let data = &answer.responses[0].partition_responses[0];
            match data.error_code {
                0 => format!("produced at {}", data.base_offset),
                error => {
                    let offset = Some(data.base_offset).filter(|offset| *offset >= 0);
                    let offset = offset.map_or(String::new(), |offset| format!(" at {offset}"));
                    let (id, epoch) = (data.current_leader.leader_id.0, data.current_leader.leader_epoch);
                    let told = answer.node_endpoints.iter().find(|known| known.node_id.0 == id);
                    let told = told.map(|told| format!("{}:{}", told.host, told.port));
                    format!("{}{offset}{}", code(error), leader(id, epoch, told))
                }
            }
        }
        Response::Fetch(answer) => {
            let data = &answer.responses[0].partitions[0];
            match data.error_code {
                0 if data.diverging_epoch.end_offset >= 0 => {
                    format!("diverging {}@{}", data.diverging_epoch.epoch, data.diverging_epoch.end_offset)
                }
                0 => format!(
                    "[{}] hw {}",
                    values(data.records.as_ref().expect("records")),
                    data.high_watermark
                ),
                error => {
                    let (id, epoch) = (data.current_leader.leader_id.0, data.current_leader.leader_epoch);
                    let told = answer.node_endpoints.iter().find(|known| known.node_id.0 == id);
                    let told = told.map(|told| format!("{}:{}", told.host, told.port));
                    format!("{}{}", code(error), leader(id, epoch, told))
                }
            }
        }
        Response::ListOffsets(answer) => {
            let data = &answer.topics[0].partitions[0];
            match data.error_code {
                0 => format!("offset {} epoch {}", data.offset, data.leader_epoch),
                error => code(error),
            }
        }
        Response::OffsetForLeaderEpoch(answer) => {
            let data = &answer.topics[0].partitions[0];
            match data.error_code {
                0 => format!("epoch {} ends at {}", data.leader_epoch, data.end_offset),
                error => code(error),
            }
        }
        other => format!("{other:?} {}", image.applied_offset),
    };
    format!("reply #{}: {what}", to.correlation_id)
}

fn asked(call: &Call, image: &MetadataImage) -> String {
    match &call.request {
        Request::Fetch(request) => {
            let mut parts = Vec::new();
            for asked in &request.topics {
                for data in &asked.partitions {
                    parts.push(format!(
                        "{}/{} from {} after epoch {} in epoch {}",
                        topic(&asked.topic_id, image),
                        data.partition,
                        data.fetch_offset,
                        data.last_fetched_epoch,
                        data.current_leader_epoch
                    ));
                }
            }
            format!("ask {} as {}: fetch {}", call.to, request.replica_state.replica_epoch, parts.join(", "))
        }
        Request::AlterPartition(request) => {
            let mut parts = Vec::new();
            for asked in &request.topics {
                for data in &asked.partitions {
                    let isr = data.new_isr_with_epochs.iter();
                    let isr =
                        list(isr.map(|member| format!("{}@{}", member.broker_id.0, member.broker_epoch)));
                    parts.push(format!(
                        "{}/{} isr {isr} epoch {} version {}",
                        topic(&asked.topic_id, image),
                        data.partition_index,
                        data.leader_epoch,
                        data.partition_epoch
                    ));
                }
            }
            format!("ask {}: {}", call.to, parts.join("; "))
        }
        other => format!("{other:?}"),
    }
}

fn observed(fact: &Observation) -> Option<String> {
    Some(match fact {
        Observation::LogCreated { log } => format!("{log} created"),
        Observation::LogDeleted { log } => format!("{log} deleted"),
        Observation::LogOpened { log, log_end, high_watermark, .. } => {
            format!("{log} opened: end {log_end} hw {high_watermark}")
        }
        Observation::Truncated { log, from, to, reason } => {
            format!("{log} cut from {from} to {to}: {reason:?}")
        }
        Observation::HighWatermark { log, from, to, leader, .. } => match leader {
            Some(view) => {
                format!("{log} hw {from} -> {to} isr {} maximal {}", list(&view.isr), list(&view.maximal_isr))
            }
            None => format!("{log} hw {from} -> {to}"),
        },
        Observation::BecameLeader { log, leader_epoch, epoch_start, .. } => {
            format!("{log} leads in epoch {leader_epoch} from {epoch_start}")
        }
        Observation::BecameFollower { log, leader_epoch, leader } => {
            let leader = leader.map_or("nobody".to_string(), |id| id.to_string());
            format!("{log} follows {leader} in epoch {leader_epoch}")
        }
        Observation::IsrProposed { log, from, to, .. } => {
            format!("{log} isr {} proposed instead of {}", list(to), list(from))
        }
        Observation::IsrCommitted { log, partition_epoch, isr, .. } => {
            format!("{log} isr {} committed in version {partition_epoch}", list(isr))
        }
        _ => return None,
    })
}

/// A log's ends, its epochs and all its records.
pub fn log(log: &PartitionLog, disk: &dyn Disk) -> String {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let epochs = log.epochs().entries().iter().map(|entry| format!("{}@{}", entry.epoch, entry.start_offset));
    let mut all = bytes::BytesMut::new();
    let mut at = start;
    while at < end {
        let some = log.read(at, end, usize::MAX, true, disk).expect("a readable log");
        at = batches(some.clone())
            .map(|batch| batch.expect("whole").header.last_offset() + 1)
            .max()
            .expect("one");
        all.extend_from_slice(&some);
    }
    let epochs = match list(epochs) {
        none if none.is_empty() => "no epochs".to_string(),
        some => format!("epochs {some}"),
    };
    format!("[{}] {start}..{end} hw {} {epochs}", values(&all.freeze()), log.high_watermark())
}
