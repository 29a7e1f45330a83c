//! Stories of the nemesis against a world that only remembers.

use broker::ids::{LogId, NodeId, TopicId, TopicPartition};
use broker::time::Instant;
use broker::trace::{Election, MetadataFact, Observation, PartitionFact};
use scenarios::model::*;

use super::fake::FakeControl;
use super::*;
use crate::history::{Acks, HistoryEvent, Value as RecordValue};
use crate::plan::{
    FaultScope, HostId, HostKind, Plan, PlannedFault, PlannedHost, PlannedTrigger, tests::scenario,
};
use crate::seed::Seed;
use crate::trace::{CrashMode as How, Fact, StopKind, WorldFact};
use crate::world::{Control, HostState};

pub(super) const SECOND: u64 = 1_000_000;

pub(super) fn orders(index: u32) -> PartitionRef {
    PartitionRef { topic: "orders".into(), partition: PartitionIndex::One(index) }
}

fn all_orders() -> PartitionRef {
    PartitionRef { topic: "orders".into(), partition: PartitionIndex::All }
}

fn crash(target: Target) -> Verb {
    Verb::Crash { target, mode: CrashMode::Process, bind: Some("victim".into()) }
}

pub(super) fn fault(id: &str, trigger: PlannedTrigger, verb: Verb) -> PlannedFault {
    let stream = format!("fault/{id}");
    PlannedFault {
        id: id.into(),
        stream,
        is_chaos: false,
        scope: FaultScope::Run,
        trigger,
        verb,
        hold_us: None,
    }
}

pub(super) fn at(seconds: u64) -> PlannedTrigger {
    PlannedTrigger::At { at_us: seconds * SECOND }
}

fn when(condition: Condition) -> PlannedTrigger {
    PlannedTrigger::When { condition, once: true, within_us: None }
}

fn compare(left: Measure, op: Compare, right: Operand) -> Condition {
    Condition::Compare { left: Operand::Measure(left), op, right }
}

/// A director, a view and a world; facts of the director and of the world go into the view as a run does it.
pub(super) struct Story {
    pub(super) director: Director,
    pub(super) view: ClusterView,
    pub(super) world: FakeControl,
    facts: Vec<WorldFact>,
    offset: i64,
}

impl Story {
    pub(super) fn new(faults: Vec<PlannedFault>) -> Story {
        Story::with(faults, false)
    }

    pub(super) fn with(faults: Vec<PlannedFault>, is_inert: bool) -> Story {
        Story::of(faults, is_inert, None, |_| {})
    }

    /// One machine is not in service yet.
    pub(super) fn with_standby(faults: Vec<PlannedFault>, standby: HostId) -> Story {
        Story::of(faults, false, Some(standby), |_| {})
    }

    /// With a plan that was changed.
    fn planned(faults: Vec<PlannedFault>, change: impl FnOnce(&mut Plan)) -> Story {
        Story::of(faults, false, None, change)
    }

    fn of(
        faults: Vec<PlannedFault>,
        is_inert: bool,
        standby: Option<HostId>,
        change: impl FnOnce(&mut Plan),
    ) -> Story {
        let mut plan = Plan::draw_scenario(&scenario(), "", Seed(1)).unwrap();
        if faults.iter().any(|fault| matches!(fault.verb, Verb::Operate { .. })) {
            let kind = HostKind::Client { name: "operator".into() };
            let desk = PlannedHost { name: "operator".into(), kind, rack: None, config: ConfigMap::new() };
            plan.operator = Some(HostId(plan.hosts.len() as u32));
            plan.hosts.push(desk);
        }
        plan.faults = faults;
        plan.standby = standby.into_iter().collect();
        change(&mut plan);
        let mut story = Story {
            director: Director::new(&plan, is_inert),
            view: ClusterView::new(&plan),
            world: FakeControl::new(plan.hosts.len()),
            facts: Vec::new(),
            offset: 0,
        };
        for (host, _) in plan.hosts().filter(|(host, _)| Some(*host) != standby) {
            story.tell(Some(host), Fact::World(WorldFact::Started { incarnation: 0 }));
        }
        if let Some(standby) = standby {
            story.world.states[standby.0 as usize] = HostState::Down;
        }
        story.lead(0, 0, &[0, 1, 2]);
        story.lead(1, 1, &[0, 1, 2]);
        story
    }

    pub(super) fn tell(&mut self, host: Option<HostId>, fact: Fact) {
        self.view.observe(host, &fact);
        self.director.observe(&self.view, host, &fact);
        self.settle_down();
    }

