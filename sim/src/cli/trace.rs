//! One line per fact: event, time, node, what.

use broker::ids::NodeId;
use broker::trace::{BatchFact, Election, MetadataFact, Observation, PartitionFact, QuorumRole};

use super::args::TraceLevel;
use crate::check::record_name;
use crate::history::{Acks, HistoryEvent, PositionReason, Value};
use crate::plan::{HostId, Plan};
use crate::trace::{CrashMode, Fact, StopKind, TraceEvent, WorldFact};

/// Prints the facts of one run, in order.
pub struct Printer<'a> {
    plan: &'a Plan,
    level: TraceLevel,
    /// The last metadata record that some controller applied.
    applied: Option<i64>,
}

impl<'a> Printer<'a> {
    /// Nothing is printed yet.
    pub fn new(plan: &'a Plan, level: TraceLevel) -> Printer<'a> {
        Printer { plan, level, applied: None }
    }

    /// The line of the next fact; `None` if this much trace does not show it.
    pub fn line(&mut self, event: &TraceEvent) -> Option<String> {
        let (mut from, what) = match &event.fact {
            Fact::World(fact) => world(self.plan, fact),
            Fact::Node(fact) => node(fact),
            Fact::Client(fact) => client(self.plan, fact),
        };
        if let Fact::Node(Observation::MetadataCommitted { offset, .. }) = &event.fact {
            // Every controller applies every record, again after a restart: the first time is the news.
            if self.applied.is_some_and(|applied| *offset <= applied) {
                from = Debug;
            } else {
                self.applied = Some(*offset);
            }
        }
        let host = event.host.map_or("world", |host| self.plan.host_name(host));
        let time = reports::time::seconds(event.at.0);
        (from <= self.level).then(|| format!("{:>9} {time:>11}  {host:<14} {what}\n", event.event))
    }
}

use TraceLevel::{Debug, Info};

fn world(plan: &Plan, fact: &WorldFact) -> (TraceLevel, String) {
    let names =
        |hosts: &[HostId]| hosts.iter().map(|host| plan.host_name(*host)).collect::<Vec<_>>().join(", ");
    let what = match fact {
        WorldFact::Started { incarnation: 0 } => return (Debug, "boots".to_owned()),
        WorldFact::Started { incarnation } => format!("boots again ({incarnation})"),
        WorldFact::Stopped { kind: StopKind::End } => return (Debug, "ends with the run".to_owned()),
        WorldFact::Stopped { kind: StopKind::Crash(CrashMode::Process) } => "crash, process".to_owned(),
        WorldFact::Stopped { kind: StopKind::Crash(CrashMode::Power) } => "crash, power".to_owned(),
        WorldFact::Stopped { kind: StopKind::Crash(CrashMode::Wipe) } => "crash, disk replaced".to_owned(),
        WorldFact::Stopped { kind: StopKind::Halt { reason } } => format!("halts: {reason}"),
        WorldFact::Stopped { kind: StopKind::Panic { message } } => format!("PANIC: {message}"),
        WorldFact::DiskLost { bytes, entries } => {
            format!("disk lost {bytes} unsynced bytes and {entries} directory entries")
        }
        WorldFact::Paused => "paused".to_owned(),
        WorldFact::Resumed => "resumed".to_owned(),
        WorldFact::FaultFired { id, n, what, targets, .. } if targets.is_empty() => {
            format!("FAULT {id}#{n}: {what}")
        }
        WorldFact::FaultFired { id, n, what, targets, .. } => {
            format!("FAULT {id}#{n}: {what} [{}]", names(targets))
        }
        WorldFact::MessageHeld { fault, message, from, to } => {
            format!("fault {fault} holds: {message}, {} -> {}", plan.host_name(*from), plan.host_name(*to))
        }
        WorldFact::MessageDropped { fault, message, from, to } => {
            format!("fault {fault} drops: {message}, {} -> {}", plan.host_name(*from), plan.host_name(*to))
        }
        WorldFact::FaultHealed { id, n } => format!("fault {id}#{n} is over"),
        WorldFact::PhaseStarted { name } => format!("phase {name}"),
    };
    (Info, what)
}

fn node(fact: &Observation) -> (TraceLevel, String) {
    match fact {
        Observation::LogOpened { log, log_start, log_end, high_watermark, .. } => {
            (Debug, format!("{log} opened: {log_start}..{log_end} hw {high_watermark}"))
        }
        Observation::LogCreated { log } => (Debug, format!("{log} created")),
        Observation::LogDeleted { log } => (Debug, format!("{log} deleted")),
        Observation::Appended { log, role, batch } => {
            (Debug, format!("{log} append {role:?} {}", short(batch)))
        }
        Observation::Truncated { log, from, to, reason } => {
            (Info, format!("{log} truncated {from} -> {to} ({reason:?})"))
        }
        Observation::Flushed { log, up_to } => (Debug, format!("{log} durable up to {up_to}")),
        Observation::HighWatermark { log, from, to, log_end, leader, .. } => {
            let role = if leader.is_some() { "leader" } else { "follower" };
            (Debug, format!("{log} hw {from} -> {to} leo {log_end} ({role})"))
        }
        Observation::LogStartAdvanced { log, from, to } => {
            (Info, format!("{log} starts at {to}, no longer at {from}"))
        }
        Observation::ProducerStates { log, log_end, states } => {
            (Debug, format!("{log} knows {} producers below {log_end}", states.len()))
        }
        Observation::FetcherChanged { log, leader_epoch, leader } => {
            let from = leader.map_or("nobody".to_owned(), |NodeId(id)| id.to_string());
            (Debug, format!("{log} fetches from {from}: epoch {leader_epoch}"))
        }
        Observation::BecameLeader { log, leader_epoch, partition_epoch, epoch_start } => (
            Info,
            format!(
                "{log} leads: epoch {leader_epoch} from {epoch_start}, partition epoch {partition_epoch}"
            ),
        ),
        Observation::BecameFollower { log, leader_epoch, leader } => {
            let leader = leader.map_or("nobody".to_owned(), |NodeId(id)| id.to_string());
            (Debug, format!("{log} follows {leader}: epoch {leader_epoch}"))
        }
        Observation::IsrProposed { log, from, to, .. } => {
            (Debug, format!("{log} asks for isr {} -> {}", ids(from), ids(to)))
        }
        Observation::IsrCommitted { log, partition_epoch, isr, .. } => {
            (Debug, format!("{log} knows isr {} partition epoch {partition_epoch}", ids(isr)))
        }
        Observation::QuorumRoleChanged { epoch, role, leader } => {
            let leader = leader.map_or(String::new(), |NodeId(id)| format!(", leader {id}"));
            // Everybody follows somebody: only what changes the quorum is worth a line.
            let is_news = matches!(role, QuorumRole::Candidate | QuorumRole::Leader | QuorumRole::Resigned);
            let level = if is_news { Info } else { Debug };
            (level, format!("quorum: {role:?} epoch {epoch}{leader}"))
        }
        Observation::QuorumStatePersisted { epoch, voted_for, .. } => {
            let vote = voted_for.map_or(String::new(), |NodeId(id)| format!(", vote for {id}"));
            (Debug, format!("quorum: epoch {epoch}{vote} durable"))
        }
        Observation::VoteGranted { epoch, candidate } => {
            (Debug, format!("quorum: votes for {candidate} epoch {epoch}"))
        }
        Observation::PreVoteGranted { epoch, candidate } => {
            (Debug, format!("quorum: would vote for {candidate} after epoch {epoch}"))
        }
        Observation::QuorumFetched { epoch, offset } => {
            (Debug, format!("quorum: fetches at {offset}, epoch {epoch}"))
        }
        Observation::VotersChanged { offset, voters } => {
            (Info, format!("quorum: voters {} since @{offset}", ids(voters)))
        }
        Observation::SnapshotWritten { offset, epoch, .. } => {
            (Info, format!("quorum: snapshot of @{offset} written, epoch {epoch}"))
        }
        Observation::SnapshotLoaded { offset, epoch, .. } => {
            (Info, format!("quorum: snapshot of @{offset} loaded, epoch {epoch}"))
        }
        Observation::MetadataApplied { offset, digest } => {
            (Debug, format!("metadata below @{offset}: {digest:016x}"))
        }
        Observation::ControllerActive { epoch, active } => (
            Info,
            format!("controller {} epoch {epoch}", if *active { "active" } else { "no longer active" }),
        ),
        Observation::MetadataCommitted { offset, fact } => metadata(*offset, fact),
        Observation::FetchSessionPartitions { peer, session_id, session_epoch, is_leader, partitions } => {
            let side = if *is_leader { "asked by" } else { "asks" };
            let what = format!("{side} {peer} for {} partitions", partitions.len());
            (Debug, format!("{what} (session {session_id}, epoch {session_epoch})"))
        }
        Observation::BrokerState { state } => (Debug, format!("broker {state}")),
    }
}

/// Each controller applies each record; the lines say so, with the offset in the metadata log.
fn metadata(offset: i64, fact: &MetadataFact) -> (TraceLevel, String) {
    let what = match fact {
        MetadataFact::BrokerRegistered { broker, broker_epoch } => {
            return (Debug, format!("@{offset} broker {broker} registered, epoch {broker_epoch}"));
        }
        MetadataFact::BrokerUnregistered { broker } => format!("broker {broker} unregistered"),
        MetadataFact::BrokerFenced { broker } => format!("broker {broker} fenced"),
        MetadataFact::BrokerUnfenced { broker } => format!("broker {broker} unfenced"),
        MetadataFact::BrokerShuttingDown { broker } => format!("broker {broker} is shutting down"),
        MetadataFact::ConfigChanged { resource, name, value } => {
            format!("{resource}: {name} = {}", value.as_deref().unwrap_or("its default"))
        }
        MetadataFact::FeatureChanged { name, level } => format!("feature {name} at level {level}"),
        MetadataFact::TopicCreated { topic, .. } => format!("topic {topic} created"),
        MetadataFact::TopicDeleted { topic, .. } => format!("topic {topic} deleted"),
        MetadataFact::PartitionChanged { log, election, state } => {
            let word = match election {
                Election::None => "",
                Election::Clean => "elected ",
                Election::Unclean => "UNCLEAN ",
            };
            format!("{log} {word}{}", partition(state))
        }
        MetadataFact::ProducerIdsAllocated { broker, first, size } => {
            return (Debug, format!("@{offset} producer ids {first}+{size} for broker {broker}"));
        }
    };
    (Info, format!("@{offset} {what}"))
}

fn partition(state: &PartitionFact) -> String {
    let leader = state.leader.map_or("none".to_owned(), |NodeId(id)| id.to_string());
    let (epoch, version) = (state.leader_epoch, state.partition_epoch);
    let mut text = format!("leader {leader} epoch {epoch} isr {} partition epoch {version}", ids(&state.isr));
    let lists = [
        ("elr", &state.elr),
        ("last known leader", &state.last_known_elr),
        ("adding", &state.adding),
        ("removing", &state.removing),
    ];
    for (word, nodes) in lists.into_iter().filter(|(_, nodes)| !nodes.is_empty()) {
        text = format!("{text} {word} {}", ids(nodes));
    }
    text
}

fn client(plan: &Plan, fact: &HistoryEvent) -> (TraceLevel, String) {
    match fact {
        HistoryEvent::Sent { partition, value } => {
            (Debug, format!("{partition} sends {}", record_name(plan, *value)))
        }
        HistoryEvent::Acked { partition, acks, base_offset, values, .. } => {
            let offset = base_offset.map_or("?".to_owned(), |offset| offset.to_string());
            let acks = match acks {
                Acks::None => "0",
                Acks::Leader => "1",
                Acks::All => "all",
            };
            (Debug, format!("{partition} acked {} at {offset} (acks {acks})", records(plan, values)))
        }
        HistoryEvent::Failed { partition, is_definite, error, values } => {
            let word = if *is_definite { "failed" } else { "unknown" };
            (Info, format!("{partition} {word} {}: {error}", records(plan, values)))
        }
        HistoryEvent::Polled { partition, records } => {
            let first = records.first().map_or(0, |(offset, _)| *offset);
            let values: Vec<Value> = records.iter().map(|(_, value)| *value).collect();
            (Debug, format!("{partition} reads {} from {first}", self::records(plan, &values)))
        }
        HistoryEvent::Positioned { partition, offset, reason } => {
            let level = if *reason == PositionReason::Start { Debug } else { Info };
            (level, format!("{partition} goes on at {offset} ({reason:?})"))
        }
        HistoryEvent::EndOffset { partition, offset } => {
            (Info, format!("{partition} ends at {offset}, it is told"))
        }
        HistoryEvent::CaughtUp { partition, offset } => (Debug, format!("{partition} caught up at {offset}")),
        HistoryEvent::TopicReplaced { topic, topic_id } => {
            (Info, format!("learns that {topic} is another topic now ({topic_id})"))
        }
        HistoryEvent::Operated { fault, n, refused } => {
            let outcome = refused.as_ref().map_or("done".to_owned(), |error| format!("refused: {error}"));
            (Info, format!("{fault}#{n}: {outcome}"))
        }
    }
}

/// `p-0#17`, or `p-0#17 to p-0#19 (3 records)`.
fn records(plan: &Plan, values: &[Value]) -> String {
    match values {
        [] => "nothing".to_owned(),
        [one] => record_name(plan, *one),
        [first, .., last] => {
            let (first, last) = (record_name(plan, *first), record_name(plan, *last));
            format!("{first} to {last} ({} records)", values.len())
        }
    }
}

fn short(batch: &BatchFact) -> String {
    let kind = if batch.is_control { " control" } else { "" };
    let producer = match batch.producer_id {
        -1 => String::new(),
        id => format!(" pid {id}/{} seq {}", batch.producer_epoch, batch.base_sequence),
    };
    format!("{}..{} epoch {}{producer}{kind}", batch.base_offset, batch.last_offset, batch.leader_epoch)
}

fn ids(nodes: &[NodeId]) -> String {
    let ids: Vec<String> = nodes.iter().map(|NodeId(id)| id.to_string()).collect();
    format!("[{}]", ids.join(","))
}

#[cfg(test)]
mod tests {
    use broker::time::Instant;

