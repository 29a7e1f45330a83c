//! Answers that wait until what they tell is committed.

use std::collections::BTreeMap;

use crate::ids::Offset;
use crate::rpc::{Outbox, ReplyTo};
use crate::wire::Response;

#[derive(Debug)]
struct Waiting {
    to: ReplyTo,
    response: Response,
    refusal: Response,
}

/// Answers by the offset for which they wait (`DeferredEventQueue`). Given in order of offset, then of asking.
#[derive(Debug)]
pub(super) struct Deferred {
    committed: Offset,
    waiting: BTreeMap<Offset, Vec<Waiting>>,
}

impl Deferred {
    /// Nobody waits; everything up to `committed` (inclusive) is committed.
    pub(super) fn new(committed: Offset) -> Self {
        Deferred { committed, waiting: BTreeMap::new() }
    }

    /// The last offset (inclusive) that is known to be committed.
    pub(super) fn committed(&self) -> Offset {
        self.committed
    }

    /// Gives `response` as soon as `offset` is committed, or `refusal` if that will not be known here.
    pub(super) fn answer_at(
        &mut self,
        offset: Offset,
        to: ReplyTo,
        response: Response,
        refusal: Response,
        out: &mut Outbox,
    ) {
        if offset <= self.committed {
            out.reply(to, response);
        } else {
            self.waiting.entry(offset).or_default().push(Waiting { to, response, refusal });
        }
    }

    /// Everything up to `offset` (inclusive) is committed.
    pub(super) fn committed_to(&mut self, offset: Offset, out: &mut Outbox) {
        self.committed = self.committed.max(offset);
        let later = self.waiting.split_off(&(self.committed + 1));
        for waiting in std::mem::replace(&mut self.waiting, later).into_values().flatten() {
            out.reply(waiting.to, waiting.response);
        }
    }

    /// Tells everyone who still waits that this is not the place to ask.
    pub(super) fn refuse_all(self, out: &mut Outbox) {
        for waiting in self.waiting.into_values().flatten() {
            out.reply(waiting.to, waiting.refusal);
        }
    }
}