    fn settle_down(&mut self) {
        loop {
            let change = self.view.take_change();
            let facts = self.director.step(&self.view, change, &mut self.world);
            for fact in &facts {
                self.view.observe(None, &Fact::World(fact.clone()));
            }
            if facts.is_empty() {
                return;
            }
            self.view.look_at_hosts(&self.world);
            self.facts.extend(facts);
        }
    }

    pub(super) fn lead(&mut self, partition: i32, leader: i32, isr: &[i32]) {
        self.offset += 1;
        let log =
            LogId { partition: TopicPartition::new("orders", partition), topic_id: TopicId::from_u128(7) };
        let state = PartitionFact {
            leader: (leader >= 0).then_some(NodeId(leader)),
            leader_epoch: self.offset as i32,
            partition_epoch: 0,
            replicas: vec![NodeId(partition), NodeId((partition + 1) % 3), NodeId((partition + 2) % 3)],
            isr: isr.iter().map(|id| NodeId(*id)).collect(),
            min_isr: 2,
            elr: vec![],
            last_known_elr: vec![],
            adding: vec![],
            removing: vec![],
            is_recovering: false,
        };
        let fact = MetadataFact::PartitionChanged { log, election: Election::Clean, state };
        let offset = self.offset;
        self.tell(Some(HostId(0)), Fact::Node(Observation::MetadataCommitted { offset, fact }));
    }

    fn ack(&mut self, records: u64) {
        let partition = TopicPartition::new("orders", 0);
        let values = (0..records).map(|n| RecordValue::new(1, n)).collect();
        let acked = HistoryEvent::Acked {
            partition,
            acks: Acks::All,
            is_idempotent: true,
            base_offset: Some(0),
            values,
        };
        self.tell(Some(HostId(4)), Fact::Client(acked));
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        let target = Instant(self.world.now.0 + seconds * SECOND);
        // Alarms in between ring at their time.
        loop {
            let wakes = self.world.wakes.iter().copied().filter(|at| *at > self.world.now && *at <= target);
            self.world.now = wakes.min().unwrap_or(target);
            self.settle_down();
            if self.world.now == target {
                return;
            }
        }
    }

    pub(super) fn fired(&self) -> Vec<(&str, &[HostId])> {
        let fired = self.facts.iter().filter_map(|fact| match fact {
            WorldFact::FaultFired { id, targets, .. } => Some((id.as_str(), targets.as_slice())),
            _ => None,
        });
        fired.collect()
    }

    fn phases(&self) -> Vec<&str> {
        self.director.phases().iter().map(|phase| phase.name.as_str()).collect()
    }
}

#[test]
fn roles_are_resolved_when_the_fault_strikes_and_pinned() {
    let mut story = Story::new(vec![
        fault("kill", at(10), crash(Target::Leader(orders(0)))),
        fault("back", at(20), Verb::Restart { target: Target::Bound("victim".into()) }),
    ]);
    story.lead(0, 2, &[0, 1, 2]);
    story.wait(11);
    story.lead(0, 1, &[0, 1]);
    assert_eq!(story.world.states[2], HostState::Down);
    story.wait(10);
    assert_eq!(story.fired(), [("kill", &[HostId(2)][..]), ("back", &[HostId(2)][..])]);
    assert_eq!(story.world.states[2], HostState::Up);
    assert_eq!(story.director.unfired(&story.view), []);
}

#[test]
fn sets_and_draws_mean_who_they_say() {
    let plan = Plan::draw_scenario(&scenario(), "", Seed(1)).unwrap();
    let story = Story::new(Vec::new());
    let who = |target: Target| {
        let mut dice = Seed(1).stream("test");
        resolve(&target, &plan, &story.view, &Bindings::new(), &mut dice)
    };
    let hosts = |ids: &[u32]| ids.iter().map(|id| HostId(*id)).collect::<Vec<_>>();
    let boxed = Box::new;
    assert_eq!(who(Target::Follower(orders(0))), hosts(&[1, 2]));
    assert_eq!(who(Target::Replica(orders(1), 2)), hosts(&[0]));
    assert_eq!(who(Target::PreferredLeader(orders(1))), hosts(&[1]));
    assert_eq!(who(Target::NonIsr(orders(0))), hosts(&[]));
    assert_eq!(who(Target::Leader(all_orders())), hosts(&[0, 1]));
    assert_eq!(who(Target::Minus(boxed(Target::Brokers), boxed(Target::Leader(orders(0))))), hosts(&[1, 2]));
    assert_eq!(
        who(Target::Intersection(boxed(Target::Rack("a".into())), boxed(Target::Broker(1)))),
        hosts(&[1])
    );
    assert_eq!(who(Target::Clients), hosts(&[4, 5, 6]));
    assert_eq!(who(Target::ActiveController), hosts(&[]));
    let drawn = who(Target::Random { count: 2, of: boxed(Target::Brokers) });
    assert_eq!(drawn.len(), 2);
    assert_eq!(who(Target::Random { count: 9, of: boxed(Target::Brokers) }), hosts(&[0, 1, 2]));
}

