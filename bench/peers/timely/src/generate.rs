//! Deterministic inputs. The formulas are part of the benchmarks' definition; `README.md` repeats them.

use std::ops::Range;

/// The output of the splitmix64 generator for state `x`.
#[inline]
pub fn splitmix64(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `bound`, from the upper bits of the product with `splitmix64(x)`.
#[inline]
pub fn below(x: u64, bound: u64) -> u64 {
    ((u128::from(splitmix64(x)) * u128::from(bound)) >> 64) as u64
}

/// The part of `0..total` that belongs to worker `index` of `peers`: contiguous, and as even as it gets.
pub fn share(total: u64, index: usize, peers: usize) -> Range<u64> {
    let bound = |index: usize| (u128::from(total) * index as u128 / peers as u128) as u64;
    bound(index)..bound(index + 1)
}

/// Edge `number` of a random directed graph, as (source, destination).
#[inline]
pub fn edge(number: u64, nodes: u64) -> (u32, u32) {
    let node = |x| (splitmix64(x) % nodes) as u32;
    (node(2 * number), node(2 * number + 1))
}

const WORDS_PER_LINE: u64 = 10;

/// A word has 6 letters on average, and a separator.
const BYTES_PER_LINE: u64 = 7 * WORDS_PER_LINE;

/// The lines that make up about `bytes` bytes of text.
pub fn line_count(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_LINE)
}

/// The text of some lines, drawn from `words` different word numbers.
pub fn text(lines: Range<u64>, words: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(((lines.end - lines.start) * (BYTES_PER_LINE + 1)) as usize);
    for line in lines {
        for position in 0..WORDS_PER_LINE {
            push_word(&mut text, splitmix64(line * WORDS_PER_LINE + position) % words);
            text.push(if position + 1 == WORDS_PER_LINE { b'\n' } else { b' ' });
        }
    }
    text
}

/// Appends word `number`: 2 to 10 lowercase letters.
fn push_word(text: &mut Vec<u8>, number: u64) {
    let hash = splitmix64(number);
    let mut digits = hash;
    for _ in 0..2 + hash % 9 {
        text.push(b'a' + (digits % 26) as u8);
        digits /= 26;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_gives_the_published_sequence() {
        assert_eq!(splitmix64(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(splitmix64(0x9E37_79B9_7F4A_7C15), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn shares_cover_everything_once() {
        for total in [0, 1, 7, 1000] {
            let all: Vec<u64> = (0..3).flat_map(|index| share(total, index, 3)).collect();
            assert_eq!(all, (0..total).collect::<Vec<_>>());
        }
    }

    #[test]
    fn text_does_not_depend_on_how_its_lines_are_divided() {
        let mut parts = text(0..3, 1000);
        parts.extend(text(3..5, 1000));
        assert_eq!(parts, text(0..5, 1000));
        assert_eq!(parts.iter().filter(|byte| **byte == b'\n').count(), 5);
    }
}
