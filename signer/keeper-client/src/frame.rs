//! Frames: a 32-bit big-endian length and that many bytes of one protobuf message.

use std::io::{self, Read, Write};

use prost::Message;

use crate::protocol::MAX_FRAME;

/// A good size for the buffer that frames are read through: most frames fit in whole, and come with one system call.
pub const BUFFER: usize = 8 * 1024;

/// Writes one message as one frame.
///
/// # Errors
/// When the message is larger than [`MAX_FRAME`] or the stream fails.
pub fn write<M: Message>(stream: &mut impl Write, message: &M) -> io::Result<()> {
    let length = message.encoded_len();
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a frame of {length} bytes; permitted: {MAX_FRAME}"),
        ));
    }
    let prefix = u32::try_from(length).map_err(io::Error::other)?.to_be_bytes();
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&prefix);
    message.encode(&mut frame).map_err(io::Error::other)?;
    stream.write_all(&frame)
}

/// Reads one frame as one message; `None` when the stream ends before a frame begins.
///
/// # Errors
/// When the frame is too long, ends early, or is not such a message.
pub fn read<M: Message + Default>(stream: &mut impl Read) -> io::Result<Option<M>> {
    let mut prefix = [0u8; 4];
    let mut got = 0;
    while let Some(rest) = prefix.get_mut(got..).filter(|r| !r.is_empty()) {
        match stream.read(rest) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let length = u32::from_be_bytes(prefix) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {length} bytes; permitted: {MAX_FRAME}"),
        ));
    }
    // Grow with what arrives: a length alone must not make us reserve a megabyte.
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body)?;
    if body.len() != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    M::decode(body.as_slice())
        .map(Some)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Ask, Empty, Request};

    #[test]
    fn frames_read_what_they_write_and_refuse_the_rest() {
        let request = Request {
            ask: Some(Ask::Status(Empty {})),
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &request).unwrap();
        assert_eq!(read::<Request>(&mut bytes.as_slice()).unwrap(), Some(request));
        assert_eq!(read::<Request>(&mut [].as_slice()).unwrap(), None);
        assert!(read::<Request>(&mut [0, 0].as_slice()).is_err());
        assert!(read::<Request>(&mut [0xff, 0xff, 0xff, 0xff, 1].as_slice()).is_err());
        assert!(read::<Request>(&mut [0, 0, 0, 9, 1].as_slice()).is_err());
        assert!(read::<Request>(&mut [0, 0, 0, 2, 0xff, 0xff].as_slice()).is_err());
    }
}