#[test]
fn conditions_read_the_committed_state() {
    let plan = Plan::draw_scenario(&scenario(), "", Seed(1)).unwrap();
    let mut story = Story::new(Vec::new());
    story.lead(0, 0, &[0, 2]);
    story.lead(1, -1, &[1]);
    let now = Instant(5 * SECOND);
    let is = |condition: Condition| holds(&condition, &plan, &story.view, &Bindings::new(), now);
    use Compare::*;
    assert!(is(compare(Measure::IsrSize(orders(0)), Equal, Operand::Int(2))));
    assert!(is(compare(Measure::Isr(orders(0)), Equal, Operand::Set(vec![0, 2]))));
    assert!(is(compare(Measure::Leader(orders(1)), Equal, Operand::None)));
    assert!(!is(compare(Measure::Leader(orders(0)), Equal, Operand::None)));
    assert!(is(compare(Measure::IsrSize(all_orders()), LessOrEqual, Operand::Int(2))));
    assert!(!is(compare(Measure::IsrSize(all_orders()), Equal, Operand::Int(2))), "a wildcard means all");
    assert!(is(compare(Measure::Time, GreaterOrEqual, Operand::Duration(Micros(5 * SECOND)))));
    assert!(
        !is(compare(Measure::IsrSize(orders(9)), NotEqual, Operand::Int(7))),
        "what is not there is false"
    );
    assert!(is(compare(Measure::State(Target::Brokers), Equal, Operand::State(NodeState::Running))));
    assert!(!is(Condition::AllIsrFull));
    assert!(is(Condition::Not(Box::new(Condition::And(vec![Condition::AllIsrFull])))));
}

#[test]
fn a_stale_controller_does_not_turn_the_view_back() {
    let mut story = Story::new(Vec::new());
    story.lead(0, 2, &[2]);
    let stale = story.offset - 1;
    let log = LogId { partition: TopicPartition::new("orders", 0), topic_id: TopicId::from_u128(7) };
    let state = PartitionFact {
        leader: Some(NodeId(1)),
        leader_epoch: 1,
        partition_epoch: 0,
        replicas: vec![NodeId(0)],
        isr: vec![NodeId(1)],
        min_isr: 1,
        elr: vec![],
        last_known_elr: vec![],
        adding: vec![],
        removing: vec![],
        is_recovering: false,
    };
    let fact = MetadataFact::PartitionChanged { log, election: Election::Clean, state };
    story.tell(Some(HostId(1)), Fact::Node(Observation::MetadataCommitted { offset: stale, fact }));
    assert_eq!(story.view.partition(&TopicPartition::new("orders", 0)).unwrap().leader, Some(NodeId(2)));
}

#[test]
fn when_strikes_in_the_very_event_and_once() {
    let shrunk = compare(Measure::IsrSize(orders(0)), Compare::Less, Operand::Int(3));
    let mut story = Story::new(vec![fault("kill", when(shrunk), crash(Target::Leader(orders(0))))]);
    story.wait(5);
    assert_eq!(story.fired(), []);
    story.lead(0, 1, &[1, 2]);
    assert_eq!(story.fired(), [("kill", &[HostId(1)][..])]);
    story.lead(0, 2, &[0, 1, 2]);
    story.lead(0, 2, &[2]);
    assert_eq!(story.fired().len(), 1);
}

#[test]
fn a_condition_that_comes_too_late_leaves_the_fault_unfired() {
    let shrunk = compare(Measure::IsrSize(orders(0)), Compare::Less, Operand::Int(3));
    let trigger = PlannedTrigger::When { condition: shrunk, once: true, within_us: Some(10 * SECOND) };
    let mut story = Story::new(vec![fault("kill", trigger, crash(Target::Broker(0)))]);
    story.wait(11);
    story.lead(0, 1, &[1]);
    assert_eq!(story.fired(), []);
    let unfired = story.director.unfired(&story.view);
    assert_eq!(unfired[0].reason, UnfiredReason::ConditionUnmet);
    assert_eq!(unfired[0].detail, "when isr_size(orders/0) < 3 never came");
}

