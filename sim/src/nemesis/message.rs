//! Faults that pick messages out of the traffic: hold, drop, metadata lag, fence.

use broker::wire::ApiKey;
use scenarios::model::{MessageFilter, Target, Verb};

use super::held::Undo;
use super::strike::{Strike, Struck};
use crate::plan::HostId;
use crate::world::{Fate, Intercept, TrafficClass};

/// Messages of a kind wait until the fault is over.
pub(super) fn hold(strike: &mut Strike<'_>) -> Struck {
    let Verb::Hold { what, .. } = strike.verb else { return Struck::NoEffect };
    catch(strike, what, Fate::Held, "held")
}

/// The connection is reset instead of delivering a message of a kind.
pub(super) fn drop(strike: &mut Strike<'_>) -> Struck {
    let Verb::Drop { what, .. } = strike.verb else { return Struck::NoEffect };
    catch(strike, what, Fate::Reset, "cut off")
}

fn catch(strike: &mut Strike<'_>, what: &MessageFilter, fate: Fate, word: &str) -> Struck {
    let mut resolve = |target: &Option<Target>| target.as_ref().map(|target| strike.resolve(target));
    let (from, to) = (resolve(&what.from), resolve(&what.to));
    if from.as_ref().is_some_and(Vec::is_empty) || to.as_ref().is_some_and(Vec::is_empty) {
        return Struck::NoTarget;
    }
    let names =
        |hosts: &Option<Vec<HostId>>| hosts.as_ref().map_or("anybody".to_owned(), |h| strike.names(h));
    let which = what.nth.map_or(String::new(), |nth| format!(" no. {nth}"));
    let words = format!("{}{which} {word}: {} -> {}", what.message, names(&from), names(&to));
    let targets = from.clone().or_else(|| to.clone()).unwrap_or_default();
    let rule = Intercept {
        fault: strike.fault.to_owned(),
        message: what.message.to_string(),
        api_key: what.message.key,
        is_response: what.message.is_response,
        from,
        to,
        class: None,
        nth: what.nth,
        fate,
    };
    let undo = vec![Undo::Heal(strike.control.intercept(rule))];
    Struck::Did { targets, what: words, undo, isolated: Vec::new() }
}

/// Answers of controllers to metadata fetches of these brokers are held. A random strike counts its victims as isolated:
/// they take no part in what happens meanwhile.
pub(super) fn metadata_lag(strike: &mut Strike<'_>) -> Struck {
    let Verb::MetadataLag { target, .. } = strike.verb else { return Struck::NoEffect };
    let from = Some(strike.plan.controllers());
    let rule = |to| Intercept {
        fault: strike.fault.to_owned(),
        message: "Fetch response".to_owned(),
        api_key: ApiKey::Fetch as i16,
        is_response: true,
        from,
        to: Some(to),
        class: Some(TrafficClass::Controller),
        nth: None,
        fate: Fate::Held,
    };
    catch_of_brokers(strike, target, "metadata held back from", rule)
}

/// Heartbeats of these brokers never arrive. Their connections live: nothing else is slowed down.
pub(super) fn fence(strike: &mut Strike<'_>) -> Struck {
    let Verb::Fence { target, .. } = strike.verb else { return Struck::NoEffect };
    let rule = |from| Intercept {
        fault: strike.fault.to_owned(),
        message: "BrokerHeartbeat request".to_owned(),
        api_key: ApiKey::BrokerHeartbeat as i16,
        is_response: false,
        from: Some(from),
        to: None,
        class: None,
        nth: None,
        fate: Fate::Swallowed,
    };
    catch_of_brokers(strike, target, "heartbeats swallowed of", rule)
}

fn catch_of_brokers(
    strike: &mut Strike<'_>,
    target: &Target,
    word: &str,
    rule: impl FnOnce(Vec<HostId>) -> Intercept,
) -> Struck {
    let brokers = strike.plan.brokers();
    let mut victims = strike.resolve(target);
    victims.retain(|host| brokers.contains(host));
    if victims.is_empty() {
        return Struck::NoTarget;
    }
    if !strike.is_allowed(&victims) {
        return Struck::Skipped;
    }
    let undo = vec![Undo::Heal(strike.control.intercept(rule(victims.clone())))];
    let what = format!("{word} {}", strike.names(&victims));
    Struck::Did { targets: victims.clone(), what, undo, isolated: victims }
}
