//! Writing Avro: primitives, and object containers with a fixed schema.

use bytes::Bytes;

use super::codec::Codec;
use super::container::MAGIC;
use crate::error::Result;

/// A block ends with the record that reaches this size, as in Java.
pub(crate) const BLOCK_SIZE: usize = 64_000;

/// Appends Avro values to bytes.
#[derive(Default)]
pub(crate) struct Encoder {
    pub(crate) out: Vec<u8>,
}

impl Encoder {
    pub(crate) fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.out.push(rest as u8);
    }

    pub(crate) fn int(&mut self, value: i32) {
        self.long(i64::from(value));
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.long(value.len() as i64);
        self.out.extend_from_slice(value);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// A union of null and something: null first.
    pub(crate) fn optional<T>(&mut self, value: Option<T>, mut write: impl FnMut(&mut Self, T)) {
        self.long(i64::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.long(items.len() as i64);
            items.iter().for_each(|item| write(self, item));
        }
        self.long(0);
    }
}

/// What a container begins with, up to the sync marker.
pub(crate) fn container_header(schema: &str, codec: Codec) -> Vec<u8> {
    let mut file = Encoder { out: MAGIC.to_vec() };
    file.long(2);
    file.text("avro.schema");
    file.text(schema);
    file.text("avro.codec");
    file.text(codec.avro_name());
    file.long(0);
    file.out
}

/// Writes a container. Equal records give equal bytes: the sync marker is a hash, not a random number.
pub(crate) struct ContainerWriter {
    codec: Codec,
    schema: &'static str,
    block: Encoder,
    count: i64,
    blocks: Vec<(i64, Vec<u8>)>,
    marker: [u64; 2],
}

impl ContainerWriter {
    pub(crate) fn new(schema: &'static str, codec: Codec) -> Self {
        // Two FNV-1a hashes with different starts.
        let marker = [0xcbf2_9ce4_8422_2325, 0x8422_2325_cbf2_9ce4];
        Self { codec, schema, block: Encoder::default(), count: 0, blocks: Vec::new(), marker }
    }

    /// Appends one record.
    pub(crate) fn record(&mut self, write: impl FnOnce(&mut Encoder)) -> Result<()> {
        write(&mut self.block);
        self.count += 1;
        if self.block.out.len() >= BLOCK_SIZE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.count > 0 {
            let compressed = self.codec.compress(&self.block.out)?;
            for hash in &mut self.marker {
                *hash =
                    compressed.iter().fold(*hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
            }
            self.blocks.push((self.count, compressed));
            self.block.out.clear();
            self.count = 0;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Bytes> {
        self.flush()?;
        let marker = [self.marker[0].to_le_bytes(), self.marker[1].to_le_bytes()].concat();
        let mut file = Encoder { out: container_header(self.schema, self.codec) };
        file.out.extend_from_slice(&marker);
        for (count, block) in &self.blocks {
            file.long(*count);
            file.bytes(block);
            file.out.extend_from_slice(&marker);
        }
        Ok(Bytes::from(file.out))
    }
}
