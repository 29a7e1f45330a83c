//! A broker is gone for good (KIP-500).

use super::elections::broker_goes;
use super::{Decision, View};
use crate::ids::NodeId;
use crate::metadata::UnregisterBrokerRecord;
use crate::wire::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};
use crate::wire::{ErrorCode, StrBytes};

/// Decides about an UnregisterBroker: the broker leaves every ISR, then its registration goes. Its replicas stay assigned
/// to it. Errors: BROKER_ID_NOT_REGISTERED. Source: `QuorumController.unregisterBroker`, `handleBrokerUnregistered`.
pub(super) fn unregister_broker(view: View<'_>, request: &UnregisterBrokerRequest) -> Decision {
    let id = NodeId(request.broker_id.0);
    let Some(broker) = view.image.broker(id) else {
        let message = StrBytes::from_string(format!("Broker ID {id} is not currently registered"));
        let response = UnregisterBrokerResponse::default()
            .with_error_code(ErrorCode::BrokerIdNotRegistered.code())
            .with_error_message(Some(message));
        return Decision { records: Vec::new(), response: response.into() };
    };
    let mut records = broker_goes(view, id);
    records.push(UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.broker_epoch }.into());
    let response = UnregisterBrokerResponse::default().with_error_message(None);
    Decision { records, response: response.into() }
}
