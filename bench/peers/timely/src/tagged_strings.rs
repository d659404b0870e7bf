//! A columnar container: concatenated byte strings, each with a small tag of plain data (a hash, or nothing).

use bytemuck::Pod;
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::container::{DrainContainer, PushInto, SizableContainer};
use timely::dataflow::channels::ContainerBytes;

/// A batch is sent when its strings have this many bytes. Measured: 8 to 64 KiB are alike.
const BYTES_PER_BATCH: usize = 1 << 15;

/// Strings with tags. `ends[i]` is the end of string `i` in `bytes`; `tags[i]` belongs to it.
#[derive(Clone, Default)]
pub struct TaggedStrings<T> {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    tags: Vec<T>,
}

impl<T: Pod> TaggedStrings<T> {
    #[inline]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { strings: self, next: 0, start: 0 }
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.tags.clear();
    }
}

pub struct Iter<'a, T> {
    strings: &'a TaggedStrings<T>,
    next: usize,
    start: usize,
}

impl<'a, T: Pod> Iterator for Iter<'a, T> {
    type Item = (&'a [u8], T);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let end = *self.strings.ends.get(self.next)? as usize;
        let item = (&self.strings.bytes[self.start..end], self.strings.tags[self.next]);
        self.start = end;
        self.next += 1;
        Some(item)
    }
}

impl<T> Accountable for TaggedStrings<T> {
    #[inline]
    fn record_count(&self) -> i64 {
        self.ends.len() as i64
    }
}

impl<T: Pod> DrainContainer for TaggedStrings<T> {
    type Item<'a> = (&'a [u8], T);
    type DrainIter<'a> = Iter<'a, T>;

    #[inline]
    fn drain(&mut self) -> Iter<'_, T> {
        self.iter()
    }
}

impl<T: Pod> SizableContainer for TaggedStrings<T> {
    #[inline]
    fn at_capacity(&self) -> bool {
        self.bytes.len() >= BYTES_PER_BATCH
    }

    #[inline]
    fn ensure_capacity(&mut self, stash: &mut Option<Self>) {
        if self.bytes.capacity() == 0 {
            if let Some(used) = stash.take() {
                *self = used;
                self.clear();
            }
            // Room for the string that fills the batch; reserving existing room costs nothing.
            self.bytes.reserve(BYTES_PER_BATCH + BYTES_PER_BATCH / 8);
            self.ends.reserve(BYTES_PER_BATCH / 8);
            self.tags.reserve(BYTES_PER_BATCH / 8);
        }
    }
}

impl<T: Pod> PushInto<(&[u8], T)> for TaggedStrings<T> {
    #[inline]
    fn push_into(&mut self, (string, tag): (&[u8], T)) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len() as u32);
        self.tags.push(tag);
    }
}

/// Two u64 with the number of strings and of bytes, then tags, ends and bytes, padded to 8 bytes.
impl<T: Pod> ContainerBytes for TaggedStrings<T> {
    fn from_bytes(bytes: Bytes) -> Self {
        let word = |at: usize| {
            u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize
        };
        let (strings, length) = (word(0), word(8));
        let tags_end = 16 + strings * size_of::<T>();
        let ends_end = tags_end + strings * size_of::<u32>();
        TaggedStrings {
            tags: pod_vec(&bytes[16..tags_end], strings),
            ends: pod_vec(&bytes[tags_end..ends_end], strings),
            bytes: bytes[ends_end..ends_end + length].to_vec(),
        }
    }

    fn length_in_bytes(&self) -> usize {
        (16 + self.ends.len() * (size_of::<T>() + size_of::<u32>()) + self.bytes.len())
            .next_multiple_of(8)
    }

    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        let unpadded =
            16 + self.ends.len() * (size_of::<T>() + size_of::<u32>()) + self.bytes.len();
        let parts: [&[u8]; 6] = [
            &(self.ends.len() as u64).to_le_bytes(),
            &(self.bytes.len() as u64).to_le_bytes(),
            if size_of::<T>() == 0 { &[] } else { bytemuck::cast_slice(&self.tags) },
            bytemuck::cast_slice(&self.ends),
            &self.bytes,
            &[0; 8][..unpadded.next_multiple_of(8) - unpadded],
        ];
        for part in parts {
            writer.write_all(part).expect("a buffer of the length that was asked for");
        }
    }
}

/// Copies `count` values out of bytes that need not be aligned.
fn pod_vec<T: Pod>(bytes: &[u8], count: usize) -> Vec<T> {
    let mut values = vec![T::zeroed(); count];
    if size_of::<T>() > 0 {
        bytemuck::cast_slice_mut(&mut values).copy_from_slice(bytes);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: Pod + Default + PartialEq + std::fmt::Debug>(items: &[(&[u8], T)]) {
        let mut strings = TaggedStrings::default();
        items.iter().for_each(|item| strings.push_into(*item));
        let mut wire = Vec::new();
        strings.into_bytes(&mut wire);
        assert_eq!(wire.len(), strings.length_in_bytes());
        let bytes = timely::bytes::arc::BytesMut::from(wire).freeze();
        let copy = TaggedStrings::<T>::from_bytes(bytes);
        assert_eq!(copy.iter().collect::<Vec<_>>(), items);
    }

    #[test]
    fn strings_survive_the_wire() {
        round_trip::<u64>(&[(b"a", 1), (b"", 2), (b"three", u64::MAX)]);
        round_trip::<()>(&[(b"line one", ()), (b"x", ())]);
    }
}
