//! Small encodings that several answers need: base64, SHA-1-like digests, times, sizes.

use jiff::Timestamp;
use ring::digest;

use quorate_world::tasks::calendar;

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = (word >> (18 - 6 * place)) & 63;
            text.push(if place <= group.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}

/// Forty hex digits that change when the text does, as PVE's `digest` of a configuration file.
pub(crate) fn config_digest(text: &str) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A gzip stream that holds the bytes as they are: blocks of type "stored".
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut blocks = bytes.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        stream.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(crc32(bytes).to_le_bytes());
    stream.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    stream
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

/// A certificate's fingerprint as PVE prints it: SHA-256 of the DER bytes, upper-case pairs joined by colons.
pub fn fingerprint(der: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, der);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// A moment in the forms in which a node's programs print it, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(Timestamp);

impl Moment {
    /// From seconds since 1970.
    pub(crate) fn at(unix_s: u64) -> Self {
        Self(calendar(unix_s.saturating_mul(1000)))
    }

    fn print(self, format: &str) -> String {
        self.0.strftime(format).to_string()
    }

    /// `Sun Nov 22 11:56:17 2026`, the day padded with a blank.
    pub(crate) fn ctime(self) -> String {
        self.print("%a %b %e %T %Y")
    }

    /// `Sun, 22 Nov 2026 10:55:52 GMT`.
    pub(crate) fn http(self) -> String {
        self.print("%a, %d %b %Y %T GMT")
    }

    /// `2026-11-22 11:11:09`.
    pub(crate) fn log(self) -> String {
        self.print("%F %T")
    }

    /// `Nov 22 11:11:09`, as the journal begins its lines.
    pub(crate) fn journal(self) -> String {
        self.print("%b %d %T")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded_to_groups_of_four() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_gzip_stream_ends_with_checksum_and_length() {
        let stream = gzip(b"123456789");
        assert_eq!(&stream[..2], [0x1f, 0x8b]);
        assert_eq!(&stream[stream.len() - 8..], [0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0], "the check value of CRC-32");
        assert_eq!(gzip(b"")[10..15], [1, 0, 0, 0xff, 0xff]);
    }

    #[test]
    fn moments_print_as_the_recorded_answers_do() {
        assert_eq!(Moment::at(1_795_348_577).ctime(), "Sun Nov 22 11:56:17 2026");
        assert_eq!(Moment::at(1_795_344_952).http(), "Sun, 22 Nov 2026 10:55:52 GMT");
        assert_eq!(Moment::at(951_782_400).log(), "2000-02-29 00:00:00");
        assert_eq!(Moment::at(1_762_164_000).ctime(), "Mon Nov  3 10:00:00 2025");
    }
}