#[test]
fn after_waits_for_the_hold_to_be_over_and_then_for_its_condition() {
    let mut first = fault("first", at(10), crash(Target::Broker(0)));
    first.hold_us = Some(5 * SECOND);
    let acked = compare(Measure::AckedSince("first".into()), Compare::GreaterOrEqual, Operand::Int(50));
    let trigger = PlannedTrigger::After { fault: "first".into(), condition: Some(acked), within_us: None };
    let mut story = Story::new(vec![fault("second", trigger, crash(Target::Broker(1))), first]);
    story.ack(1_000);
    story.wait(12);
    story.ack(60);
    assert_eq!(story.fired().len(), 1, "the first one still holds");
    assert_eq!(story.world.states[0], HostState::Down);
    story.wait(4);
    assert_eq!(story.world.states[0], HostState::Up, "restarted by itself");
    assert_eq!(story.fired().len(), 2);
    assert!(story.facts.contains(&WorldFact::FaultHealed { id: "first".into(), n: 1 }));
}

#[test]
fn every_strikes_each_period_and_no_oftener_than_counted() {
    let trigger = PlannedTrigger::Every { every_us: 10 * SECOND, jitter_us: SECOND, count: Some(3) };
    let mut pause = fault("doze", trigger, Verb::Pause { target: Target::Broker(0), bind: None });
    pause.hold_us = Some(2 * SECOND);
    let mut story = Story::new(vec![pause]);
    story.wait(9);
    assert_eq!(story.fired().len(), 0);
    story.wait(3);
    assert_eq!(story.fired().len(), 1);
    story.wait(70);
    assert_eq!(story.fired().len(), 3);
    assert_eq!(story.world.states[0], HostState::Up);
}

#[test]
fn nobody_with_the_role_and_nothing_to_do_are_reported() {
    let mut story = Story::new(vec![
        fault("headless", at(10), crash(Target::ActiveController)),
        fault("idle", at(10), Verb::Restart { target: Target::Broker(0) }),
    ]);
    story.wait(20);
    let reasons: Vec<_> =
        story.director.unfired(&story.view).into_iter().map(|unfired| unfired.reason).collect();
    assert_eq!(reasons, [UnfiredReason::NoTarget, UnfiredReason::NoEffect]);
}

#[test]
fn a_cut_has_directions_and_heals_alone() {
    let isolate = |id: &str, one_way, links| {
        let shape = PartitionShape::Isolate { isolate: Target::Broker(0), from: Some(Target::Brokers) };
        fault(id, at(10), Verb::Partition { shape, one_way, links, bind: None })
    };
    let mut story = Story::new(vec![
        isolate("in", Some(Direction::Inbound), Links::Replication),
        isolate("both", None, Links::All),
        fault("mend", at(20), Verb::Heal { heal: Heal::Faults(vec!["both".into()]) }),
    ]);
    story.wait(11);
    assert_eq!(story.world.cuts.len(), 3);
    assert_eq!(story.world.cuts[0].1.from, [HostId(1), HostId(2)]);
    assert_eq!(story.world.cuts[0].1.to, [HostId(0)]);
    story.wait(10);
    assert_eq!(story.world.cuts.len(), 1);
    assert_eq!(story.world.cuts[0].1.classes, [crate::world::TrafficClass::Replication]);
}

#[test]
fn random_strikes_leave_standing_what_they_must() {
    let strike = |id: &str, target| {
        let mut strike = fault(id, at(10), crash(target));
        strike.is_chaos = true;
        strike
    };
    let (one, two) = (strike("c-1", Target::Broker(0)), strike("c-2", Target::Broker(1)));
    let mut story = Story::new(vec![one, two]);
    story.wait(11);
    assert_eq!(story.fired().len(), 1, "max_down is one of three");
    assert_eq!(story.director.skipped(), 1);
    assert_eq!(story.director.unfired(&story.view), [], "a skipped strike is not a missed one");
}

#[test]
fn an_isolated_node_counts_as_down_for_random_strikes() {
    let shape = PartitionShape::Isolate { isolate: Target::Broker(2), from: None };
    let mut strike = fault("c-1", at(11), crash(Target::Broker(0)));
    strike.is_chaos = true;
    let cut = Verb::Partition { shape, one_way: None, links: Links::All, bind: None };
    let mut story = Story::new(vec![fault("cut", at(10), cut), strike]);
    story.wait(12);
    assert_eq!(story.fired().len(), 1);
}

#[test]
fn phases_follow_each_other_and_settle_mends_everything() {
    let mut story = Story::new(vec![fault("kill", at(10), crash(Target::Broker(0)))]);
    assert_eq!(story.phases(), ["start", "run"], "full ISRs from the start");
    story.wait(121);
    assert_eq!(story.phases(), ["start", "run", "settle"]);
    assert_eq!(story.world.states[0], HostState::Up);
    assert_eq!(story.world.told, [HostId(4), HostId(5)], "producers stop");
    assert!(!story.world.is_ended);
    story.tell(Some(HostId(0)), Fact::Node(Observation::LogCreated { log: log(0) }));
    story.tell(Some(HostId(0)), Fact::Node(Observation::LogCreated { log: log(1) }));
    story.wait(5);
    assert!(story.world.is_ended && story.director.is_settled());
    assert!(story.director.phases().iter().all(|phase| phase.is_met && phase.end.is_some()));
}

