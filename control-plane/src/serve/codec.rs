//! The Watch stream's codec: requests are decoded as usual, responses have been encoded already.

use bytes::{BufMut, Bytes};
use prost::Message as _;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use weft_api::pb::WatchRequest;

/// What a stream's buffers begin with, and how much is gathered before it is handed on: the buffers stay for as long as the
/// stream does, and by tonic's own settings a first picture leaves over 100 KB in each of them.
const BUFFER: usize = 1024;
const HANDED_ON: usize = 8 * 1024;

/// Passes encoded `WatchResponse`s through, so that what is encoded once can be sent often.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WatchCodec;

impl Codec for WatchCodec {
    type Encode = Bytes;
    type Decode = WatchRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for WatchCodec {
    type Item = Bytes;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, HANDED_ON)
    }

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for WatchCodec {
    type Item = WatchRequest;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, HANDED_ON)
    }

    fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<WatchRequest>, Status> {
        let request = WatchRequest::decode(input);
        request.map(Some).map_err(|error| Status::invalid_argument(error.to_string()))
    }
}
