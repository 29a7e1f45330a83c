//! Stories of cluster verbs: what the operator is told, and what its answers do to the faults.

use broker::trace::Observation;
use scenarios::model::*;

use super::tests::{Story, at, fault, log, orders};
use super::*;
use crate::client::{AdminStep, AdminTask};
use crate::history::HistoryEvent;
use crate::plan::{HostId, PlannedTrigger};
use crate::trace::{Fact, WorldFact};
use crate::world::{Control, HostState};

fn operate(operation: Operation) -> Verb {
    Verb::Operate { operation, refused: None }
}

fn elect(refused: Option<&str>) -> Verb {
    let operation = Operation::Elect { partition: orders(0), kind: ElectionKind::Preferred };
    Verb::Operate { operation, refused: refused.map(str::to_owned) }
}

fn after(id: &str) -> PlannedTrigger {
    PlannedTrigger::After { fault: id.to_owned(), condition: None, within_us: None }
}

fn report(story: &mut Story, fault: &str, refused: Option<&str>) {
    let refused = refused.map(str::to_owned);
    let event = HistoryEvent::Operated { fault: fault.to_owned(), n: 1, refused };
    story.tell(Some(HostId(0)), Fact::Client(event));
}

#[test]
fn the_operator_is_told_whom_the_roles_mean_and_the_fault_is_over_when_it_is_done() {
    let to = Target::Random { count: 1, of: Box::new(Target::Follower(orders(0))) };
    let verb = operate(Operation::MoveLeader { partition: orders(0), to });
    let next = Verb::Pause { target: Target::Broker(1), bind: None };
    let mut story = Story::new(vec![fault("move", at(10), verb), fault("next", after("move"), next)]);
    story.wait(20);
    assert_eq!(story.fired(), [("move", &[HostId(0)][..])], "the old leader's machine");
    let [AdminTask { fault, n: 1, steps }] = &story.world.tasks[..] else {
        panic!("{:?}", story.world.tasks)
    };
    assert_eq!(fault, "move");
    let [AdminStep::Reassign { replicas, .. }, AdminStep::AwaitReplicas { .. }, AdminStep::Elect { .. }] =
        &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert!(replicas == &[1, 0, 2] || replicas == &[2, 0, 1], "{replicas:?}");
    report(&mut story, "move", None);
    assert_eq!(story.fired().len(), 2, "what comes after it waits for the cluster's answer");
    assert_eq!(story.director.unfired(&story.view), []);
}

#[test]
fn a_broker_that_holds_no_replica_takes_the_place_of_the_preferred_leader() {
    let verb = operate(Operation::MoveLeader { partition: orders(0), to: Target::Broker(0) });
    let mut story = Story::new(vec![fault("move", at(10), verb)]);
    story.lead(0, 0, &[0, 1, 2]);
    story.wait(11);
    let steps = &story.world.tasks[0].steps;
    assert!(matches!(steps[..], [AdminStep::Elect { is_needed: false, .. }]), "it is preferred: {steps:?}");
}

#[test]
fn a_refusal_leaves_the_fault_without_effect_unless_it_was_expected() {
    let faults = vec![
        fault("plain", at(10), elect(None)),
        fault("expected", at(10), elect(Some("ELECTION_NOT_NEEDED"))),
        fault("accepted", at(10), elect(Some("ELECTION_NOT_NEEDED"))),
        fault("other", at(10), elect(Some("ELECTION_NOT_NEEDED"))),
        fault("slow", at(10), elect(None)),
    ];
    let mut story = Story::new(faults);
    story.wait(11);
    report(&mut story, "plain", Some("ELECTION_NOT_NEEDED"));
    report(&mut story, "expected", Some("ELECTION_NOT_NEEDED"));
    report(&mut story, "accepted", None);
    report(&mut story, "other", Some("NOT_CONTROLLER"));
    let unfired = story.director.unfired(&story.view);
    let said: Vec<(&str, UnfiredReason)> = unfired.iter().map(|one| (one.id.as_str(), one.reason)).collect();
    let refused = UnfiredReason::Refused;
    let wanted =
        [("plain", refused), ("accepted", refused), ("other", refused), ("slow", UnfiredReason::Unfinished)];
    assert_eq!(said, wanted);
    assert!(unfired[1].detail.contains("was done"), "{}", unfired[1].detail);
}

