//! Splits lines of text into words and counts them, with owned strings or with columnar batches.

use std::cell::RefCell;
use std::hash::Hasher;
use std::rc::Rc;

use hashbrown::HashTable;
use rustc_hash::{FxHashMap, FxHasher};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, ExchangeCore, Pipeline};
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Input as AnyInput, Operator, Probe};
use timely::dataflow::{InputHandle, InputHandleVec, ProbeHandle};
use timely::worker::Worker;

use super::Nothing;
use crate::command_line::Options;
use crate::generate::{line_count, share, splitmix64, text};
use crate::harness::Harness;
use crate::report::Outcome;
use crate::tagged_strings::TaggedStrings;

/// Each epoch has about this much text from each worker.
const EPOCH_BYTES: usize = 1 << 20;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let own = own_text(worker, options);
    if options.flag("columnar") {
        let (input, probe, counts) = build_columnar(worker);
        feed(
            worker,
            harness,
            &own,
            input,
            probe,
            |input, line| input.send((line, ())),
            move || counts.borrow().checksum(),
        )
    } else {
        let (input, probe, counts) = build_strings(worker);
        let send = |input: &mut InputHandleVec<u64, String>, line: &[u8]| {
            input.send(String::from_utf8_lossy(line).into_owned())
        };
        feed(worker, harness, &own, input, probe, send, move || checksum(&counts.borrow()))
    }
}

/// This worker's lines: generated ones, or the lines that begin in its part of the file.
fn own_text(worker: &Worker, options: &Options) -> Vec<u8> {
    let (index, peers) = (worker.index(), worker.peers());
    match &options.file {
        None => {
            let lines = line_count(options.number("bytes", 200_000_000));
            text(share(lines, index, peers), options.number("words", 100_000))
        }
        Some(path) => {
            let bytes = std::fs::read(path).expect("a readable file");
            let part = share(bytes.len() as u64, index, peers);
            let line_start = |at: u64| match at as usize {
                0 => 0,
                at => bytes[at - 1..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(bytes.len(), |offset| at + offset),
            };
            bytes[line_start(part.start)..line_start(part.end)].to_vec()
        }
    }
}

/// Sends the lines of a text, an epoch at a time.
fn feed<CB>(
    worker: &mut Worker,
    harness: &mut Harness,
    text: &[u8],
    mut input: InputHandle<u64, CB>,
    probe: ProbeHandle<u64>,
    mut send: impl FnMut(&mut InputHandle<u64, CB>, &[u8]),
    checksum: impl FnOnce() -> u64,
) -> Outcome
where
    CB: timely::ContainerBuilder<Container: Clone>,
{
    let mut rest = text;
    let mut lines = 0;
    let mut epoch = 0;
    let clock = harness.start(worker);
    while !rest.is_empty() {
        let mut taken = 0;
        for line in rest.split_inclusive(|byte| *byte == b'\n') {
            send(&mut input, line.strip_suffix(b"\n").unwrap_or(line));
            taken += line.len();
            lines += 1;
            if taken >= EPOCH_BYTES {
                break;
            }
            // Lets batches flow before the epoch is over, so that they are still in the cache.
            if lines % 1024 == 0 {
                worker.step();
            }
        }
        rest = &rest[taken..];
        epoch += 1;
        input.advance_to(epoch);
        harness.step_while(worker, || probe.less_than(&epoch));
    }
    // Other workers may have more text, so this one closes its input instead of opening a further epoch.
    input.close();
    harness.step_while(worker, || !probe.done());
    let seconds = clock.elapsed().as_secs_f64();
    Outcome { bytes: text.len() as u64, ..Outcome::new(seconds, epoch, lines, checksum()) }
}

fn is_space(byte: &u8) -> bool {
    byte.is_ascii_whitespace()
}

type StringCounts = Rc<RefCell<FxHashMap<String, i64>>>;

fn build_strings(
    worker: &mut Worker,
) -> (InputHandleVec<u64, String>, ProbeHandle<u64>, StringCounts) {
    let counts = StringCounts::default();
    let (input, probe) = worker.dataflow(|scope| {
        let (input, lines) = Input::new_input::<String>(&scope);
        let counts = Rc::clone(&counts);
        let (probe, _) = lines
            .unary(Pipeline, "Split", |_, _| {
                |input, output| {
                    input.for_each(|time, batch| {
                        let mut session = output.session(&time);
                        for line in batch.drain(..) {
                            session.give_iterator(
                                line.split_ascii_whitespace().map(|word| (word.to_owned(), 1i64)),
                            );
                        }
                    });
                }
            })
            .unary::<Nothing, _, _, _>(
                Exchange::new(|(word, _): &(String, i64)| hash(word.as_bytes())),
                "Count",
                |_, _| {
                    move |input, _| {
                        let counts = &mut *counts.borrow_mut();
                        input.for_each(|_, batch| {
                            for (word, change) in batch.drain(..) {
                                match counts.get_mut(&word) {
                                    Some(count) => *count += change,
                                    None => drop(counts.insert(word, change)),
                                }
                            }
                        });
                    }
                },
            )
            .probe();
        (input, probe)
    });
    (input, probe, counts)
}

fn checksum(counts: &FxHashMap<String, i64>) -> u64 {
    counts
        .iter()
        .fold(0, |sum, (word, count)| sum.wrapping_add(contribution(word.as_bytes(), *count)))
}

/// A word's part of the checksum: its FNV-1a hash, mixed, times its number of occurrences.
fn contribution(word: &[u8], count: i64) -> u64 {
    let fnv = word.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    splitmix64(fnv).wrapping_mul(count as u64)
}

fn hash(word: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(word);
    hasher.finish()
}

type Lines = CapacityContainerBuilder<TaggedStrings<()>>;
type Words = CapacityContainerBuilder<TaggedStrings<u64>>;

/// Words end to end in one buffer, found by their hash.
#[derive(Default)]
struct WordTable {
    entries: HashTable<Entry>,
    bytes: Vec<u8>,
}

struct Entry {
    hash: u64,
    start: u32,
    length: u32,
    count: i64,
}

impl Entry {
    #[inline]
    fn word<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.start as usize..][..self.length as usize]
    }
}