pub(super) fn log(partition: i32) -> LogId {
    LogId { partition: TopicPartition::new("orders", partition), topic_id: TopicId::from_u128(7) }
}

#[test]
fn a_cluster_settles_only_when_every_broker_is_registered_since_its_boot() {
    let mut story = Story::new(Vec::new());
    let registers = |story: &mut Story, broker_epoch| {
        let broker = NodeId(0);
        for fact in
            [MetadataFact::BrokerRegistered { broker, broker_epoch }, MetadataFact::BrokerUnfenced { broker }]
        {
            story.offset += 1;
            let offset = story.offset;
            story.tell(Some(HostId(0)), Fact::Node(Observation::MetadataCommitted { offset, fact }));
        }
    };
    registers(&mut story, 1);
    for index in 0..2 {
        story.tell(Some(HostId(0)), Fact::Node(Observation::LogCreated { log: log(index) }));
    }
    story.wait(120);
    let kind = StopKind::Crash(How::Power);
    story.tell(Some(HostId(0)), Fact::World(WorldFact::Stopped { kind }));
    story.tell(Some(HostId(0)), Fact::World(WorldFact::Started { incarnation: 1 }));
    story.wait(10);
    assert_eq!(story.phases().last(), Some(&"settle"));
    assert!(!story.world.is_ended, "the metadata speaks of its last life");
    assert!(story.view.unsettled().iter().any(|line| line.contains("not registered")));
    registers(&mut story, 2);
    story.wait(1);
    assert!(story.world.is_ended && story.director.is_settled());
}

#[test]
fn a_cluster_that_does_not_settle_ends_unsettled() {
    let mut story = Story::new(Vec::new());
    story.wait(121);
    story.tell(Some(HostId(0)), Fact::World(WorldFact::Stopped { kind: StopKind::Crash(How::Power) }));
    story.wait(70);
    assert!(story.world.is_ended && !story.director.is_settled());
}

#[test]
fn a_leader_that_was_just_killed_does_not_run_in_the_same_event() {
    let runs = compare(
        Measure::State(Target::Leader(orders(0))),
        Compare::Equal,
        Operand::State(NodeState::Running),
    );
    let after = PlannedTrigger::After { fault: "first".into(), condition: Some(runs), within_us: None };
    let leader = || crash(Target::Leader(orders(0)));
    let mut story = Story::new(vec![fault("first", at(10), leader()), fault("second", after, leader())]);
    story.wait(11);
    assert_eq!(story.fired(), [("first", &[HostId(0)][..])]);
    story.lead(0, 1, &[1, 2]);
    assert_eq!(story.fired()[1], ("second", &[HostId(1)][..]));
}

#[test]
fn inert_faults_do_nothing_and_say_so() {
    let mut story = Story::with(vec![fault("kill", at(10), crash(Target::Broker(0)))], true);
    story.wait(20);
    assert_eq!(story.fired(), []);
    assert_eq!(story.world.state(HostId(0)), HostState::Up);
    assert_eq!(story.director.unfired(&story.view)[0].reason, UnfiredReason::NoEffect);
}

#[test]
fn every_verb_of_the_language_has_a_family() {
    let words: Vec<&str> = FAMILIES.iter().map(|family| family.verb).collect();
    let verbs: Vec<&str> = scenarios::names::verbs().into_iter().map(|(verb, _)| verb).collect();
    assert_eq!(words, verbs);
}

#[test]
fn brokers_can_be_cut_from_each_other() {
    let shape = PartitionShape::Isolate { isolate: Target::Brokers, from: Some(Target::Brokers) };
    let verb = Verb::Partition { shape, one_way: None, links: Links::Replication, bind: None };
    let mut story = Story::new(vec![fault("cut", at(10), verb)]);
    story.wait(11);
    assert_eq!(story.world.cuts.len(), 1);
    assert_eq!(story.world.cuts[0].1.from, story.world.cuts[0].1.to);
}

fn hold(from: Option<Target>, nth: Option<u32>) -> Verb {
    let message = Message { api: "AlterPartition".into(), key: 56, is_response: true };
    Verb::Hold { what: MessageFilter { message, from, to: None, nth }, bind: Some("held".into()) }
}

