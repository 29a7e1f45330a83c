//! What clients were told (Jepsen's view). The same events could come from a real cluster.
//!
//! A *value* is the identity of one record: unique in a run, carried in the record's first eight bytes. Values of one
//! producer rise in the order in which it handed them over.
//!
//! | type | says |
//! |---|---|
//! | [`HistoryEvent::Sent`] | invoke: a record was handed to the producer |
//! | [`HistoryEvent::Acked`] | ok: it certainly happened |
//! | [`HistoryEvent::Failed`] | fail (certainly not) or info (unknown) |
//! | [`HistoryEvent::Polled`] | ok: these records were delivered to the application |
//! | [`HistoryEvent::Positioned`] | the consumer's position changed other than by reading on |
//! | [`HistoryEvent::EndOffset`] | ok: the client asked where the partition ends |
//! | [`HistoryEvent::TopicReplaced`] | what the client is told from here on is about another topic of the same name |
//! | [`HistoryEvent::Operated`] | a task of the operator is over |

use broker::ids::{Offset, TopicId, TopicPartition};

/// The identity of one record: producer number in the upper 24 bits, its own counter in the lower 40. The producer number
/// is the load's number in the plan times [`Value::INCARNATIONS`] plus its incarnation: a producer that is killed and
/// started again is another producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u64);

impl Value {
    const COUNTER_BITS: u32 = 40;

    /// Incarnations of one load that have producer numbers of their own.
    pub const INCARNATIONS: u32 = 64;

    /// The producer number of one incarnation of the load with this number in the plan; `None` if it does not fit.
    pub fn producer_number(load: u32, incarnation: u32) -> Option<u32> {
        let number = load.checked_mul(Self::INCARNATIONS)?.checked_add(incarnation)?;
        (incarnation < Self::INCARNATIONS && number < 1 << (64 - Self::COUNTER_BITS)).then_some(number)
    }

    /// The number in the plan of the load that sent it, whatever the incarnation.
    pub fn load(self) -> u32 {
        self.producer() / Self::INCARNATIONS
    }

    /// The `n`-th record of producer number `producer`.
    pub fn new(producer: u32, n: u64) -> Value {
        Value((u64::from(producer) << Self::COUNTER_BITS) | n)
    }

    /// The producer's number: another one for each incarnation.
    pub fn producer(self) -> u32 {
        (self.0 >> Self::COUNTER_BITS) as u32
    }

    /// Which record of that producer.
    pub fn n(self) -> u64 {
        self.0 & ((1 << Self::COUNTER_BITS) - 1)
    }
}

/// What an acknowledgement promised (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Acks {
    /// Nothing was promised.
    None,
    /// The leader had it.
    Leader,
    /// The ISR had it.
    All,
}

/// Why a consumer's position changed other than by reading on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PositionReason {
    /// First position after start.
    Start,
    /// `auto.offset.reset` after OFFSET_OUT_OF_RANGE.
    Reset,
    /// The log was truncated below the position (KIP-320).
    TruncationDetected,
}

/// One event of the history. The client is known from the event's host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HistoryEvent {
    /// A record was handed to the producer, which chose its partition.
    Sent { partition: TopicPartition, value: Value },
    /// A batch was acknowledged; `base_offset` is unknown (`None`) for acks=0. Record i has offset base + i.
    Acked {
        partition: TopicPartition,
        acks: Acks,
        is_idempotent: bool,
        base_offset: Option<Offset>,
        values: Vec<Value>,
    },
    /// A batch was given up. `is_definite`: it certainly never reached a log; otherwise nobody knows.
    Failed { partition: TopicPartition, is_definite: bool, error: String, values: Vec<Value> },
    /// Records were delivered to the application, in this order.
    Polled { partition: TopicPartition, records: Vec<(Offset, Value)> },
    /// The consumer goes on reading at `offset`.
    Positioned { partition: TopicPartition, offset: Offset, reason: PositionReason },
    /// The consumer has read up to the end of the partition as the leader told it (its high watermark).
    CaughtUp { partition: TopicPartition, offset: Offset },
    /// The client asked where the partition ends (ListOffsets, latest) and was told.
    EndOffset { partition: TopicPartition, offset: Offset },
    /// The topic that the client knew by this name was deleted and there is another one (KIP-516): what the client is told
    /// from here on is about that.
    TopicReplaced { topic: String, topic_id: TopicId },
    /// The operator's work for the `n`-th strike of this fault is done, or was refused with this Kafka error.
    Operated { fault: String, n: u32, refused: Option<String> },
}
