//! Counts records per key, and emits each new count.

use std::cell::Cell;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Capability, Operator, Probe};
use timely::worker::Worker;

use super::Nothing;
use crate::command_line::Options;
use crate::generate::{below, share};
use crate::harness::Harness;
use crate::report::Outcome;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let keys = options.number("keys", 1_000_000);
    let per_epoch = options.number("epoch", 100_000);
    let rounds = options.number("rounds", 200);
    let at_frontier = options.flag("at-frontier");
    let own = share(per_epoch, worker.index(), worker.peers());
    let checksum = Rc::new(Cell::new(0u64));

    let (mut input, probe) = worker.dataflow(|scope| {
        let (input, stream) = scope.new_input();
        let counts =
            if at_frontier { count_at_frontier(stream) } else { count_immediately(stream) };
        let sum = Rc::clone(&checksum);
        let (probe, _) = counts
            .unary::<Nothing, _, _, _>(Pipeline, "Sum", |_, _| {
                move |input, _| {
                    input.for_each(|_, batch| {
                        let part = batch.iter().fold(0u64, |part, (key, count)| {
                            part.wrapping_add(key ^ (count << 32))
                        });
                        sum.set(sum.get().wrapping_add(part));
                    });
                }
            })
            .probe();
        (input, probe)
    });

    let clock = harness.start(worker);
    for round in 0..rounds {
        let first = round * per_epoch;
        for number in first + own.start..first + own.end {
            input.send(below(number, keys));
        }
        input.advance_to(round + 1);
        harness.step_while(worker, || probe.less_than(&(round + 1)));
    }
    Outcome::new(
        clock.elapsed().as_secs_f64(),
        rounds,
        rounds * (own.end - own.start),
        checksum.get(),
    )
}

/// Routes by bits of the product that the table does not use to find its slots.
fn route(key: &u64) -> u64 {
    key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24
}

fn count_one(counts: &mut FxHashMap<u64, u64>, key: u64) -> (u64, u64) {
    let count = counts.entry(key).or_insert(0);
    *count += 1;
    (key, *count)
}

fn count_immediately(stream: StreamVec<'_, u64, u64>) -> StreamVec<'_, u64, (u64, u64)> {
    stream.unary(Exchange::new(route), "Count", |_, _| {
        let mut counts = FxHashMap::default();
        move |input, output| {
            input.for_each(|time, batch| {
                let changes = batch.drain(..).map(|key| count_one(&mut counts, key));
                output.session(&time).give_iterator(changes);
            });
        }
    })
}

fn count_at_frontier(stream: StreamVec<'_, u64, u64>) -> StreamVec<'_, u64, (u64, u64)> {
    stream.unary_frontier(Exchange::new(route), "CountAtFrontier", |_, _| {
        let mut counts = FxHashMap::default();
        // The batches of each epoch that is not complete; only a few are open at once.
        let mut open: Vec<(Capability<u64>, Vec<Vec<u64>>)> = Vec::new();
        move |(input, frontier), output| {
            input.for_each_time(|time, batches| {
                let batches = batches.map(std::mem::take);
                match open.iter_mut().find(|(held, _)| held.time() == time.time()) {
                    Some((_, stash)) => stash.extend(batches),
                    None => open.push((time.retain(output.output_index()), batches.collect())),
                }
            });
            for (held, stash) in open.extract_if(.., |(held, _)| !frontier.less_equal(held.time()))
            {
                let mut session = output.session(&held);
                for batch in stash {
                    session.give_iterator(batch.into_iter().map(|key| count_one(&mut counts, key)));
                }
            }
        }
    })
}
