//! Kafka's protocol over one TCP connection: ask, await the answer, nothing in between.
//!
//! It knows no retries and no brokers beyond its own: whoever asks decides what an error means. A
//! connection that failed once is dropped, since a late answer would be taken for the next one's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer to our questions is longer; a longer length is a broken stream.
const ANSWER_MAX: usize = 16 << 20;

/// Why a broker gave no answer; the connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// TCP failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// No answer within this time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// An answer that could not be read.
    #[error("unreadable answer: {0}")]
    Malformed(String),
    /// The broker and this program have no version of a request in common.
    #[error("the broker does not speak version {version} of request {api}")]
    Version {
        /// API key.
        api: i16,
        /// What was wanted.
        version: i16,
    },
}

/// One connection to one broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    patience: Duration,
    correlation: i32,
    versions: BTreeMap<i16, (i16, i16)>,
}

impl Wire {
    /// Connects and asks which versions the broker speaks, in the form that every broker
    /// understands (version 0). `patience` bounds the connection and, later, each request.
    pub async fn open(address: SocketAddr, patience: Duration) -> Result<Self, WireError> {
        let stream = timeout(patience, TcpStream::connect(address))
            .await
            .map_err(|_| WireError::Silent(patience))??;
        stream.set_nodelay(true)?;
        let mut wire = Self {
            stream,
            patience,
            correlation: 0,
            versions: BTreeMap::from([(ApiVersionsRequest::KEY, (0, 0))]),
        };
        let answer: ApiVersionsResponse = wire.ask(0, &ApiVersionsRequest::default()).await?;
        if answer.error_code != 0 {
            let why = format!("error {} to the request for versions", answer.error_code);
            return Err(WireError::Malformed(why));
        }
        wire.versions = answer
            .api_keys
            .iter()
            .map(|api| (api.api_key, (api.min_version, api.max_version)))
            .collect();
        Ok(wire)
    }

    /// Gives each further request this time instead of what the connection was opened with.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends one request in exactly this version and reads its answer.
    pub async fn ask<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, WireError> {
        let spoken = self.versions.get(&R::KEY);
        if spoken.is_none_or(|(min, max)| version < *min || version > *max) {
            return Err(WireError::Version {
                api: R::KEY,
                version,
            });
        }
        let patience = self.patience;
        timeout(patience, self.exchange(version, request))
            .await
            .map_err(|_| WireError::Silent(patience))?
    }

    async fn exchange<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, WireError> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = encode(self.correlation, version, request)
            .map_err(|e| WireError::Malformed(format!("our own request: {e}")))?;
        self.stream.write_all(&frame).await?;
        let length = self.stream.read_i32().await?;
        let length = usize::try_from(length)
            .ok()
            .filter(|n| *n <= ANSWER_MAX)
            .ok_or_else(|| WireError::Malformed(format!("a length of {length} bytes")))?;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        decode::<R>(self.correlation, version, answer.into())
    }
}

fn encode<R: Request>(correlation: i32, version: i16, request: &R) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str("tidemark")));
    let mut frame = BytesMut::zeroed(4);
    encode_request_header_into_buffer(&mut frame, &header).map_err(|e| e.to_string())?;
    request
        .encode(&mut frame, version)
        .map_err(|e| e.to_string())?;
    let length = (frame.len() - 4) as i32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Trailing bytes are let pass: some brokers send more than the version says.
fn decode<R: Request>(
    correlation: i32,
    version: i16,
    mut answer: Bytes,
) -> Result<R::Response, WireError> {
    let bad = |e: &dyn std::fmt::Display| WireError::Malformed(e.to_string());
    if answer.remaining() < 4 {
        return Err(WireError::Malformed("fewer than four bytes".into()));
    }
    let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))
        .map_err(|e| bad(&e))?;
    if header.correlation_id != correlation {
        let why = format!(
            "to request {} instead of {correlation}",
            header.correlation_id
        );
        return Err(WireError::Malformed(why));
    }
    R::Response::decode(&mut answer, version).map_err(|e| bad(&e))
}

/// Kafka's name of an error code, for people.
pub fn error_name(code: i16) -> String {
    match kafka_protocol::ResponseError::try_from_code(code) {
        Some(error) => format!("{error:?} ({code})"),
        None => format!("error {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::scripted;
    use kafka_protocol::messages::MetadataRequest;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// Versions 0 to 9 of Metadata (3), and two bytes too many.
    fn versions() -> Vec<u8> {
        let mut body = 1_i32.to_be_bytes().to_vec();
        body.extend(0_i16.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        for n in [3_i16, 0, 9] {
            body.extend(n.to_be_bytes());
        }
        body.extend([0xde, 0xad]);
        [&(body.len() as i32).to_be_bytes()[..], &body].concat()
    }

    #[tokio::test]
    async fn versions_are_asked_first_and_obeyed() {
        let at = scripted(vec![versions()]).await;
        let mut wire = Wire::open(at, PATIENCE).await.unwrap();
        let error = wire.ask(12, &MetadataRequest::default()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the broker does not speak version 12 of request 3"
        );
    }

    #[tokio::test]
    async fn no_length_is_believed() {
        let at = scripted(vec![versions(), i32::MAX.to_be_bytes().to_vec()]).await;
        let mut wire = Wire::open(at, PATIENCE).await.unwrap();
        let error = wire.ask(9, &MetadataRequest::default()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "unreadable answer: a length of 2147483647 bytes"
        );
    }

    #[tokio::test]
    async fn a_late_answer_is_not_the_next_ones() {
        let mut late = 8_i32.to_be_bytes().to_vec();
        late.extend(77_i32.to_be_bytes());
        late.extend(0_i32.to_be_bytes());
        let at = scripted(vec![versions(), late]).await;
        let mut wire = Wire::open(at, PATIENCE).await.unwrap();
        let error = wire.ask(8, &MetadataRequest::default()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "unreadable answer: to request 77 instead of 2"
        );
    }
}
