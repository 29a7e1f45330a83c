//! Three brokers, one partition, a controller and an unkind world, drawn from a seed: what was acknowledged must be in the
//! log of every in-sync replica (P-3), and committed prefixes must agree (P-5). Crashes keep the page cache here; what a
//! power failure may cost is judged elsewhere.
//!
//! The same walks with a historic defect switched on must find it: otherwise the model proves nothing.

mod replica_cluster;

use broker::defects::{Defect, DefectSet};
use broker::ids::NodeId;

use replica_cluster::{Model, TOPIC};

const STEPS: usize = 1000;

/// A walk without defects, then a kind world: everybody must get in sync again, and a record must be acknowledged.
fn heals(seed: u64) -> Result<(), String> {
    let mut model = Model::new(seed, DefectSet::none());
    for _ in 0..STEPS {
        model.step();
    }
    let acknowledged = model.acknowledged.len();
    for round in 0..2_000 {
        for id in (1..=3).map(NodeId) {
            model.learn(id);
            model.unfence(id);
        }
        while !model.messages.is_empty() {
            model.deliver();
        }
        if round % 200 == 100
            && let Some(leader) = model.registration().and_then(|state| state.leader)
        {
            model.produce(leader);
        }
        model.pass_time();
        model.check()?;
    }
    let state = model.registration().expect("the partition exists");
    let logs: Vec<_> = (1..=3).map(|id| model.content(NodeId(id))).collect();
    if state.isr.len() < 3
        || model.acknowledged.len() == acknowledged
        || logs.iter().any(|log| *log != logs[0])
    {
        let states: Vec<_> =
            (1..=3).map(|id| model.brokers[&NodeId(id)].manager.partition(&TOPIC, 0)).collect();
        return Err(format!("seed {seed}: not healed: {state:?}\n{states:#?}"));
    }
    Ok(())
}

/// One walk: how many records were acknowledged, or what broke.
fn walk(seed: u64, defects: DefectSet) -> Result<usize, String> {
    let mut model = Model::new(seed, defects);
    for step in 0..STEPS {
        model.step();
        model.check().map_err(|what| format!("seed {seed}, step {step}: {what}"))?;
    }
    Ok(model.acknowledged.len())
}

#[test]
fn what_was_acknowledged_is_never_lost() {
    let mut acknowledged = 0;
    for seed in 0..300 {
        acknowledged += walk(seed, DefectSet::none()).unwrap();
    }
    assert!(acknowledged > 300, "only {acknowledged} records were acknowledged: the walks prove nothing");
}

#[test]
fn a_kind_world_heals_everything() {
    for seed in 0..60 {
        heals(seed).unwrap();
    }
}

/// The first seed in `seeds` whose walk finds the defect.
fn found_within(mut seeds: std::ops::Range<u64>, defect: Defect) -> Option<String> {
    seeds.find_map(|seed| walk(seed, DefectSet::of([defect])).err())
}

#[test]
fn truncation_to_the_high_watermark_is_found() {
    assert!(found_within(0..50, Defect::TruncateToHighWatermark).is_some());
}

#[test]
fn joining_below_the_epoch_start_is_found() {
    assert!(found_within(0..50, Defect::IsrExpandIgnoresEpochStart).is_some());
}

#[test]
fn a_high_watermark_without_the_maximal_isr_is_found() {
    assert!(found_within(0..50, Defect::NoMaximalIsr).is_some());
}

#[test]
fn a_comparison_of_offsets_alone_is_found() {
    assert!(found_within(0..50, Defect::OffsetOnlyDivergence).is_some());
}

#[test]
fn the_start_of_the_next_epoch_in_place_of_the_end_of_a_known_one_is_found() {
    assert!(found_within(0..100, Defect::NextEpochLookup).is_some());
}

#[test]
fn progress_in_another_history_is_found() {
    assert!(found_within(0..50, Defect::FetchStateOnDivergence).is_some());
}
