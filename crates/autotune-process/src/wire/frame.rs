//! Cuts a stream of bytes into messages: four bytes of length, most significant
//! first, then so many bytes of JSON. What the messages mean is left to others.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longer messages are refused: the largest real one, a sample of thousands of
/// processes, is far below, and a stream that is not the protocol is seen at once.
pub(crate) const LONGEST: usize = 16 << 20;
const LENGTH_BYTES: usize = 4;

/// Bytes that are not the protocol.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A frame longer than any message.
    #[error("frame of {0} bytes is longer than any message")]
    TooLong(usize),
    /// A frame that is no known message.
    #[error("message cannot be read")]
    Read(#[source] serde_json::Error),
    /// A message that cannot be written.
    #[error("message cannot be written")]
    Write(#[source] serde_json::Error),
}

/// One message as bytes.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut bytes, message).map_err(FrameError::Write)?;
    let length = bytes.len() - LENGTH_BYTES;
    let prefix = u32::try_from(length).ok().filter(|_| length <= LONGEST);
    let prefix = prefix.ok_or(FrameError::TooLong(length))?;
    bytes[..LENGTH_BYTES].copy_from_slice(&prefix.to_be_bytes());
    Ok(bytes)
}

/// Collects bytes until messages are whole.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// Where what was read is to be appended.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The next whole message, if there is one.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some((prefix, rest)) = self.bytes.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > LONGEST {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(body).map_err(FrameError::Read);
        self.bytes.drain(..LENGTH_BYTES + length);
        message.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode_in_pieces(stream: &[u8], cuts: &[usize]) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut messages = Vec::new();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        cuts.push(stream.len());
        cuts.sort_unstable();
        let mut begin = 0;
        for cut in cuts {
            decoder.buffer().extend_from_slice(&stream[begin..cut]);
            begin = cut;
            while let Some(message) = decoder.next().expect("the stream is whole") {
                messages.push(message);
            }
        }
        assert!(decoder.buffer().is_empty());
        messages
    }

    proptest! {
        #[test]
        fn a_stream_may_be_cut_anywhere(
            messages in prop::collection::vec(".{0,40}", 0..8),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let stream: Vec<u8> =
                messages.iter().flat_map(|text| encode(text).expect("short")).collect();
            prop_assert_eq!(decode_in_pieces(&stream, &cuts), messages);
        }
    }

    #[test]
    fn the_length_comes_first_and_most_significant_byte_first() {
        assert_eq!(encode(&"ab").expect("short"), b"\0\0\0\x04\"ab\"");
    }

    #[test]
    fn a_length_beyond_any_message_is_refused_before_it_is_waited_for() {
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(b"HTTP/1.1");
        assert!(matches!(
            decoder.next::<String>(),
            Err(FrameError::TooLong(_))
        ));
    }

    #[test]
    fn a_frame_that_is_no_message_is_an_error_and_is_left_behind() {
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(b"\0\0\0\x02{]");
        decoder.buffer().extend(encode(&"good").expect("short"));
        assert!(matches!(decoder.next::<String>(), Err(FrameError::Read(_))));
        assert_eq!(
            decoder.next::<String>().expect("whole"),
            Some("good".to_owned())
        );
    }
}