impl WordTable {
    #[inline]
    fn add(&mut self, word: &[u8], hash: u64) {
        let bytes = &mut self.bytes;
        if let Some(entry) =
            self.entries.find_mut(hash, |entry| entry.hash == hash && entry.word(bytes) == word)
        {
            entry.count += 1;
            return;
        }
        let start = u32::try_from(bytes.len()).expect("less than 4 GiB of distinct words");
        bytes.extend_from_slice(word);
        let entry = Entry { hash, start, length: word.len() as u32, count: 1 };
        self.entries.insert_unique(hash, entry, |entry| entry.hash);
    }

    fn checksum(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| {
            sum.wrapping_add(contribution(entry.word(&self.bytes), entry.count))
        })
    }
}

fn build_columnar(
    worker: &mut Worker,
) -> (InputHandle<u64, Lines>, ProbeHandle<u64>, Rc<RefCell<WordTable>>) {
    let counts = Rc::new(RefCell::new(WordTable::default()));
    let (input, probe) = worker.dataflow(|scope| {
        let (input, lines) = AnyInput::new_input_with_builder::<Lines>(&scope);
        let counts = Rc::clone(&counts);
        let (probe, _) = lines
            .unary::<Words, _, _, _>(Pipeline, "Split", |_, _| {
                |input, output| {
                    input.for_each(|time, batch| {
                        let mut session = output.session(&time);
                        for (line, ()) in batch.iter() {
                            let words = line.split(is_space).filter(|word| !word.is_empty());
                            session.give_iterator(words.map(|word| (word, hash(word))));
                        }
                    });
                }
            })
            // The table uses the hash's ends, the exchange its middle.
            .unary::<Nothing, _, _, _>(
                ExchangeCore::<Words, _>::new_core(|word: &(&[u8], u64)| word.1 >> 24),
                "Count",
                |_, _| {
                    move |input, _| {
                        let counts = &mut *counts.borrow_mut();
                        input.for_each(|_, batch| {
                            batch.iter().for_each(|(word, hash)| counts.add(word, hash))
                        });
                    }
                },
            )
            .probe();
        (input, probe)
    });
    (input, probe, counts)
}
