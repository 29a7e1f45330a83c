//! The levels of the cluster's features (KIP-584, KIP-778, KIP-1022).

use std::collections::{BTreeMap, BTreeSet};

use super::Decision;
use super::placement::Refusal;
use crate::metadata::{
    FEATURES, Feature, FeatureLevelRecord, METADATA_VERSION, MetadataImage, MetadataRecord, find_feature,
};
use crate::wire::messages::update_features_request::FeatureUpdateKey;
use crate::wire::messages::update_features_response::UpdatableFeatureResult;
use crate::wire::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use crate::wire::{ErrorCode, NO_ERROR, StrBytes};

/// Before this version an update says `allow_downgrade`, from it on `upgrade_type`.
const UPGRADE_TYPE_VERSION: i16 = 1;
/// From this version on the answer has no result per feature.
const ONE_RESULT_VERSION: i16 = 2;

/// What an update may do (`FeatureUpdate.UpgradeType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UpgradeType {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
}

impl UpgradeType {
    fn of(update: &FeatureUpdateKey, version: i16) -> Option<Self> {
        match (version < UPGRADE_TYPE_VERSION, update.allow_downgrade, update.upgrade_type) {
            (true, true, _) | (false, _, 2) => Some(UpgradeType::SafeDowngrade),
            (true, false, _) | (false, _, 1) => Some(UpgradeType::Upgrade),
            (false, _, 3) => Some(UpgradeType::UnsafeDowngrade),
            _ => None,
        }
    }
}

/// The levels with which a cluster begins, written by its first active controller: Kafka's own unless `asked` says
/// otherwise; features that are off are not mentioned. Names and levels that nobody supports are passed over.
pub(super) fn initial_levels(asked: &BTreeMap<String, i16>) -> Vec<MetadataRecord> {
    let level_of = |feature: &Feature| {
        let supported = |level: &i16| feature.supports(*level);
        asked.get(feature.name).copied().filter(supported).unwrap_or(feature.initial)
    };
    FEATURES
        .iter()
        .map(|feature| FeatureLevelRecord { name: feature.name.into(), level: level_of(feature) })
        .filter(|record| record.level > 0)
        .map(MetadataRecord::from)
        .collect()
}

/// Decides about an UpdateFeatures of the given version: all or nothing. Errors: INVALID_UPDATE_VERSION,
/// INVALID_REQUEST. Source: KIP-584, `FeatureControlManager.updateFeatures`.
///
/// Differs from Kafka: `metadata.version` is never lowered (Kafka does so if no metadata are lost by it), and a raised
/// `eligible.leader.replicas.version` does not rewrite `min.insync.replicas`.
pub(super) fn update_features(
    image: &MetadataImage,
    version: i16,
    request: &UpdateFeaturesRequest,
) -> Decision {
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for update in &request.feature_updates {
        let record = if seen.insert(update.feature.as_str()) {
            check_update(image, version, update)
        } else {
            Err(Refusal::new(ErrorCode::InvalidRequest, "The feature is named more than once."))
        };
        match record {
            Ok(record) => records.extend(record.map(MetadataRecord::from)),
            Err(refusal) => return refused(version, request, &refusal),
        }
    }
    if request.validate_only {
        records.clear();
    }
    let response = UpdateFeaturesResponse::default()
        .with_error_message(None)
        .with_results(results(version, request, NO_ERROR, None));
    Decision { records, response: response.into() }
}

fn refused(version: i16, request: &UpdateFeaturesRequest, refusal: &Refusal) -> Decision {
    let message = format!(
        "The update failed for all features since the following feature had an error: {}",
        refusal.message
    );
    let message = Some(StrBytes::from_string(message));
    let code = refusal.code.code();
    let response = UpdateFeaturesResponse::default()
        .with_error_code(code)
        .with_results(results(version, request, code, message.clone()))
        .with_error_message(message);
    Decision { records: Vec::new(), response: response.into() }
}

fn results(
    version: i16,
    request: &UpdateFeaturesRequest,
    code: i16,
    message: Option<StrBytes>,
) -> Vec<UpdatableFeatureResult> {
    if version >= ONE_RESULT_VERSION {
        return Vec::new();
    }
    let result = |update: &FeatureUpdateKey| {
        UpdatableFeatureResult::default()
            .with_feature(update.feature.clone())
            .with_error_code(code)
            .with_error_message(message.clone())
    };
    request.feature_updates.iter().map(result).collect()
}

/// The record that brings the new level about, `None` if it is the present one.
fn check_update(
    image: &MetadataImage,
    version: i16,
    update: &FeatureUpdateKey,
) -> Result<Option<FeatureLevelRecord>, Refusal> {
    let (name, wanted) = (update.feature.as_str(), update.max_version_level);
    let invalid = |why: &str| {
        let message = format!("Invalid update version {wanted} for feature {name}. {why}");
        Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message))
    };
    let Some(kind) = UpgradeType::of(update, version) else {
        return invalid("The controller does not support the given upgrade type.");
    };
    let Some(feature) = find_feature(name) else { return invalid("Unsupported feature.") };
    if !feature.supports(wanted) {
        let levels = feature.supported;
        return invalid(&format!("The controller only supports versions {}-{}.", levels.min, levels.max));
    }
    let unable = image.brokers.values().find(|broker| {
        let levels = broker.features.get(name).map_or((0, 0), |levels| (levels.min, levels.max));
        wanted != 0 && !(levels.0..=levels.1).contains(&wanted)
    });
    if let Some(broker) = unable {
        return invalid(&format!("Broker {} does not support this version.", broker.id));
    }
    let present = image.features.get(name).copied().unwrap_or(0);
    match (wanted.cmp(&present), kind) {
        (std::cmp::Ordering::Less, UpgradeType::Upgrade) => invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade.",
        ),
        (std::cmp::Ordering::Greater, UpgradeType::SafeDowngrade | UpgradeType::UnsafeDowngrade) => {
            invalid("Can't downgrade to a newer version.")
        }
        (std::cmp::Ordering::Less, _) if name == METADATA_VERSION => invalid(
            "Refusing to perform the requested downgrade because it might delete metadata information.",
        ),
        (std::cmp::Ordering::Equal, _) => Ok(None),
        _ => Ok(Some(FeatureLevelRecord { name: name.into(), level: wanted })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(records: Vec<MetadataRecord>) -> Vec<(String, i16)> {
        let level = |record| match record {
            MetadataRecord::FeatureLevel(r) => (r.name, r.level),
            other => panic!("{other:?}"),
        };
        records.into_iter().map(level).collect()
    }

    #[test]
    fn a_cluster_begins_with_kafkas_levels_or_with_those_asked_for() {
        let own = |name: &str, level| (name.to_string(), level);
        let kafkas = levels(initial_levels(&BTreeMap::new()));
        assert_eq!(kafkas[0], own("metadata.version", 27));
        assert!(kafkas.contains(&own("eligible.leader.replicas.version", 1)));
        let asked = [own("eligible.leader.replicas.version", 0), own("group.version", 99), own("what", 1)];
        let ours = levels(initial_levels(&asked.into()));
        assert_eq!(
            ours,
            [own("metadata.version", 27), own("transaction.version", 2), own("group.version", 1)]
        );
    }
}
