//! What can go wrong in a log.

use super::batch::BatchError;
use crate::ids::*;
use crate::io::DiskError;
use crate::wire::ErrorCode;

/// Why a log cannot be opened, read or cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The offset is not in `[start, end]`.
    #[error("offset {offset} is outside of [{start}, {end}]")]
    OutOfRange { offset: Offset, start: Offset, end: Offset },
    /// The directory belongs to another incarnation of the topic (KIP-516).
    #[error("the log in {dir} belongs to topic id {found}")]
    InconsistentTopicId { dir: String, found: TopicId },
    /// `partition.metadata` cannot be understood.
    #[error("unreadable {0}")]
    Metadata(String),
    /// Bytes in the middle of the log are no longer a batch.
    #[error(transparent)]
    Corrupt(#[from] BatchError),
}

impl LogError {
    /// The protocol's word for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            LogError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            LogError::InconsistentTopicId { .. } => ErrorCode::InconsistentTopicId,
            LogError::Disk(_) | LogError::Metadata(_) => ErrorCode::KafkaStorageError,
            LogError::Corrupt(_) => ErrorCode::CorruptMessage,
        }
    }
}

/// Why batches were not appended. Nothing of the call was appended, except where a follower's earlier batches fitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Not a whole, undamaged batch.
    #[error(transparent)]
    Corrupt(#[from] BatchError),
    /// Above `max.message.bytes`.
    #[error("batch of {size} bytes is above max.message.bytes {max}")]
    TooLarge { size: usize, max: i32 },
    /// Above `segment.bytes`: it would fit into no segment.
    #[error("{size} bytes are above segment.bytes {max}")]
    LargerThanSegment { size: usize, max: i32 },
    /// A later incarnation of the producer is known (IDM-2).
    #[error("producer epoch {found} is older than {known}")]
    InvalidProducerEpoch { known: ProducerEpoch, found: ProducerEpoch },
    /// A gap or a repetition in the producer's sequence (IDM-2).
    #[error("sequence {found} instead of {expected}")]
    OutOfOrderSequence { expected: i32, found: i32 },
    /// A follower's batch does not continue its log (LOG-1).
    #[error("offset {found} instead of {expected}")]
    UnexpectedOffset { expected: Offset, found: Offset },
    /// Part of a transaction that nobody began (KIP-890).
    #[error("no transaction is under way")]
    NoTransaction,
    /// No codec has this number.
    #[error("unknown compression codec {0}")]
    UnknownCompression(i16),
    /// Well-formed, but not allowed.
    #[error("invalid record: {0}")]
    InvalidRecord(&'static str),
    /// Too far from the broker's time (KIP-937).
    #[error("timestamp {timestamp} is out of range, which is [{earliest}, {latest}]")]
    InvalidTimestamp { timestamp: i64, earliest: i64, latest: i64 },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl AppendError {
    /// The protocol's word for it: damage is CORRUPT_MESSAGE, a whole batch that says what it may not is INVALID_RECORD.
    /// Source: `ProduceRequest.validateRecords`, `LogValidator.validateBatch`.
    ///
    /// Differs from Kafka: a batch that is cut short is CORRUPT_MESSAGE, too; Kafka does not see it and answers
    /// INVALID_RECORD because there is no batch.
    pub fn code(&self) -> ErrorCode {
        match self {
            AppendError::Corrupt(
                BatchError::Magic(0 | 1) | BatchError::Count { .. } | BatchError::BaseOffset(_),
            ) => ErrorCode::InvalidRecord,
            AppendError::NoTransaction => ErrorCode::InvalidTxnState,
            AppendError::UnknownCompression(_) => ErrorCode::UnsupportedCompressionType,
            AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
            AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::UnexpectedOffset { .. } => ErrorCode::UnknownServerError,
            AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
            AppendError::InvalidRecord(_) => ErrorCode::InvalidRecord,
            AppendError::Disk(_) => ErrorCode::KafkaStorageError,
        }
    }
}
