//! The judge is judged: each historic bug of the quorum is found by the model, and the same run without it is quiet.

use broker::defects::Defect;
use broker::ids::NodeId;
use broker::time::Duration;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestError, TestRunner};

use crate::world::World;
use crate::{dice, step, survives_with};

/// What the first random run says in which the bug shows.
fn found(defect: Defect, voters: i32) -> String {
    let config = ProptestConfig {
        cases: 400,
        failure_persistence: None,
        max_shrink_iters: 0,
        rng_seed: RngSeed::Fixed(595),
        ..ProptestConfig::default()
    };
    let steps = prop::collection::vec(step(), 0..500);
    let ended = TestRunner::new(config).run(&steps, |steps| {
        survives_with(&[defect], voters, 1, &steps);
        Ok(())
    });
    match ended {
        Err(TestError::Fail(reason, _)) => reason.to_string(),
        other => panic!("{} is not found: {other:?}", defect.id()),
    }
}

#[test]
fn k01_is_found_by_a_vote_that_left_too_early() {
    let said = found(Defect::VoteNotDurable, 3);
    assert!(said.contains("Q-2") || said.contains("Q-3"), "{said}");
}

#[test]
fn k03_is_found_by_a_commit_of_an_older_epoch() {
    let said = found(Defect::CommitByCountingOldEpochs, 3);
    assert!(said.contains("Q-10") || said.contains("before its own first record"), "{said}");
}

#[test]
fn k04_and_k04b_are_found_by_a_commit_without_a_flushed_majority() {
    for defect in [Defect::UnsyncedFetchCounts, Defect::LeaderCountsUnsynced] {
        let said = found(defect, 3);
        assert!(said.contains("Q-7"), "{said}");
    }
}

/// A leader whose last record reached a follower and not its own disk comes back at once. Does it lead its epoch again?
fn restarted_leader(defects: &[Defect]) -> World {
    let mut world = World::with_defects(3, 0, defects);
    world.run_for(Duration::from_secs(10));
    let leader = world.leader().expect("a leader");
    world.append(leader);
    world.run_unsynced_for(leader, Duration::from_millis(40));
    world.crash(leader, Some(&mut |_| 0));
    world.boot(leader);
    world
}

#[test]
#[should_panic(expected = "Q-6")]
fn k02_is_found_by_a_leader_that_lacks_what_it_committed() {
    restarted_leader(&[Defect::LeaderResumesItsEpoch]).run_for(Duration::from_secs(20));
}

#[test]
fn a_leader_that_comes_back_without_its_last_record_does_not_write_another_one() {
    let mut world = restarted_leader(&[]);
    world.run_for(Duration::from_secs(20));
    assert!(world.leader().is_some());
}

/// The leaders after one was cut off for a while.
fn leaders_while_one_is_cut_off(defects: &[Defect]) -> usize {
    let mut world = World::with_defects(3, 1, defects);
    world.run_for(Duration::from_secs(10));
    let old = world.leader().expect("a leader");
    world.isolate(old);
    world.run_for(Duration::from_secs(10));
    assert!(world.leaders().iter().any(|leader| *leader != old), "the others go on");
    world.leaders().len()
}

#[test]
fn k05_leaves_two_leaders_where_there_is_one() {
    assert_eq!(leaders_while_one_is_cut_off(&[]), 1);
    assert_eq!(leaders_while_one_is_cut_off(&[Defect::NoCheckQuorum]), 2);
}

/// By how much the epoch grows while one voter cannot reach the leader, and is reached by it.
fn growth_while_one_is_half_deaf(defects: &[Defect]) -> i32 {
    let mut world = World::with_defects(3, 1, defects);
    world.run_for(Duration::from_secs(10));
    let (leader, before) = (world.leader().expect("a leader"), world.epoch());
    let voter = (1..=3).map(NodeId).find(|voter| *voter != leader).expect("another voter");
    world.cut(voter, leader);
    world.run_for(Duration::from_secs(60));
    world.epoch() - before
}

#[test]
fn a_voter_that_cannot_reach_its_leader_disturbs_nobody() {
    assert_eq!(growth_while_one_is_half_deaf(&[]), 0);
}

#[test]
#[should_panic(expected = "Q-18")]
fn k06_is_found_by_an_epoch_that_nobody_consented_to() {
    growth_while_one_is_half_deaf(&[Defect::NoPreVote]);
}

#[test]
fn k07_never_elects_anybody() {
    let mut world = World::with_defects(3, 0, &[Defect::FixedElectionTimeout]);
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.leader(), None);
}

#[test]
fn power_losses_at_any_moment_of_an_election_give_no_second_leader() {
    for seed in 0..40 {
        let mut world = World::new(3, 0);
        let mut choose = dice(seed);
        for _ in 0..60 {
            world.run_for(Duration::from_millis(1 + choose(700)));
            let victim = NodeId(1 + i32::try_from(choose(3)).expect("small"));
            world.crash(victim, Some(&mut choose));
            world.boot(victim);
        }
    }
}
