//! Encoding and decoding of whole frames.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::wary::{Layout, WaryBytes};
use super::{ErrorCode, Request, Response, versions};

/// Requests with this header version keep their lengths in varints, and so do their answers (KIP-482).
const FLEXIBLE_HEADER: i16 = 2;

/// Why bytes are not a frame of ours. The connection that carried them is closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length prefix does not match the bytes.
    #[error("frame length {announced} does not match its {actual} bytes")]
    Length { announced: i64, actual: usize },
    /// The API key is unknown or not offered.
    #[error("unknown API key {0}")]
    UnknownApi(i16),
    /// The version is out of the offered range (KIP-35).
    #[error("unsupported version {version} of {api_key:?}")]
    UnsupportedVersion { api_key: ApiKey, version: i16, correlation_id: i32 },
    /// Header or body could not be read.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// A message holds a field that its version cannot carry.
    #[error("message cannot be written in this version: {0}")]
    Unencodable(String),
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestHead {
    /// The API asked for.
    pub api_key: ApiKey,
    /// Its version.
    pub api_version: i16,
    /// Chosen by the client, returned with the answer.
    pub correlation_id: i32,
    /// `client.id`.
    pub client_id: Option<StrBytes>,
}

fn strip_length(mut frame: Bytes) -> Result<Bytes, WireError> {
    let actual = frame.len();
    if actual < 4 {
        return Err(WireError::Length { announced: -1, actual });
    }
    let announced = i64::from(frame.get_i32());
    if announced != frame.len() as i64 {
        return Err(WireError::Length { announced, actual: frame.len() });
    }
    Ok(frame)
}

/// Decodes a message without trusting its lengths. Returns how many bytes were left over, too.
fn decode_body<M>(
    api_key: ApiKey,
    version: i16,
    body: Bytes,
    decode: impl Fn(&mut WaryBytes) -> Result<M, WireError>,
) -> Result<(M, usize), WireError> {
    let layout = if api_key.request_header_version(version) >= FLEXIBLE_HEADER {
        Layout::Flexible
    } else {
        decode(&mut WaryBytes::new(body.clone(), Layout::PlainTrial))?;
        Layout::PlainTried
    };
    let mut body = WaryBytes::new(body, layout);
    let message = decode(&mut body)?;
    Ok((message, body.remaining()))
}

/// Reads a request frame. Records and strings of the result are slices of `frame`. Errors: see [`WireError`].
pub fn decode_request(frame: Bytes) -> Result<(RequestHead, Request), WireError> {
    let mut body = strip_length(frame)?;
    if body.len() < 8 {
        return Err(WireError::Malformed("request header cut short".into()));
    }
    let key = i16::from_be_bytes([body[0], body[1]]);
    let version = i16::from_be_bytes([body[2], body[3]]);
    let correlation_id = i32::from_be_bytes([body[4], body[5], body[6], body[7]]);
    let api_key = ApiKey::try_from(key).map_err(|_| WireError::UnknownApi(key))?;
    let (min, max) = versions(api_key).ok_or(WireError::UnknownApi(key))?;
    if version < min || version > max {
        return Err(WireError::UnsupportedVersion { api_key, version, correlation_id });
    }
    let header = RequestHeader::decode(&mut body, api_key.request_header_version(version))
        .map_err(|e| WireError::Malformed(e.to_string()))?;
    let (request, rest) = decode_body(api_key, version, body, |body| {
        Request::decode(api_key, version, body).ok_or(WireError::UnknownApi(key))?
    })?;
    if rest > 0 {
        return Err(WireError::Malformed(format!("{rest} bytes too many")));
    }
    let head = RequestHead { api_key, api_version: version, correlation_id, client_id: header.client_id };
    Ok((head, request))
}

/// Writes a request frame. Errors: `Unencodable` if a field does not exist in `version`.
pub fn encode_request(
    request: &Request,
    version: i16,
    correlation_id: i32,
    client_id: &StrBytes,
) -> Result<Bytes, WireError> {
    let api_key = request.api_key();
    let header = RequestHeader::default()
        .with_request_api_key(api_key as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(client_id.clone()));
    let mut out = BytesMut::with_capacity(request.size(version) + 64);
    out.put_i32(0);
    header
        .encode(&mut out, api_key.request_header_version(version))
        .map_err(|e| WireError::Unencodable(e.to_string()))?;
    request.encode(version, &mut out)?;
    Ok(seal(out))
}

/// Writes a response frame. Errors: `Unencodable` if a field does not exist in `version`.
pub fn encode_response(response: &Response, version: i16, correlation_id: i32) -> Result<Bytes, WireError> {
    let mut out = BytesMut::with_capacity(response.size(version) + 16);
    out.put_i32(0);
    ResponseHeader::default()
        .with_correlation_id(correlation_id)
        .encode(&mut out, response.api_key().response_header_version(version))
        .map_err(|e| WireError::Unencodable(e.to_string()))?;
    response.encode(version, &mut out)?;
    Ok(seal(out))
}

