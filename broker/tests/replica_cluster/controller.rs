//! The controller of the small cluster: decides at once, and is heard of late (CTL-2..6).

use broker::ids::NodeId;
use broker::metadata::{BrokerRegistration, PartitionRegistration};
use broker::wire::ErrorCode;
use broker::wire::messages::*;

use super::{Change, Model, TOPIC, apply_change};

impl Model {
    pub fn commit(&mut self, change: Change) {
        apply_change(&mut self.image, &change);
        self.changes.push(change);
        self.must_check = true;
    }

    pub fn registration(&self) -> Option<PartitionRegistration> {
        self.image.partition(&TOPIC, 0).cloned()
    }

    /// Commits an ISR, and a leader from it if the present one cannot go on.
    pub fn commit_partition(&mut self, mut registration: PartitionRegistration, must_elect: bool) {
        let is_fit = |id: &NodeId, registration: &PartitionRegistration| {
            registration.isr.contains(id) && self.image.is_active(*id)
        };
        let leader = registration.leader.filter(|id| !must_elect && is_fit(id, &registration));
        let elected =
            leader.or_else(|| registration.replicas.iter().copied().find(|id| is_fit(id, &registration)));
        if elected != registration.leader || must_elect {
            registration.leader = elected;
            registration.leader_epoch += 1;
        }
        registration.partition_epoch += 1;
        self.commit(Change::Partition(registration));
    }

    pub fn fence(&mut self, id: NodeId) {
        let Some(broker) = self.image.broker(id).filter(|broker| !broker.fenced) else { return };
        self.commit(Change::Broker(BrokerRegistration { fenced: true, ..broker.clone() }));
        self.leave(id);
    }

    pub fn leave(&mut self, id: NodeId) {
        let Some(mut registration) = self.registration() else { return };
        if registration.isr.len() > 1 {
            registration.isr.retain(|member| *member != id);
        }
        self.commit_partition(registration, false);
    }

    pub fn unfence(&mut self, id: NodeId) {
        let Some(broker) = self.image.broker(id).filter(|broker| broker.fenced) else { return };
        self.commit(Change::Broker(BrokerRegistration { fenced: false, ..broker.clone() }));
        if let Some(registration) = self.registration().filter(|state| state.leader.is_none()) {
            self.commit_partition(registration, false);
        }
    }

    pub fn alter_partition(&mut self, request: &AlterPartitionRequest) -> AlterPartitionResponse {
        let (sender, asked) = (NodeId(request.broker_id.0), &request.topics[0].partitions[0]);
        let current = self.registration().expect("the partition exists");
        let isr: Vec<NodeId> =
            asked.new_isr_with_epochs.iter().map(|member| NodeId(member.broker_id.0)).collect();
        let is_eligible = |member: &alter_partition_request::BrokerState| {
            let broker = self.image.broker(NodeId(member.broker_id.0));
            broker.is_some_and(|broker| {
                broker.is_active()
                    && (member.broker_epoch == -1 || member.broker_epoch == broker.broker_epoch)
            })
        };
        let error = if self.image.broker(sender).is_none_or(|b| b.broker_epoch != request.broker_epoch) {
            return AlterPartitionResponse::default().with_error_code(ErrorCode::StaleBrokerEpoch.code());
        } else if asked.leader_epoch < current.leader_epoch {
            Some(ErrorCode::FencedLeaderEpoch)
        } else if current.leader != Some(sender) || !isr.contains(&sender) {
            Some(ErrorCode::InvalidRequest)
        } else if asked.partition_epoch < current.partition_epoch {
            Some(ErrorCode::InvalidUpdateVersion)
        } else if !asked.new_isr_with_epochs.iter().all(is_eligible) {
            Some(ErrorCode::IneligibleReplica)
        } else {
            None
        };
        if error.is_none() {
            self.commit_partition(PartitionRegistration { isr, ..current }, false);
        }
        let now = self.registration().expect("the partition exists");
        let data = alter_partition_response::PartitionData::default()
            .with_error_code(error.map_or(0, |error| error.code()))
            .with_leader_epoch(now.leader_epoch)
            .with_partition_epoch(now.partition_epoch)
            .with_isr(now.isr.iter().map(|id| id.0.into()).collect());
        let topic =
            alter_partition_response::TopicData::default().with_topic_id(TOPIC).with_partitions(vec![data]);
        AlterPartitionResponse::default().with_topics(vec![topic])
    }
}
