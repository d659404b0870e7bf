//! One module for each subcommand. Each has a `run` that builds its dataflows, starts the clock together with the
//! other workers, works, and returns this worker's outcome.

mod barrier;
mod bfs;
mod event_driven;
mod exchange;
mod exchange_chain;
mod keyed_count;
mod map_chain;
mod openloop;
mod pagerank;
mod pingpong;
mod unionfind;
mod wordcount;

use std::cell::Cell;
use std::rc::Rc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::ParallelizationContract;
use timely::dataflow::operators::{Operator, Probe};
use timely::dataflow::{InputHandleVec, ProbeHandle, StreamVec};
use timely::worker::Worker;

use crate::command_line::Options;
use crate::harness::Harness;
use crate::report::Outcome;

pub type Benchmark = fn(&mut Worker, &mut Harness, &Options) -> Outcome;

const BENCHMARKS: &[(&str, Benchmark)] = &[
    ("barrier", barrier::run),
    ("exchange", exchange::run),
    ("pingpong", pingpong::run),
    ("event_driven", event_driven::run),
    ("keyed_count", keyed_count::run),
    ("wordcount", wordcount::run),
    ("map_chain", map_chain::run),
    ("exchange_chain", exchange_chain::run),
    ("bfs", bfs::run),
    ("unionfind", unionfind::run),
    ("pagerank", pagerank::run),
    ("openloop", openloop::run),
];

pub fn find(name: &str) -> Result<Benchmark, String> {
    let found = BENCHMARKS.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, benchmark)| *benchmark)
        .ok_or_else(|| format!("no subcommand '{name}'; there are: {}", names()))
}

pub fn names() -> String {
    let names: Vec<&str> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// A stream's container builder for operators that send nothing.
type Nothing = CapacityContainerBuilder<Vec<()>>;

/// Ends a stream of numbers: adds them up, and shows their progress to the caller.
fn sum_and_probe<P>(stream: StreamVec<'_, u64, u64>, pact: P) -> (Rc<Cell<u64>>, ProbeHandle<u64>)
where
    P: ParallelizationContract<u64, Vec<u64>>,
{
    let total = Rc::new(Cell::new(0u64));
    let sum = Rc::clone(&total);
    let summed = stream.unary::<Nothing, _, _, _>(pact, "Sum", |_, _| {
        move |input, _| {
            input.for_each(|_, batch| {
                sum.set(sum.get().wrapping_add(add_up(batch)));
            });
        }
    });
    (total, summed.probe().0)
}

#[inline]
fn add_up(values: &[u64]) -> u64 {
    values.iter().fold(0, |sum, value| sum.wrapping_add(*value))
}

/// Sends consecutive numbers, a batch of timely's own size at a time.
fn send_range(
    input: &mut InputHandleVec<u64, u64>,
    buffer: &mut Vec<u64>,
    range: std::ops::Range<u64>,
) {
    let batch = timely::container::buffer::default_capacity::<u64>() as u64;
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + batch);
        buffer.clear();
        buffer.extend(start..end);
        input.send_batch(buffer);
        start = end;
    }
}
