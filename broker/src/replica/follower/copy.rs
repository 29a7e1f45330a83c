//! One partition's answer to a fetch, carried out on the follower's log (REP-4, REP-5).

use crate::ids::NO_EPOCH;
use crate::io::Disk;
use crate::log::{AppendError, LogError, PartitionLog};
use crate::replica::partition::Rules;
use crate::rpc::Outbox;
use crate::time::Instant;
use crate::trace::TruncationReason;
use crate::wire::ErrorCode;
use crate::wire::messages::fetch_response::{EpochEndOffset, PartitionData};

/// What came of it.
#[derive(Debug)]
pub enum Copied {
    /// The histories agree, and the log now ends where the answer ends: go on.
    Progress {
        /// Did the log grow?
        has_records: bool,
    },
    /// The histories differ, and the log was cut: ask again.
    Cut,
    /// Try again after a pause.
    Pause,
    /// Wait for a new leader epoch.
    Fenced,
    /// The disk failed.
    Failed(String),
}

/// Carries out an answer that is known to be current: it was asked for at this log's end, in the current leader epoch.
pub fn copy(
    log: &mut PartitionLog,
    answer: &PartitionData,
    rules: &Rules,
    now: Instant,
    disk: &mut dyn Disk,
    out: &mut Outbox,
) -> Copied {
    match ErrorCode::try_from_code(answer.error_code) {
        None => {}
        Some(ErrorCode::OffsetOutOfRange) => return start_over(log, answer, rules, disk, out),
        Some(ErrorCode::FencedLeaderEpoch) => return Copied::Fenced,
        Some(_) => return Copied::Pause,
    }
    if answer.diverging_epoch.epoch != NO_EPOCH || answer.diverging_epoch.end_offset >= 0 {
        return match cut_back(log, &answer.diverging_epoch, disk, out) {
            Ok(()) => Copied::Cut,
            Err(error) => Copied::Failed(error.to_string()),
        };
    }
    let records = answer.records.clone().unwrap_or_default();
    let has_records = !records.is_empty();
    if has_records {
        match log.append_as_follower(records, now, disk, out) {
            Ok(_) => {}
            Err(AppendError::Disk(error)) => return Copied::Failed(error.to_string()),
            Err(_) => return Copied::Pause,
        }
    }
    log.set_high_watermark(answer.high_watermark, None, out);
    // RET-2: what the leader let go is let go here, too. Its start is never above its high watermark.
    let start = answer.log_start_offset.min(log.high_watermark());
    if let Err(error) = log.advance_log_start(start, disk, out) {
        return Copied::Failed(error.to_string());
    }
    Copied::Progress { has_records }
}

/// Cuts the log back to where it may agree with the leader's (KIP-101, KIP-279). If this log does not know the epoch that
/// the leader found, the next fetch names the epoch that remains and asks again.
fn cut_back(
    log: &mut PartitionLog,
    leader: &EpochEndOffset,
    disk: &mut dyn Disk,
    out: &mut Outbox,
) -> Result<(), LogError> {
    let log_end = log.log_end_offset();
    let to = match log.end_offset_for_epoch(leader.epoch) {
        Some(own) if own.epoch == leader.epoch => own.end_offset.min(leader.end_offset),
        Some(own) => own.end_offset,
        None => leader.end_offset,
    };
    log.truncate_to(to.min(log_end), TruncationReason::DivergingEpoch, disk, out)
}

/// The leader's log begins after this one's end: nothing of this log is of use. Nor is there anything to lose in a log
/// without records, wherever it ends: the leader's may end below after an unclean election. In any other case nothing is
/// cut; the leader's view will change or an operator must look.
fn start_over(
    log: &mut PartitionLog,
    answer: &PartitionData,
    rules: &Rules,
    disk: &mut dyn Disk,
    out: &mut Outbox,
) -> Copied {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let done = if answer.log_start_offset > end || (start == end && answer.log_start_offset >= 0) {
        log.truncate_fully_and_start_at(answer.log_start_offset, disk, out)
    } else if rules.records_epoch_at_election() {
        return Copied::Pause;
    } else {
        log.truncate_to(log.high_watermark(), TruncationReason::HighWatermark, disk, out)
    };
    match done {
        Ok(()) => Copied::Cut,
        Err(error) => Copied::Failed(error.to_string()),
    }
}
