//! Kafka frames: a 4-byte length, a request or response header, a message.
//!
//! Messages come from the `kafka-protocol` crate (Kafka 4.1 schemas); this module is the only place that knows how they
//! are framed and which of them this node speaks. Record batches are opaque bytes here: see [`crate::log`].
//!
//! | item | job |
//! |---|---|
//! | [`Request`], [`Response`] | one variant per API that exists here |
//! | [`decode_request`], [`encode_response`] | the server's side |
//! | [`encode_request`], [`decode_response`] | the client's side |
//! | `wary.rs` | lengths that lie cost no memory |
//! | [`SUPPORTED`] | API keys and version ranges, as ApiVersions answers them |

mod frame;
mod wary;

pub use frame::{
    RequestHead, WireError, decode_request, decode_response, encode_request, encode_response,
    unsupported_version_response,
};
pub use kafka_protocol::error::ResponseError as ErrorCode;
pub use kafka_protocol::messages;
pub use kafka_protocol::messages::ApiKey;
pub use kafka_protocol::protocol::StrBytes;

use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

/// What an error code field holds when there is no error.
pub const NO_ERROR: i16 = 0;

macro_rules! apis {
    ($($name:ident: $request:ident => $response:ident),+ $(,)?) => {
        /// A decoded request, one variant per API.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request { $(#[doc = concat!("Kafka's `", stringify!($request), "`.")] $name(Box<$request>)),+ }

        /// A decoded response, one variant per API.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Response { $(#[doc = concat!("Kafka's `", stringify!($response), "`.")] $name(Box<$response>)),+ }

        $(
            impl From<$request> for Request { fn from(m: $request) -> Self { Request::$name(Box::new(m)) } }
            impl From<$response> for Response { fn from(m: $response) -> Self { Response::$name(Box::new(m)) } }
        )+

        /// Every API that exists here.
        pub const SUPPORTED: &[ApiKey] = &[$(ApiKey::$name),+];

        /// The versions of an API that `kafka-protocol` decodes, inclusive; `None` if the API does not exist here.
        pub fn versions(api_key: ApiKey) -> Option<(i16, i16)> {
            match api_key {
                $(ApiKey::$name => Some((
                    <$request as Message>::VERSIONS.min.max(<$response as Message>::VERSIONS.min),
                    <$request as Message>::VERSIONS.max.min(<$response as Message>::VERSIONS.max),
                )),)+
                _ => None,
            }
        }

        impl Request {
            /// Which API this is.
            pub fn api_key(&self) -> ApiKey { match self { $(Request::$name(_) => ApiKey::$name),+ } }

            fn decode(api_key: ApiKey, version: i16, body: &mut wary::WaryBytes) -> Option<Result<Request, WireError>> {
                match api_key {
                    $(ApiKey::$name => Some($request::decode(body, version)
                        .map(|m| Request::$name(Box::new(m)))
                        .map_err(|e| WireError::Malformed(e.to_string()))),)+
                    _ => None,
                }
            }

            pub(super) fn encode(&self, version: i16, out: &mut bytes::BytesMut) -> Result<(), WireError> {
                match self { $(Request::$name(m) => m.encode(out, version)),+ }
                    .map_err(|e| WireError::Unencodable(e.to_string()))
            }

            pub(super) fn size(&self, version: i16) -> usize {
                match self { $(Request::$name(m) => m.compute_size(version)),+ }.unwrap_or(0)
            }
        }

        impl Response {
            /// Which API this is.
            pub fn api_key(&self) -> ApiKey { match self { $(Response::$name(_) => ApiKey::$name),+ } }

            fn decode(api_key: ApiKey, version: i16, body: &mut wary::WaryBytes) -> Result<Response, WireError> {
                match api_key {
                    $(ApiKey::$name => $response::decode(body, version)
                        .map(|m| Response::$name(Box::new(m)))
                        .map_err(|e| WireError::Malformed(e.to_string())),)+
                    other => Err(WireError::UnknownApi(other as i16)),
                }
            }

            pub(super) fn encode(&self, version: i16, out: &mut bytes::BytesMut) -> Result<(), WireError> {
                match self { $(Response::$name(m) => m.encode(out, version)),+ }
                    .map_err(|e| WireError::Unencodable(e.to_string()))
            }

            pub(super) fn size(&self, version: i16) -> usize {
                match self { $(Response::$name(m) => m.compute_size(version)),+ }.unwrap_or(0)
            }
        }
    };
}

apis! {
    Produce: ProduceRequest => ProduceResponse,
    Fetch: FetchRequest => FetchResponse,
    ListOffsets: ListOffsetsRequest => ListOffsetsResponse,
    Metadata: MetadataRequest => MetadataResponse,
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse,
    CreateTopics: CreateTopicsRequest => CreateTopicsResponse,
    DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse,
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse,
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse,
    Vote: VoteRequest => VoteResponse,
    BeginQuorumEpoch: BeginQuorumEpochRequest => BeginQuorumEpochResponse,
    EndQuorumEpoch: EndQuorumEpochRequest => EndQuorumEpochResponse,
    ElectLeaders: ElectLeadersRequest => ElectLeadersResponse,
    DescribeQuorum: DescribeQuorumRequest => DescribeQuorumResponse,
    AddRaftVoter: AddRaftVoterRequest => AddRaftVoterResponse,
    RemoveRaftVoter: RemoveRaftVoterRequest => RemoveRaftVoterResponse,
    UpdateRaftVoter: UpdateRaftVoterRequest => UpdateRaftVoterResponse,
    FetchSnapshot: FetchSnapshotRequest => FetchSnapshotResponse,
    AlterPartition: AlterPartitionRequest => AlterPartitionResponse,
    DescribeCluster: DescribeClusterRequest => DescribeClusterResponse,
    AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse,
    ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse,
    DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse,
    CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse,
    UnregisterBroker: UnregisterBrokerRequest => UnregisterBrokerResponse,
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse,
    DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse,
    UpdateFeatures: UpdateFeaturesRequest => UpdateFeaturesResponse,
    BrokerRegistration: BrokerRegistrationRequest => BrokerRegistrationResponse,
    BrokerHeartbeat: BrokerHeartbeatRequest => BrokerHeartbeatResponse,
    AllocateProducerIds: AllocateProducerIdsRequest => AllocateProducerIdsResponse,
}