#[test]
fn a_run_does_not_settle_while_the_operator_is_at_work() {
    let again = operate(Operation::RecreateTopic { topic: "orders".into() });
    let mut story = Story::new(vec![fault("again", at(110), again)]);
    for partition in 0..2 {
        story.tell(Some(HostId(0)), Fact::Node(Observation::LogCreated { log: log(partition) }));
    }
    story.wait(150);
    assert!(!story.world.is_ended);
    report(&mut story, "again", None);
    story.wait(1);
    assert!(story.world.is_ended && story.director.is_settled());
}

#[test]
fn a_standby_broker_stays_down_until_a_fault_starts_it() {
    let back = Verb::Restart { target: Target::Broker(2) };
    for (faults, state) in [(vec![], HostState::Down), (vec![fault("grow", at(10), back)], HostState::Up)] {
        let mut story = Story::with_standby(faults, HostId(2));
        story.wait(125);
        assert_eq!(story.world.state(HostId(2)), state);
        story.view.look_at_hosts(&story.world);
        let is_new = if state == HostState::Up { NodeState::Fenced } else { NodeState::Down };
        assert_eq!(story.view.state(HostId(2)), is_new, "in the very event of its start");
        story.tell(Some(HostId(2)), Fact::World(WorldFact::Started { incarnation: 0 }));
        assert_eq!(story.view.state(HostId(2)), NodeState::Fenced);
    }
}

/// The steps of one operation, and the machines that it is about; `None`: there is nobody.
fn order(operation: Operation) -> Option<(Vec<AdminStep>, Vec<HostId>)> {
    let mut story = Story::new(vec![fault("order", at(10), operate(operation))]);
    story.wait(20);
    let targets = story.fired().first().map(|(_, targets)| targets.to_vec())?;
    Some((story.world.tasks.first()?.steps.clone(), targets))
}

#[test]
fn records_are_deleted_of_each_partition_that_is_meant() {
    let partition = PartitionRef { topic: "orders".into(), partition: PartitionIndex::All };
    let (steps, targets) = order(Operation::DeleteRecords { partition, before: -1 }).expect("it exists");
    let below = |partition| AdminStep::DeleteRecords { topic: "orders".into(), partition, before: -1 };
    assert_eq!((steps, targets), (vec![below(0), below(1)], vec![HostId(0), HostId(1)]), "their leaders");
    assert_eq!(order(Operation::DeleteRecords { partition: orders(9), before: 5 }), None);
}

#[test]
fn what_concerns_nodes_names_their_ids() {
    let (topic, count) = ("orders".to_owned(), 6);
    let (steps, _) = order(Operation::AddPartitions { topic: topic.clone(), count: 6 }).expect("it exists");
    assert_eq!(steps, [AdminStep::AddPartitions { topic, count }]);
    let unregister = |target| order(Operation::Unregister { target });
    let gone = (vec![AdminStep::Unregister { broker: 1 }], vec![HostId(1)]);
    assert_eq!(unregister(Target::Broker(1)), Some(gone));
    assert_eq!(unregister(Target::Clients), None, "they are no brokers");
    let voters = |target| order(Operation::RemoveVoter { target });
    assert_eq!(voters(Target::Clients), None, "they are no controllers");
    let (steps, targets) = voters(Target::Controllers).expect("there are some");
    assert!(matches!(steps[0], AdminStep::RemoveVoter { controller: 0 }), "{steps:?}");
    assert_eq!(steps.len(), targets.len());
    let (steps, _) = order(Operation::AddVoter { target: Target::Controllers }).expect("there are some");
    let AdminStep::AddVoter { controller: 0, host, port: 9093 } = &steps[0] else { panic!("{steps:?}") };
    assert!(!host.is_empty());
}
