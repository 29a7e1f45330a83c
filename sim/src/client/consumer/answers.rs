//! What answers do to positions (`OffsetFetcher`, `FetchCollector`).

use std::collections::{BTreeMap, BTreeSet};

use broker::ids::{LeaderEpoch, NO_EPOCH, Offset};
use broker::time::Instant;
use broker::wire::messages::FetchResponse;
use broker::wire::messages::fetch_response::PartitionData;
use broker::wire::{ErrorCode, NO_ERROR, Response};

use super::fetcher::{About, Consumer};
use super::position::{Position, Stage};
use super::reader::read;
use crate::client::config::OffsetReset;
use crate::client::errors::means_stale_metadata;
use crate::client::metadata::LeaderHint;
use crate::client::network::Lost;
use crate::history::{HistoryEvent, PositionReason};
use crate::host::Outputs;

impl Consumer {
    pub(super) fn on_offsets(
        &mut self,
        about: &[About],
        result: Result<Response, Lost>,
        now: Instant,
        out: &mut Outputs,
    ) {
        let mut answers = BTreeMap::new();
        if let Ok(Response::ListOffsets(response)) = &result {
            answers
                .extend(response.topics.iter().flat_map(|t| &t.partitions).map(|p| (p.partition_index, p)));
        }
        for one in about {
            let Some(position) = self.answered(one.partition) else { continue };
            let Stage::Reset(reason) = position.stage else { continue };
            match answers.get(&one.partition) {
                Some(answer) if answer.error_code == NO_ERROR && answer.offset >= 0 => {
                    position.failures = 0;
                    // Without an epoch: there is nothing to validate where nothing was read (KIP-320).
                    position.move_to(answer.offset, NO_EPOCH, one.leader_epoch);
                    if self.config.auto_offset_reset == OffsetReset::Latest {
                        let partition = self.name(one.partition);
                        out.history.push(HistoryEvent::EndOffset { partition, offset: answer.offset });
                    }
                    self.say_positioned(one.partition, reason, out);
                }
                answer => self.on_error(one.partition, answer.map_or(NO_ERROR, |a| a.error_code), now),
            }
        }
    }

    pub(super) fn on_epoch_ends(
        &mut self,
        about: &[About],
        result: Result<Response, Lost>,
        now: Instant,
        out: &mut Outputs,
    ) {
        let mut answers = BTreeMap::new();
        if let Ok(Response::OffsetForLeaderEpoch(response)) = &result {
            answers.extend(response.topics.iter().flat_map(|t| &t.partitions).map(|p| (p.partition, p)));
        }
        for one in about {
            let Some(position) = self.answered(one.partition) else { continue };
            if position.stage != Stage::Validate {
                continue;
            }
            match answers.get(&one.partition) {
                Some(answer) if answer.error_code == NO_ERROR => {
                    position.failures = 0;
                    if answer.end_offset < 0 || answer.leader_epoch < 0 {
                        // The leader knows nothing as old as the position.
                        self.reset(one.partition);
                    } else if answer.end_offset < position.offset {
                        self.cut(one, answer.leader_epoch, answer.end_offset, out);
                    } else {
                        position.leader_epoch = one.leader_epoch;
                        position.stage = Stage::Fetch;
                    }
                }
                answer => self.on_error(one.partition, answer.map_or(NO_ERROR, |a| a.error_code), now),
            }
        }
    }

    pub(super) fn on_fetched(
        &mut self,
        about: &[About],
        result: Result<Response, Lost>,
        now: Instant,
        out: &mut Outputs,
    ) {
        // A lost fetch needs no back-off of its own: the connection has one.
        let Ok(Response::Fetch(response)) = result else { return };
        let topic_id = self.cluster.metadata().topic(&self.topic).map(|topic| topic.topic_id);
        let answers: BTreeMap<i32, &PartitionData> = response
            .responses
            .iter()
            .filter(|topic| Some(topic.topic_id) == topic_id)
            .flat_map(|topic| topic.partitions.iter().map(|p| (p.partition_index, p)))
            .collect();
        let redirected = self.take_leaders(&response);
        for one in about {
            let Some(position) = self.positions.get(&one.partition) else { continue };
            let is_current = position.stage == Stage::Fetch
                && position.offset == one.offset
                && position.leader_epoch == one.leader_epoch;
            if !is_current {
                continue;
            }
            match answers.get(&one.partition) {
                Some(data) if data.error_code == NO_ERROR && response.error_code == NO_ERROR => {
                    self.on_data(one, data, now, out);
                }
                Some(data) if data.error_code == ErrorCode::OffsetOutOfRange.code() => {
                    self.reset(one.partition)
                }
                Some(_) if redirected.contains(&one.partition) => self.cluster.request_update(),
                Some(data) if response.error_code == NO_ERROR => {
                    self.on_error(one.partition, data.error_code, now)
                }
                _ => self.on_error(one.partition, response.error_code, now),
            }
        }
    }