#[test]
fn a_hold_that_holds_nothing_has_not_fired_and_one_that_does_is_over_with_its_time() {
    let mut stall = fault("stall", at(10), hold(Some(Target::Leader(orders(0))), Some(2)));
    stall.hold_us = Some(5 * SECOND);
    let caught = compare(Measure::Caught("stall".into()), Compare::GreaterOrEqual, Operand::Int(1));
    let kill = fault("kill", when(caught), crash(Target::Bound("held".into())));
    let mut story = Story::new(vec![stall, kill]);
    story.wait(11);
    let rule = story.world.intercepts[0].1.clone();
    assert_eq!((rule.api_key, rule.is_response, rule.nth), (56, true, Some(2)));
    assert_eq!((rule.from, rule.to), (Some(vec![HostId(0)]), None));
    let unfired = story.director.unfired(&story.view);
    assert_eq!(unfired[0].reason, UnfiredReason::NoEffect);
    let fact = WorldFact::MessageHeld {
        fault: "stall".into(),
        message: "AlterPartition response".into(),
        from: HostId(0),
        to: HostId(1),
    };
    story.tell(Some(HostId(1)), Fact::World(fact));
    assert_eq!(story.fired()[1], ("kill", &[HostId(0)][..]), "at the very event");
    assert_eq!(story.director.unfired(&story.view), []);
    story.wait(5);
    assert!(story.world.intercepts.is_empty());
}

#[test]
fn fence_and_lag_aim_at_brokers_only_and_count_as_isolation() {
    let lag = Verb::MetadataLag { target: Target::Broker(1), bind: None };
    let fence = |target| Verb::Fence { target, bind: None };
    let mut second = fault("second", at(12), fence(Target::Broker(2)));
    second.is_chaos = true;
    let mut story = Story::new(vec![
        fault("client", at(9), fence(Target::Clients)),
        fault("lag", at(10), lag),
        fault("fence", at(11), fence(Target::Broker(1))),
        second,
    ]);
    story.wait(13);
    let rules: Vec<_> = story.world.intercepts.iter().map(|(_, rule)| rule.clone()).collect();
    assert_eq!(rules.len(), 2, "the third broker may not be lost as well");
    assert_eq!((rules[0].api_key, rules[0].to.clone()), (1, Some(vec![HostId(1)])));
    assert_eq!((rules[1].api_key, rules[1].from.clone()), (63, Some(vec![HostId(1)])));
    assert_eq!(story.director.unfired(&story.view)[0].reason, UnfiredReason::NoTarget);
    assert_eq!(story.director.skipped(), 1);
}

#[test]
fn a_machine_that_shuts_down_boots_again_when_its_time_is_over_and_it_is_down() {
    let mut leave = fault("leave", at(10), Verb::Shutdown { target: Target::Broker(0), bind: None });
    leave.hold_us = Some(5 * SECOND);
    let mut story = Story::new(vec![leave]);
    story.wait(11);
    assert_eq!((story.world.told.clone(), story.world.states[0]), (vec![HostId(0)], HostState::Up));
    story.wait(5);
    assert_eq!(story.world.states[0], HostState::Up, "it takes its time");
    story.world.states[0] = HostState::Down;
    let reason = "shut down".to_owned();
    story.tell(Some(HostId(0)), Fact::World(WorldFact::Stopped { kind: StopKind::Halt { reason } }));
    assert_eq!(story.world.states[0], HostState::Up, "as soon as it is down");
    assert_eq!(story.director.unfired(&story.view), []);
}

fn rolling(mode: RollingMode) -> Verb {
    let (gap, down) = (Micros::from_secs(5), Micros::from_secs(1));
    Verb::RollingRestart { target: Target::Brokers, mode, gap, down }
}

/// A broker's place in the metadata.
fn is_known(story: &mut Story, broker: i32, is_fenced: bool) {
    story.offset += 1;
    let (offset, broker) = (story.offset, NodeId(broker));
    let fact = match is_fenced {
        true => MetadataFact::BrokerRegistered { broker, broker_epoch: offset },
        false => MetadataFact::BrokerUnfenced { broker },
    };
    story.tell(Some(HostId(0)), Fact::Node(Observation::MetadataCommitted { offset, fact }));
}

