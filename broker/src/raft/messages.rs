//! The quorum's own messages, built and read: Vote, BeginQuorumEpoch, EndQuorumEpoch.
//!
//! Each of them carries one topic with one partition; everything else is malformed.

use super::Leadership;
use crate::ids::{LeaderEpoch, METADATA_TOPIC, NodeId, Offset, Uuid};
use crate::io::{Address, Listener};
use crate::metadata::listener_name;
use crate::wire::messages::{
    BeginQuorumEpochRequest, BeginQuorumEpochResponse, BrokerId, EndQuorumEpochRequest,
    EndQuorumEpochResponse, TopicName, VoteRequest, VoteResponse, begin_quorum_epoch_request,
    begin_quorum_epoch_response, end_quorum_epoch_request, end_quorum_epoch_response, vote_request,
    vote_response,
};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// The head of every answer in the quorum: the error, and the epoch and leader that the answering node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerHead {
    /// Kafka's error code, 0 if none.
    pub error: i16,
    /// What the answering node knows; `None` if it refused before it looked (cluster id, malformed request).
    pub leadership: Option<Leadership>,
}

impl AnswerHead {
    /// Reads an answer's fields; an epoch below zero means "not told".
    pub fn new(error: i16, epoch: LeaderEpoch, leader: i32) -> Self {
        let leadership = (epoch >= 0).then_some(Leadership { epoch, leader: node(leader) });
        AnswerHead { error, leadership }
    }

    /// An answer without a partition: only the whole request was answered.
    pub fn refused(error: i16) -> Self {
        AnswerHead { error, leadership: None }
    }
}

/// Kafka's "-1 is nobody".
pub fn node(id: i32) -> Option<NodeId> {
    (id >= 0).then_some(NodeId(id))
}

/// "-1 is nobody", on the wire.
pub fn wire_id(node: Option<NodeId>) -> BrokerId {
    BrokerId(node.map_or(-1, |n| n.0))
}

/// An error code on the wire; `None` is "no error".
pub fn code(error: Option<ErrorCode>) -> i16 {
    error.map_or(NO_ERROR, |e| e.code())
}

/// The metadata topic's name on the wire.
pub fn metadata_topic() -> TopicName {
    TopicName(StrBytes::from_static_str(METADATA_TOPIC))
}

/// The one partition of a message that has exactly the metadata partition.
macro_rules! metadata_partition {
    ($topics:expr) => {
        match $topics.as_slice() {
            [topic] if topic.topic_name.0.as_str() == METADATA_TOPIC => match topic.partitions.as_slice() {
                [partition] if partition.partition_index == 0 => Some(partition),
                _ => None,
            },
            _ => None,
        }
    };
}

/// What a vote request asks (KIP-595).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidacy {
    /// Who wants the vote.
    pub candidate: NodeId,
    /// In which epoch.
    pub epoch: LeaderEpoch,
    /// Epoch of the last record in the candidate's log, 0 if it is empty.
    pub last_epoch: LeaderEpoch,
    /// The candidate's log end offset.
    pub end_offset: Offset,
    /// Only asks whether it would be elected, in its own epoch (KIP-996, v2).
    pub pre_vote: bool,
}

/// Whose vote is wanted: the disk, if the candidate knows it (KIP-853, v1).
pub fn with_voter_directory(mut request: VoteRequest, directory_id: Uuid) -> VoteRequest {
    for partition in request.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.voter_directory_id = directory_id;
    }
    request
}

/// Of which disk the vote is wanted; nil if the candidate does not know.
pub fn read_voter_directory(request: &VoteRequest) -> Uuid {
    let partition = request.topics.first().and_then(|topic| topic.partitions.first());
    partition.map_or(Uuid::nil(), |partition| partition.voter_directory_id)
}

/// Asks `voter` for its vote.
pub fn vote_request(cluster_id: &str, voter: NodeId, candidacy: &Candidacy) -> VoteRequest {
    let partition = vote_request::PartitionData::default()
        .with_replica_id(BrokerId(candidacy.candidate.0))
        .with_replica_epoch(candidacy.epoch)
        .with_last_offset_epoch(candidacy.last_epoch)
        .with_last_offset(candidacy.end_offset)
        .with_pre_vote(candidacy.pre_vote);
    let topic =
        vote_request::TopicData::default().with_topic_name(metadata_topic()).with_partitions(vec![partition]);
    VoteRequest::default()
        .with_cluster_id(Some(StrBytes::from_string(cluster_id.to_string())))
        .with_voter_id(BrokerId(voter.0))
        .with_topics(vec![topic])
}

