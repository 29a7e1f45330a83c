//! Messages that do not arrive when they should: held back, cut off with their connection, or swallowed.
//!
//! A frame is looked at when it would arrive, so that what is under way when a fault strikes is caught too. Each rule
//! counts a frame once: a frame that waited and comes again is new only to younger rules.

use std::collections::{BTreeMap, VecDeque};

use super::connection::Segment;
use super::sim_net::{Around, SimNet};
use crate::plan::HostId;
use crate::trace::{Fact, WorldFact};
use crate::world::control::{CutId, Fate, Intercept, TrafficClass};

/// Requests of one connection that are not answered yet, oldest first: a response does not say what it answers.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    asked: VecDeque<(i32, i16)>,
}

/// More requests than that wait for no answer (`acks=0` has none): the oldest are forgotten.
const UNANSWERED_MAX: usize = 1_024;

fn be_i16(frame: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?))
}

fn be_i32(frame: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?))
}

/// API key and correlation id of a request: they stand behind the length, whatever the header's version.
fn request_head(frame: &[u8]) -> Option<(i16, i32)> {
    Some((be_i16(frame, 4)?, be_i32(frame, 8)?))
}

impl Unanswered {
    /// The opener sends a request.
    pub(super) fn ask(&mut self, frame: &[u8]) {
        let Some((api_key, correlation_id)) = request_head(frame) else { return };
        if self.asked.len() == UNANSWERED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((correlation_id, api_key));
    }

    /// What a response answers.
    fn api_of(&self, frame: &[u8]) -> Option<i16> {
        let id = be_i32(frame, 4)?;
        self.asked.iter().find(|(asked, _)| *asked == id).map(|(_, api_key)| *api_key)
    }

    /// A response has arrived. Kafka answers in order: what was asked before has no answer any more.
    pub(super) fn answered(&mut self, frame: &[u8]) {
        let Some(id) = be_i32(frame, 4) else { return };
        if let Some(place) = self.asked.iter().position(|(asked, _)| *asked == id) {
            self.asked.drain(..=place);
        }
    }
}

#[derive(Debug)]
struct Rule {
    what: Intercept,
    /// Matches so far.
    seen: u32,
}

impl Rule {
    /// Takes the message for itself, or lets it pass.
    fn catches(&mut self, message: &Passing) -> bool {
        let is_one = |list: &Option<Vec<HostId>>, host| list.as_ref().is_none_or(|list| list.contains(&host));
        let is_match = self.what.api_key == message.api_key
            && self.what.is_response == message.is_response
            && self.what.class.is_none_or(|class| class == message.class)
            && is_one(&self.what.from, message.from)
            && is_one(&self.what.to, message.to);
        if !is_match {
            return false;
        }
        self.seen = self.seen.saturating_add(1);
        self.what.nth.is_none_or(|nth| nth == self.seen)
    }
}

/// One message that is about to arrive.
struct Passing {
    from: HostId,
    to: HostId,
    class: TrafficClass,
    api_key: i16,
    is_response: bool,
}

/// Every rule that is in force.
#[derive(Debug, Default)]
pub(super) struct Intercepts {
    rules: BTreeMap<CutId, Rule>,
}

/// What the rules say about a frame.
enum Ruling {
    Pass,
    Hold(Vec<CutId>),
    Reset,
    Swallow,
}

impl SimNet {
    /// From now on messages are intercepted.
    pub(crate) fn intercept(&mut self, what: Intercept) -> CutId {
        let id = self.links.next_id();
        self.intercepts.rules.insert(id, Rule { what, seen: 0 });
        id
    }

    /// Takes a rule back; what it held arrives now. `false` if there is no such rule.
    pub(crate) fn heal_intercept(&mut self, around: &mut Around<'_>, id: CutId) -> bool {
        if self.intercepts.rules.remove(&id).is_none() {
            return false;
        }
        for slot in 0..self.connections.len() as u32 {
            for from in 0..2 {
                let flow = &mut self.connections[slot as usize].flows[from];
                let was_held = !flow.held_by.is_empty();
                flow.held_by.retain(|holder| *holder != id);
                if was_held && flow.held_by.is_empty() {
                    self.let_go(around, slot, from);
                }
            }
        }
        true
    }