#[test]
fn a_rolling_restart_waits_for_each_to_be_at_work_again() {
    let roll = fault("roll", at(10), rolling(RollingMode::Process));
    let after = PlannedTrigger::After { fault: "roll".into(), condition: None, within_us: None };
    let mut story = Story::new(vec![roll, fault("after", after, crash(Target::Broker(0)))]);
    for broker in 0..3 {
        is_known(&mut story, broker, true);
        is_known(&mut story, broker, false);
    }
    story.wait(10);
    for broker in 0..3_usize {
        let down = |story: &Story| story.world.states.iter().position(|state| *state == HostState::Down);
        assert_eq!(down(&story), Some(broker), "one at a time");
        story.wait(1);
        assert_eq!(down(&story), None);
        let host = Some(HostId(broker as u32));
        story.tell(host, Fact::World(WorldFact::Started { incarnation: 1 }));
        story.wait(20);
        assert_eq!(down(&story), None, "nobody else before it is back");
        is_known(&mut story, broker as i32, true);
        is_known(&mut story, broker as i32, false);
        story.wait(4);
        assert_eq!(story.fired().len(), 1);
        story.wait(1);
    }
    assert_eq!(story.fired()[1].0, "after", "it completes with the last one");
}

#[test]
fn a_healed_rolling_restart_is_broken_off_and_nobody_stays_down() {
    let heal = Verb::Heal { heal: Heal::Faults(vec!["roll".into()]) };
    let mut story =
        Story::new(vec![fault("roll", at(10), rolling(RollingMode::Power)), fault("stop", at(11), heal)]);
    story.wait(60);
    assert_eq!(story.fired().len(), 2);
    assert!(story.world.states.iter().all(|state| *state == HostState::Up));
    assert_eq!(story.director.unfired(&story.view), []);
}

fn proposes(host: u32, partition: i32, from: &[i32], to: &[i32]) -> (Option<HostId>, Fact) {
    let nodes = |ids: &[i32]| ids.iter().map(|id| NodeId(*id)).collect();
    let log = LogId { partition: TopicPartition::new("orders", partition), topic_id: TopicId::from_u128(7) };
    let fact = Observation::IsrProposed { log, leader_epoch: 1, from: nodes(from), to: nodes(to) };
    (Some(HostId(host)), Fact::Node(fact))
}

#[test]
fn a_fault_strikes_at_the_very_event_that_it_waits_for() {
    let point = Point {
        point: "isr.shrink_proposed".into(),
        node: Some(Target::Leader(orders(0))),
        partition: Some(orders(0)),
        nth: 2,
    };
    let on = PlannedTrigger::On { point, after: None, within_us: None };
    let mut story = Story::new(vec![fault("kill", on, crash(Target::Leader(orders(0))))]);
    story.wait(1);
    let shrink = proposes(0, 0, &[0, 1, 2], &[0, 1]);
    story.tell(shrink.0, shrink.1.clone());
    for other in [
        proposes(1, 0, &[0, 1, 2], &[0, 1]),
        proposes(0, 1, &[0, 1, 2], &[0, 1]),
        proposes(0, 0, &[0, 1], &[0, 1, 2]),
    ] {
        story.tell(other.0, other.1);
        assert_eq!(story.fired(), [], "another node, another partition, another point");
    }
    story.tell(shrink.0, shrink.1.clone());
    assert_eq!(story.fired(), [("kill", &[HostId(0)][..])]);
    story.tell(shrink.0, shrink.1);
    assert_eq!(story.fired().len(), 1, "once");
}

#[test]
fn a_committed_record_counts_once_and_only_after_what_the_fault_waits_for() {
    let point = Point { point: "broker.fenced".into(), node: None, partition: None, nth: 1 };
    let on = PlannedTrigger::On { point, after: Some("first".into()), within_us: None };
    let mut story = Story::new(vec![
        fault("first", at(10), crash(Target::Broker(1))),
        fault("second", on, crash(Target::Broker(2))),
    ]);
    let fenced = |story: &mut Story, host, offset| {
        let fact = MetadataFact::BrokerFenced { broker: NodeId(1) };
        story.tell(Some(HostId(host)), Fact::Node(Observation::MetadataCommitted { offset, fact }));
    };
    story.wait(5);
    fenced(&mut story, 0, 50);
    story.wait(6);
    assert_eq!(story.fired().len(), 1, "before the first fault it did not count");
    fenced(&mut story, 0, 51);
    assert_eq!(story.fired()[1].0, "second");
}

#[test]
fn every_point_of_the_language_is_some_fact_and_every_fact_is_a_point_of_the_language() {
    let code = include_str!("points.rs");
    for (name, _) in scenarios::points::POINTS {
        assert!(code.contains(&format!("\"{name}\"")), "{name}");
    }
    let dotted =
        |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c));
    for word in code.split('"').filter(dotted) {
        assert!(scenarios::points::POINTS.iter().any(|(name, _)| *name == word), "{word}");
    }
}

fn partition(shape: PartitionShape) -> Verb {
    Verb::Partition { shape, one_way: None, links: Links::All, bind: None }
}