/// Reads a vote request. `None`: malformed. Whoever wants to lead an epoch has no record of it yet; whoever asks in
/// advance may (KIP-996).
pub fn read_vote_request(request: &VoteRequest) -> Option<Candidacy> {
    let partition = metadata_partition!(request.topics)?;
    let candidacy = Candidacy {
        candidate: node(partition.replica_id.0)?,
        epoch: partition.replica_epoch,
        last_epoch: partition.last_offset_epoch,
        end_offset: partition.last_offset,
        pre_vote: partition.pre_vote,
    };
    let last_possible = if candidacy.pre_vote { candidacy.epoch } else { candidacy.epoch.saturating_sub(1) };
    let is_sane =
        candidacy.last_epoch >= 0 && candidacy.end_offset >= 0 && candidacy.last_epoch <= last_possible;
    is_sane.then_some(candidacy)
}

/// Answers a vote request about the metadata partition.
pub fn vote_response(error: Option<ErrorCode>, at: Leadership, granted: bool) -> VoteResponse {
    let partition = vote_response::PartitionData::default()
        .with_error_code(code(error))
        .with_leader_id(wire_id(at.leader))
        .with_leader_epoch(at.epoch)
        .with_vote_granted(granted);
    let topic = vote_response::TopicData::default()
        .with_topic_name(metadata_topic())
        .with_partitions(vec![partition]);
    VoteResponse::default().with_topics(vec![topic])
}

/// Reads a vote: the head, and whether it was granted. `None`: malformed.
pub fn read_vote_response(response: &VoteResponse) -> Option<(AnswerHead, bool)> {
    if response.error_code != NO_ERROR {
        return Some((AnswerHead::refused(response.error_code), false));
    }
    let p = metadata_partition!(response.topics)?;
    Some((
        AnswerHead::new(p.error_code, p.leader_epoch, p.leader_id.0),
        p.vote_granted && p.error_code == NO_ERROR,
    ))
}

/// Tells `voter` who leads.
pub fn begin_request(
    cluster_id: &str,
    voter: NodeId,
    me: NodeId,
    epoch: LeaderEpoch,
) -> BeginQuorumEpochRequest {
    let partition = begin_quorum_epoch_request::PartitionData::default()
        .with_leader_id(BrokerId(me.0))
        .with_leader_epoch(epoch);
    let topic = begin_quorum_epoch_request::TopicData::default()
        .with_topic_name(metadata_topic())
        .with_partitions(vec![partition]);
    BeginQuorumEpochRequest::default()
        .with_cluster_id(Some(StrBytes::from_string(cluster_id.to_string())))
        .with_voter_id(BrokerId(voter.0))
        .with_topics(vec![topic])
}

/// Says where the leader is reached, for voters that cannot know it (KIP-853, v1).
pub fn with_leader_endpoint(
    request: BeginQuorumEpochRequest,
    address: Option<&Address>,
) -> BeginQuorumEpochRequest {
    let endpoint = |address: &Address| {
        begin_quorum_epoch_request::LeaderEndpoint::default()
            .with_name(StrBytes::from_static_str(listener_name(Listener::Controller)))
            .with_host(StrBytes::from_string(address.host.to_string()))
            .with_port(address.port)
    };
    request.with_leader_endpoints(address.iter().copied().map(endpoint).collect())
}

/// Where the leader that sent a begin request is reached, if it says so.
pub fn read_leader_endpoint(request: &BeginQuorumEpochRequest) -> Option<Address> {
    request.leader_endpoints.first().map(|endpoint| Address::new(endpoint.host.as_str(), endpoint.port))
}

/// Reads the epoch and leader of a begin request. `None`: malformed.
pub fn read_begin_request(request: &BeginQuorumEpochRequest) -> Option<(LeaderEpoch, NodeId)> {
    let p = metadata_partition!(request.topics)?;
    (p.leader_epoch >= 0).then_some((p.leader_epoch, node(p.leader_id.0)?))
}

/// Answers a begin request about the metadata partition.
pub fn begin_response(error: Option<ErrorCode>, at: Leadership) -> BeginQuorumEpochResponse {
    let partition = begin_quorum_epoch_response::PartitionData::default()
        .with_error_code(code(error))
        .with_leader_id(wire_id(at.leader))
        .with_leader_epoch(at.epoch);
    let topic = begin_quorum_epoch_response::TopicData::default()
        .with_topic_name(metadata_topic())
        .with_partitions(vec![partition]);
    BeginQuorumEpochResponse::default().with_topics(vec![topic])
}

/// Reads the answer to a begin request. `None`: malformed.
pub fn read_begin_response(response: &BeginQuorumEpochResponse) -> Option<AnswerHead> {
    if response.error_code != NO_ERROR {
        return Some(AnswerHead::refused(response.error_code));
    }
    let p = metadata_partition!(response.topics)?;
    Some(AnswerHead::new(p.error_code, p.leader_epoch, p.leader_id.0))
}

