//! Server-sent events, out of the pieces they come in.

/// An event that would grow beyond this is none of ours, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// One event. A server may send an id alone, to say where the stream stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub id: Option<String>,
    pub data: Option<String>,
}

/// What has come and is not yet a whole event.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
}

/// What comes is no stream of events.
#[derive(Debug, thiserror::Error)]
#[error("what comes is no stream of events")]
pub(super) struct NoStream;

impl Frames {
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NoStream> {
        if self.bytes.len() + piece.len() > MOST_BYTES {
            return Err(NoStream);
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// The next whole event. What is nothing but a comment is passed over.
    pub fn next(&mut self) -> Result<Option<Frame>, NoStream> {
        while let Some(end) = self.bytes.windows(2).position(|pair| pair == b"\n\n") {
            let rest = self.bytes.split_off(end + 2);
            let block = String::from_utf8(std::mem::replace(&mut self.bytes, rest)).map_err(|_| NoStream)?;
            let frame = read(&block);
            if frame != Frame::default() {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }
}

fn read(block: &str) -> Frame {
    let mut frame = Frame::default();
    for line in block.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => frame.id = Some(value.to_owned()),
            "data" => match &mut frame.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => frame.data = Some(value.to_owned()),
            },
            _ => {}
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = ": alive\n\nid: 07\n\nevent: preauth.settled\nid: 08\ndata: {\"a\":\ndata: 1}\n\n:\n\ndata:x\n\ndata: no end";
        let expected = [
            Frame { id: Some("07".into()), data: None },
            Frame { id: Some("08".into()), data: Some("{\"a\":\n1}".into()) },
            Frame { id: None, data: Some("x".into()) },
        ];
        for length in 1..text.len() {
            let (mut frames, mut read) = (Frames::default(), Vec::new());
            for piece in text.as_bytes().chunks(length) {
                frames.push(piece).unwrap();
                while let Some(frame) = frames.next().unwrap() {
                    read.push(frame);
                }
            }
            assert_eq!(read, expected, "in pieces of {length}");
        }
    }

    #[test]
    fn what_never_ends_is_no_stream() {
        let mut frames = Frames::default();
        frames.push(&vec![b'x'; MOST_BYTES]).unwrap();
        assert!(frames.push(b"x").is_err());
    }
}
