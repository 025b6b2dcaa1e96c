//! Pixels as PNG (<https://www.w3.org/TR/png-3/>): the least of it, eight bits for each of red, green and blue, no filters.
//!
//! The crate `png` would give `flate2` another backend, for the whole program.

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// Encodes rows of three bytes a pixel.
pub(super) fn encode(pixels: &[u8], (width, height): (u32, u32)) -> io::Result<Vec<u8>> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    // Bit depth, colour type RGB, and the only methods of compression, filtering and interlacing there are.
    head.extend([8, 2, 0, 0, 0]);
    chunk(&mut file, *b"IHDR", &head)?;
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in pixels.chunks_exact(3 * width as usize) {
        // Filter type "none".
        rows.write_all(&[0])?;
        rows.write_all(row)?;
    }
    chunk(&mut file, *b"IDAT", &rows.finish()?)?;
    chunk(&mut file, *b"IEND", &[])?;
    Ok(file)
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).map_err(io::Error::other)?;
    let mut sum = Crc::new();
    sum.update(&kind);
    sum.update(data);
    file.extend(length.to_be_bytes());
    file.extend(kind);
    file.extend(data);
    file.extend(sum.sum().to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// CRC-32 bit by bit, as annex D of the specification has it.
    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
    }

    #[test]
    fn two_pixels_come_back() {
        let pixels = [255, 0, 0, 1, 2, 3];
        let file = encode(&pixels, (1, 2)).expect("memory");
        assert_eq!(file[..8], [137, 80, 78, 71, 13, 10, 26, 10]);
        let mut rest = &file[8..];
        let mut chunks = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (body, after) = after.split_at(4 + u32::from_be_bytes(*length) as usize);
            assert_eq!(after[..4], crc(body).to_be_bytes());
            chunks.push((body[..4].to_vec(), body[4..].to_vec()));
            rest = &after[4..];
        }
        let names: Vec<&[u8]> = chunks.iter().map(|(name, _)| name.as_slice()).collect();
        assert_eq!(names, [b"IHDR", b"IDAT", b"IEND"]);
        assert_eq!(chunks[0].1, [0, 0, 0, 1, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
        let mut rows = Vec::new();
        flate2::read::ZlibDecoder::new(chunks[1].1.as_slice()).read_to_end(&mut rows).expect("zlib");
        assert_eq!(rows, [0, 255, 0, 0, 0, 1, 2, 3]);
    }
}