/// Tells the voters that the leader gives up; `successors` are the voters, the one to follow first comes first.
pub fn end_request(
    cluster_id: &str,
    me: NodeId,
    epoch: LeaderEpoch,
    successors: &[NodeId],
) -> EndQuorumEpochRequest {
    let candidates = successors
        .iter()
        .map(|n| end_quorum_epoch_request::ReplicaInfo::default().with_candidate_id(BrokerId(n.0)))
        .collect();
    let partition = end_quorum_epoch_request::PartitionData::default()
        .with_leader_id(BrokerId(me.0))
        .with_leader_epoch(epoch)
        .with_preferred_candidates(candidates);
    let topic = end_quorum_epoch_request::TopicData::default()
        .with_topic_name(metadata_topic())
        .with_partitions(vec![partition]);
    EndQuorumEpochRequest::default()
        .with_cluster_id(Some(StrBytes::from_string(cluster_id.to_string())))
        .with_topics(vec![topic])
}

/// Reads an end request: epoch, the leader that gives up, the successors in order. `None`: malformed.
pub fn read_end_request(request: &EndQuorumEpochRequest) -> Option<(LeaderEpoch, NodeId, Vec<NodeId>)> {
    let p = metadata_partition!(request.topics)?;
    let successors = if p.preferred_candidates.is_empty() {
        p.preferred_successors.iter().map(|id| NodeId(*id)).collect()
    } else {
        p.preferred_candidates.iter().map(|c| NodeId(c.candidate_id.0)).collect()
    };
    (p.leader_epoch >= 0).then_some((p.leader_epoch, node(p.leader_id.0)?, successors))
}

/// Answers an end request about the metadata partition.
pub fn end_response(error: Option<ErrorCode>, at: Leadership) -> EndQuorumEpochResponse {
    let partition = end_quorum_epoch_response::PartitionData::default()
        .with_error_code(code(error))
        .with_leader_id(wire_id(at.leader))
        .with_leader_epoch(at.epoch);
    let topic = end_quorum_epoch_response::TopicData::default()
        .with_topic_name(metadata_topic())
        .with_partitions(vec![partition]);
    EndQuorumEpochResponse::default().with_topics(vec![topic])
}

/// Reads the answer to an end request. `None`: malformed.
pub fn read_end_response(response: &EndQuorumEpochResponse) -> Option<AnswerHead> {
    if response.error_code != NO_ERROR {
        return Some(AnswerHead::refused(response.error_code));
    }
    let p = metadata_partition!(response.topics)?;
    Some(AnswerHead::new(p.error_code, p.leader_epoch, p.leader_id.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Leadership = Leadership { epoch: 4, leader: Some(NodeId(2)) };

    #[test]
    fn what_is_asked_is_what_is_read() {
        let asked =
            Candidacy { candidate: NodeId(1), epoch: 5, last_epoch: 4, end_offset: 17, pre_vote: false };
        let in_advance = Candidacy { last_epoch: 5, pre_vote: true, ..asked };
        for asked in [asked, in_advance] {
            assert_eq!(read_vote_request(&vote_request("c", NodeId(2), &asked)), Some(asked));
        }
        assert_eq!(read_begin_request(&begin_request("c", NodeId(2), NodeId(1), 5)), Some((5, NodeId(1))));
        let successors = vec![NodeId(3), NodeId(2)];
        let end = end_request("c", NodeId(1), 5, &successors);
        assert_eq!(read_end_request(&end), Some((5, NodeId(1), successors)));
        let head = AnswerHead { error: 0, leadership: Some(AT) };
        assert_eq!(read_vote_response(&vote_response(None, AT, true)), Some((head, true)));
        assert_eq!(read_begin_response(&begin_response(None, AT)), Some(head));
        assert_eq!(read_end_response(&end_response(None, AT)), Some(head));
    }

    #[test]
    fn an_impossible_candidacy_is_malformed() {
        let fine =
            Candidacy { candidate: NodeId(1), epoch: 5, last_epoch: 4, end_offset: 17, pre_vote: false };
        for bad in [
            Candidacy { last_epoch: 5, ..fine },
            Candidacy { last_epoch: -1, ..fine },
            Candidacy { end_offset: -1, ..fine },
            Candidacy { candidate: NodeId(-1), ..fine },
            Candidacy { epoch: i32::MIN, last_epoch: i32::MIN, ..fine },
            Candidacy { last_epoch: 6, pre_vote: true, ..fine },
        ] {
            assert_eq!(read_vote_request(&vote_request("c", NodeId(2), &bad)), None, "{bad:?}");
        }
        assert_eq!(read_vote_request(&VoteRequest::default()), None);
    }

    #[test]
    fn a_vote_with_an_error_is_no_vote() {
        let answer = vote_response(Some(ErrorCode::FencedLeaderEpoch), AT, true);
        assert_eq!(read_vote_response(&answer).map(|(_, granted)| granted), Some(false));
    }
}