    /// Takes in who leads the partitions that were refused; returns those of which that is news (KIP-951). They are asked
    /// for there without a back-off.
    fn take_leaders(&mut self, response: &FetchResponse) -> BTreeSet<i32> {
        let mut redirected = BTreeSet::new();
        for topic in &response.responses {
            for data in &topic.partitions {
                let (leader, epoch) = (data.current_leader.leader_id, data.current_leader.leader_epoch);
                let endpoint = response.node_endpoints.iter().find(|known| known.node_id == leader);
                let endpoint = endpoint.map(|known| (known.host.as_str(), known.port));
                let Some(hint) = LeaderHint::told(leader.0, epoch, endpoint) else { continue };
                let partition = self.name(data.partition_index);
                if self.cluster.take_leader_hint(&partition, topic.topic_id, &hint) {
                    redirected.insert(data.partition_index);
                }
            }
        }
        redirected
    }

    fn on_data(&mut self, one: &About, data: &PartitionData, now: Instant, out: &mut Outputs) {
        if data.diverging_epoch.end_offset >= 0 {
            return self.cut(one, data.diverging_epoch.epoch, data.diverging_epoch.end_offset, out);
        }
        let partition = self.name(one.partition);
        let Some(position) = self.positions.get_mut(&one.partition) else { return };
        let records = data.records.clone().unwrap_or_default();
        let (delivered, result) = read(position, records, self.config.check_crcs);
        for polled in delivered.chunks(self.config.max_poll_records as usize) {
            out.history.push(HistoryEvent::Polled { partition: partition.clone(), records: polled.to_vec() });
        }
        if result.is_err() {
            self.damaged += 1;
            return self.back_off(one.partition, now);
        }
        position.failures = 0;
        let end = if self.config.is_read_committed { data.last_stable_offset } else { data.high_watermark };
        if end >= 0 && position.offset >= end && position.caught_up_at != Some(position.offset) {
            position.caught_up_at = Some(position.offset);
            out.history.push(HistoryEvent::CaughtUp { partition, offset: position.offset });
        }
    }

    fn answered(&mut self, number: i32) -> Option<&mut Position> {
        let position = self.positions.get_mut(&number)?;
        position.is_asked = false;
        Some(position)
    }

    /// The log was cut below the position (KIP-320): goes on where the leader's history leaves the one that was read.
    fn cut(&mut self, one: &About, epoch: LeaderEpoch, end: Offset, out: &mut Outputs) {
        let Some(position) = self.positions.get_mut(&one.partition) else { return };
        let is_moved = end < position.offset;
        position.move_to(end.min(position.offset), epoch, one.leader_epoch);
        if is_moved {
            self.say_positioned(one.partition, PositionReason::TruncationDetected, out);
        }
    }

    fn reset(&mut self, number: i32) {
        let is_left_to_application = self.config.auto_offset_reset == OffsetReset::None;
        if let Some(position) = self.positions.get_mut(&number) {
            position.stage =
                if is_left_to_application { Stage::Stopped } else { Stage::Reset(PositionReason::Reset) };
        }
    }

    fn say_positioned(&self, number: i32, reason: PositionReason, out: &mut Outputs) {
        if let Some(position) = self.positions.get(&number) {
            let partition = self.name(number);
            out.history.push(HistoryEvent::Positioned { partition, offset: position.offset, reason });
        }
    }

    /// A refusal, or no answer at all ([`NO_ERROR`]): asks again after the back-off, with fresh metadata if the error
    /// says that the view is old.
    fn on_error(&mut self, number: i32, code: i16, now: Instant) {
        if ErrorCode::try_from_code(code).is_some_and(means_stale_metadata) {
            self.cluster.request_update();
        }
        self.back_off(number, now);
    }

    fn back_off(&mut self, number: i32, now: Instant) {
        if let Some(position) = self.positions.get_mut(&number) {
            position.failures = position.failures.saturating_add(1);
            position.retry_at = now + self.retry.after(position.failures, &mut self.rng);
        }
    }
}