    use super::*;

    #[test]
    fn a_line_tells_event_time_node_and_what() {
        let text = "format = 1\nname = \"a\"\n[cluster]\nbrokers = 1\n[[topic]]\nname = \"t\"\n";
        let parsed = scenarios::parse("a.toml", text).unwrap_or_else(|report| panic!("{report}"));
        let plan = Plan::draw(&parsed, crate::seed::Seed(1)).unwrap();
        let fact = Fact::World(WorldFact::Stopped { kind: StopKind::Crash(CrashMode::Power) });
        let event = TraceEvent { event: 41, at: Instant(1_500_000), host: Some(HostId(0)), fact };
        let wanted = "       41      1.500s  broker-0       crash, power\n";
        assert_eq!(Printer::new(&plan, Info).line(&event).as_deref(), Some(wanted));
        assert_eq!(Printer::new(&plan, TraceLevel::Off).line(&event), None);
    }

    #[test]
    fn what_every_controller_repeats_is_news_once() {
        let text = "format = 1\nname = \"a\"\n[cluster]\nbrokers = 1\n[[topic]]\nname = \"t\"\n";
        let parsed = scenarios::parse("a.toml", text).unwrap_or_else(|report| panic!("{report}"));
        let plan = Plan::draw(&parsed, crate::seed::Seed(1)).unwrap();
        let fact = MetadataFact::BrokerFenced { broker: NodeId(0) };
        let fact = Fact::Node(Observation::MetadataCommitted { offset: 7, fact });
        let event = TraceEvent { event: 41, at: Instant(1_500_000), host: Some(HostId(0)), fact };
        let mut printer = Printer::new(&plan, Info);
        assert!(printer.line(&event).is_some_and(|line| line.contains("broker 0 fenced")));
        assert_eq!(printer.line(&event), None);
        let mut printer = Printer::new(&plan, Debug);
        assert!(printer.line(&event).is_some() && printer.line(&event).is_some());
    }
}
