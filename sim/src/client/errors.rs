//! What error codes mean to a client.

use broker::wire::ErrorCode;

/// Does this error say that the client's view of the cluster is old (`InvalidMetadataException`)?
pub fn means_stale_metadata(error: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(
        error,
        UnknownTopicOrPartition
            | LeaderNotAvailable
            | NotLeaderOrFollower
            | ReplicaNotAvailable
            | KafkaStorageError
            | FencedLeaderEpoch
            | ListenerNotFound
            | UnknownTopicId
            | InconsistentTopicId
            | NetworkException
    )
}

/// Was a produce request that was refused so refused before anything was appended, for certain?
///
/// NOT_LEADER_OR_FOLLOWER is not among them: a leader that is deposed while acks=all waits answers so after the append
/// (KAFKA-13574). Source: semantics REP-10, IDM-2; ours for the list.
pub fn refused_before_append(error: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(
        error,
        CorruptMessage
            | MessageTooLarge
            | RecordListTooLarge
            | InvalidRecord
            | InvalidTimestamp
            | InvalidRequiredAcks
            | InvalidTopicException
            | NotEnoughReplicas
            | OutOfOrderSequenceNumber
            | InvalidProducerEpoch
            | UnknownProducerId
            | UnsupportedForMessageFormat
            | UnsupportedVersion
            | TopicAuthorizationFailed
            | ClusterAuthorizationFailed
    )
}
