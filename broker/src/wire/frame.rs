//! Encoding and decoding of whole frames.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::{ErrorCode, Request, Response, versions};

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
    let request = Request::decode(api_key, version, &mut body).ok_or(WireError::UnknownApi(key))??;
    if body.has_remaining() {
        return Err(WireError::Malformed(format!("{} bytes too many", body.len())));
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
    let response = Response::decode(api_key, version, &mut body)?;
    Ok((header.correlation_id, response))
}

/// The answer to an ApiVersions request in a version that is not offered: error 35 in the v0 layout, so that any client
/// can read it (KIP-511).
pub fn unsupported_version_response(correlation_id: i32) -> Result<Bytes, WireError> {
    let body = ApiVersionsResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code());
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