#[test]
fn groups_bridges_and_rings_cut_what_they_say() {
    let cuts = |shape: PartitionShape| {
        let mut story = Story::new(vec![fault("cut", at(1), partition(shape))]);
        story.wait(2);
        let pairs = story.world.cuts.iter().map(|(_, cut)| (cut.from.clone(), cut.to.clone()));
        (pairs.collect::<Vec<_>>(), story.director.unfired(&story.view).len())
    };
    let one = |id| vec![HostId(id)];
    let groups = vec![Target::Broker(0), Target::Broker(1), Target::Broker(2)];
    let (pairs, _) = cuts(PartitionShape::Groups(groups));
    assert_eq!(pairs.len(), 6, "each pair, both ways");
    let (pairs, _) = cuts(PartitionShape::Bridge { bridge: Target::Broker(1) });
    assert!(pairs.contains(&(one(0), one(2))) && pairs.contains(&(one(2), one(0))), "{pairs:?}");
    assert!(pairs.iter().all(|(from, to)| !from.contains(&HostId(1)) && !to.contains(&HostId(1))));
    let everybody = Target::Union(Box::new(Target::Brokers), Box::new(Target::Clients));
    let (pairs, _) = cuts(PartitionShape::Ring { ring: everybody });
    assert!(!pairs.contains(&(one(0), one(1))) && pairs.contains(&(one(0), one(2))), "{pairs:?}");
    assert_eq!(
        cuts(PartitionShape::Ring { ring: Target::Brokers }),
        (Vec::new(), 1),
        "three are a ring already"
    );
}

#[test]
fn resets_name_both_ends() {
    let node = LinkScope::Node { target: Target::Broker(0) };
    let between = LinkScope::Between { one: Target::Broker(1), other: Target::Broker(2) };
    let mut story = Story::new(vec![
        fault("reset", at(1), Verb::Reset { scope: node }),
        fault("half", at(2), Verb::HalfOpen { scope: between }),
    ]);
    story.wait(3);
    assert_eq!(story.world.resets[1], (vec![HostId(1)], vec![HostId(2)], false));
    let (from, to, is_told) = &story.world.resets[0];
    assert!(*is_told && *from == vec![HostId(0)] && !to.contains(&HostId(0)) && to.len() > 2);
}

#[test]
fn a_random_crash_spares_the_second_while_the_first_may_have_lost_something() {
    let crash = |id: &str, broker, mode, seconds| {
        let verb = Verb::Crash { target: Target::Broker(broker), mode, bind: None };
        PlannedFault { is_chaos: true, ..fault(id, at(seconds), verb) }
    };
    let strikes = |first, second| {
        let faults = vec![crash("one", 1, first, 10), crash("two", 2, second, 12)];
        let mut story = Story::planned(faults, |plan| {
            plan.limits.keep_quorum = false;
            plan.limits.max_down = 3;
        });
        story.lead(0, 0, &[0, 1, 2]);
        story.wait(11);
        let mode = match first {
            CrashMode::Process => crate::trace::CrashMode::Process,
            _ => crate::trace::CrashMode::Power,
        };
        let stopped = WorldFact::Stopped { kind: StopKind::Crash(mode) };
        story.tell(Some(HostId(1)), Fact::World(stopped));
        story.wait(2);
        (story.fired().len(), story.director.skipped())
    };
    assert_eq!(strikes(CrashMode::Process, CrashMode::Process), (2, 0), "nobody has lost anything");
    assert_eq!(strikes(CrashMode::Power, CrashMode::Process), (1, 1), "min.insync.replicas is 2");
    assert_eq!(strikes(CrashMode::Process, CrashMode::Power), (1, 1), "whichever comes first");
}

#[test]
fn a_random_wipe_spares_what_would_be_lost_by_it() {
    let wipe = |target| Verb::Crash { target, mode: CrashMode::Wipe, bind: None };
    let strikes = |keep_quorum: bool, isr: &[i32]| {
        let mut random = fault("wipe", at(10), wipe(Target::Broker(1)));
        random.is_chaos = true;
        let mut story = Story::planned(vec![random], |plan| plan.limits.keep_quorum = keep_quorum);
        story.lead(0, 0, isr);
        story.lead(1, 0, isr);
        story.wait(11);
        (story.fired().len(), story.director.skipped())
    };
    assert_eq!(strikes(false, &[0, 1, 2]), (1, 0));
    assert_eq!(
        strikes(false, &[0, 1]),
        (0, 1),
        "another replica is behind already, and min.insync.replicas is 2"
    );
    assert_eq!(strikes(false, &[1]), (0, 1), "the last one in sync");
    assert_eq!(strikes(true, &[0, 1, 2]), (0, 1), "it is a voter too");
}