    /// What waited goes on its way. A sender that is gone repeats nothing that gets lost.
    fn let_go(&mut self, around: &mut Around<'_>, slot: u32, from: usize) {
        let flow = &mut self.connections[slot as usize].flows[from];
        flow.held_len = 0;
        if !flow.is_abandoned {
            return self.transmit(around, slot, from);
        }
        let (source, target, class) = self.connections[slot as usize].route(from);
        for _ in 0..self.connections[slot as usize].flows[from].fifo.len() {
            match self.links.transmit(source, target, class) {
                Some(latency) => self.launch(around, slot, from, latency),
                None => {
                    let flow = &mut self.connections[slot as usize].flows[from];
                    flow.fifo.truncate(flow.in_flight);
                    return;
                }
            }
        }
    }

    /// The oldest frame in flight is about to arrive. `true`: it does not.
    pub(super) fn is_intercepted(&mut self, around: &mut Around<'_>, slot: u32, from: usize) -> bool {
        if self.intercepts.rules.is_empty() {
            return false;
        }
        match self.rule(around, slot, from) {
            Ruling::Pass => return false,
            Ruling::Hold(holders) => {
                let flow = &mut self.connections[slot as usize].flows[from];
                flow.held_by = holders;
                flow.held_len = flow.in_flight;
                // What follows waits behind it; the sender's kernel does not take that for a loss.
                flow.window += 1;
                flow.in_flight = 0;
            }
            Ruling::Reset => self.reset_both(around, slot, 1 - from),
            Ruling::Swallow => {
                let flow = &mut self.connections[slot as usize].flows[from];
                flow.fifo.pop_front();
                flow.in_flight -= 1;
            }
        }
        true
    }

    fn rule(&mut self, around: &mut Around<'_>, slot: u32, from: usize) -> Ruling {
        let connection = &mut self.connections[slot as usize];
        let (source, target, class) = connection.route(from);
        let is_response = from == 1;
        let Some(Segment::Frame { frame, ruled }) = connection.flows[from].fifo.front_mut() else {
            return Ruling::Pass;
        };
        let api_key = match is_response {
            true => connection.unanswered.api_of(frame),
            false => request_head(frame).map(|(api_key, _)| api_key),
        };
        let Some(api_key) = api_key else { return Ruling::Pass };
        let (from, to) = (HostId(source), HostId(target));
        let message = Passing { from, to, class, api_key, is_response };
        let mut holders = Vec::new();
        for (id, rule) in self.intercepts.rules.range_mut(CutId(*ruled + 1)..) {
            if !rule.catches(&message) {
                continue;
            }
            let (fault, message) = (rule.what.fault.to_string(), rule.what.message.to_string());
            let fact = match rule.what.fate {
                Fate::Held => WorldFact::MessageHeld { fault, message, from, to },
                Fate::Reset | Fate::Swallowed => WorldFact::MessageDropped { fault, message, from, to },
            };
            around.facts.push((Some(to), Fact::World(fact)));
            match rule.what.fate {
                Fate::Held => holders.push(*id),
                Fate::Reset => return Ruling::Reset,
                Fate::Swallowed => return Ruling::Swallow,
            }
        }
        *ruled = self.links.last_id();
        if holders.is_empty() { Ruling::Pass } else { Ruling::Hold(holders) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(api_key: i16, correlation_id: i32) -> Vec<u8> {
        let mut frame = vec![0, 0, 0, 8];
        frame.extend(api_key.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(correlation_id.to_be_bytes());
        frame
    }

    fn response(correlation_id: i32) -> Vec<u8> {
        let mut frame = vec![0, 0, 0, 4];
        frame.extend(correlation_id.to_be_bytes());
        frame
    }

    #[test]
    fn a_response_is_known_by_what_was_asked() {
        let mut unanswered = Unanswered::default();
        for (key, id) in [(0, 1), (1, 2), (63, 3)] {
            unanswered.ask(&request(key, id));
        }
        assert_eq!(unanswered.api_of(&response(2)), Some(1));
        unanswered.answered(&response(2));
        assert_eq!(unanswered.api_of(&response(1)), None, "acks=0 was never answered");
        assert_eq!(unanswered.api_of(&response(3)), Some(63));
        assert_eq!(unanswered.api_of(&[1, 2]), None, "no frame of Kafka's");
    }

    #[test]
    fn requests_without_answers_do_not_pile_up() {
        let mut unanswered = Unanswered::default();
        (0..5_000).for_each(|id| unanswered.ask(&request(0, id)));
        assert_eq!(unanswered.asked.len(), UNANSWERED_MAX);
        assert_eq!(unanswered.api_of(&response(4_999)), Some(0));
    }
}