/// Reads a response frame, given what was asked. Returns the correlation id and the message.
pub fn decode_response(api_key: ApiKey, version: i16, frame: Bytes) -> Result<(i32, Response), WireError> {
    let mut body = strip_length(frame)?;
    let header = ResponseHeader::decode(&mut body, api_key.response_header_version(version))
        .map_err(|e| WireError::Malformed(e.to_string()))?;
    let (response, _) = decode_body(api_key, version, body, |body| Response::decode(api_key, version, body))?;
    Ok((header.correlation_id, response))
}

/// The answer to an ApiVersions request in a version that is not offered: error 35 in the v0 layout, so that any client
/// can read it, and the versions of ApiVersions itself, so that it can ask again (KIP-511).
pub fn unsupported_version_response(correlation_id: i32) -> Result<Bytes, WireError> {
    let own = versions(ApiKey::ApiVersions).map(|(min, max)| {
        let key = ApiKey::ApiVersions as i16;
        ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
    });
    let body = ApiVersionsResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_api_keys(own.into_iter().collect());
    encode_response(&body.into(), 0, correlation_id)
}

fn seal(mut out: BytesMut) -> Bytes {
    let length = (out.len() - 4) as u32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::MetadataRequest;

    fn client() -> StrBytes {
        StrBytes::from_static_str("test")
    }

    #[test]
    fn a_request_survives_the_wire_in_every_version() {
        let (min, max) = versions(ApiKey::Metadata).unwrap();
        for version in min..=max {
            let request: Request = MetadataRequest::default().into();
            let frame = encode_request(&request, version, 7, &client()).unwrap();
            let (head, decoded) = decode_request(frame).unwrap();
            assert_eq!((head.api_key, head.api_version, head.correlation_id), (ApiKey::Metadata, version, 7));
            assert_eq!(decoded.api_key(), ApiKey::Metadata);
        }
    }

    #[test]
    fn no_prefix_of_a_frame_panics() {
        let frame = encode_request(&MetadataRequest::default().into(), 9, 1, &client()).unwrap();
        for cut in 0..frame.len() {
            assert!(decode_request(frame.slice(..cut)).is_err(), "cut at {cut}");
            let mut bytes = BytesMut::from(&frame[..cut]);
            if cut >= 4 {
                let length = (cut - 4) as u32;
                bytes[..4].copy_from_slice(&length.to_be_bytes());
            }
            assert!(decode_request(bytes.freeze()).is_err(), "relabelled cut at {cut}");
        }
    }

    /// Without the guard this asks for hundreds of gigabytes, and the process ends.
    #[test]
    fn an_announced_array_that_is_not_there_is_malformed_and_costs_nothing() {
        for version in [4, 9] {
            let frame = encode_request(&MetadataRequest::default().into(), version, 1, &client()).unwrap();
            // The array is the first field; 4 bytes and a flag follow its start in both layouts.
            let at = frame.len() - 5;
            let mut bytes = BytesMut::from(&frame[..at]);
            match version {
                4 => bytes.put_i32(i32::MAX),
                _ => bytes.put_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
            }
            bytes.put_slice(&frame[at + if version == 4 { 4 } else { 1 }..]);
            let result = decode_request(seal(bytes));
            assert!(matches!(result, Err(WireError::Malformed(_))), "v{version}: {result:?}");
        }
    }

    #[test]
    fn large_numbers_that_are_no_lengths_survive_in_every_layout() {
        use kafka_protocol::messages::FetchRequest;
        let (min, max) = versions(ApiKey::Fetch).unwrap();
        for version in min..=max {
            let request = FetchRequest::default().with_max_bytes(i32::MAX).with_max_wait_ms(1 << 20);
            let frame = encode_request(&request.clone().into(), version, 7, &client()).unwrap();
            let (_, Request::Fetch(decoded)) = decode_request(frame).unwrap() else { panic!("Fetch") };
            assert_eq!((decoded.max_bytes, decoded.max_wait_ms), (i32::MAX, 1 << 20), "v{version}");
        }
    }

    #[test]
    fn an_unknown_version_is_told_apart() {
        let frame = encode_request(&MetadataRequest::default().into(), 9, 3, &client()).unwrap();
        let mut bytes = BytesMut::from(&frame[..]);
        bytes[6..8].copy_from_slice(&99i16.to_be_bytes());
        assert_eq!(
            decode_request(bytes.freeze()),
            Err(WireError::UnsupportedVersion { api_key: ApiKey::Metadata, version: 99, correlation_id: 3 })
        );
    }
}
