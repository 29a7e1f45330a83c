//! What is to be explained.

use broker::ids::{Offset, TopicPartition};
use broker::time::Instant;

use super::super::findings::{PermittedLoss, Violation};
use crate::plan::HostId;

/// A finding whose story is wanted.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The check that found it: decides which kinds of events belong to the story.
    pub check: &'a str,
    /// The partition concerned.
    pub partition: Option<&'a TopicPartition>,
    /// First and last offset concerned.
    pub offsets: Option<(Offset, Offset)>,
    /// The event at which it was seen: the last one of the story.
    pub event: u64,
    /// World time of that event.
    pub at: Instant,
    /// Where it was seen.
    pub host: Option<HostId>,
    /// The finding in one sentence: what the last step says.
    pub summary: &'a str,
}

impl<'a> Question<'a> {
    /// Why is this violated?
    pub fn of_violation(check: &'a str, violation: &'a Violation) -> Question<'a> {
        Question {
            check,
            partition: violation.partition.as_ref(),
            offsets: violation.offsets,
            event: violation.event,
            at: violation.at,
            host: violation.host,
            summary: &violation.summary,
        }
    }

    /// Who is responsible for this loss?
    pub fn of_loss(check: &'a str, loss: &'a PermittedLoss) -> Question<'a> {
        Question {
            check,
            partition: Some(&loss.partition),
            offsets: Some(loss.offsets),
            event: loss.event,
            at: loss.at,
            host: None,
            summary: &loss.reason,
        }
    }
}
