//! Many dataflows, each a chain of operators: the cost of moving time, and single records, through them.

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Enter, Leave, Operator};
use timely::worker::Worker;

use super::sum_and_probe;
use crate::command_line::Options;
use crate::harness::Harness;
use crate::report::Outcome;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let dataflows = options.number("dataflows", 1);
    let depth = options.number("depth", 10);
    let rounds = options.number("rounds", 10_000);
    let (record, flat) = (options.flag("record"), options.flag("flat"));

    let mut inputs = Vec::new();
    let mut ends = Vec::new();
    for _ in 0..dataflows {
        let (input, end) = worker.dataflow(|scope| {
            let (input, stream) = scope.new_input();
            let stream = if flat {
                chain(stream, depth)
            } else {
                scope.region(|inner| chain(stream.enter(inner), depth).leave(scope))
            };
            (input, sum_and_probe(stream, Pipeline))
        });
        inputs.push(input);
        ends.push(end);
    }

    let clock = harness.start(worker);
    for round in 0..rounds {
        for input in &mut inputs {
            if record {
                input.send(round);
            }
            input.advance_to(round + 1);
        }
        for (_, probe) in &ends {
            harness.step_while(worker, || probe.less_than(&(round + 1)));
        }
    }
    let seconds = clock.elapsed().as_secs_f64();
    let checksum = ends.iter().fold(0u64, |sum, (total, _)| sum.wrapping_add(total.get()));
    Outcome::new(seconds, rounds, if record { rounds * dataflows } else { 0 }, checksum)
}

/// Operators that forward their batches unchanged.
fn chain(mut stream: StreamVec<'_, u64, u64>, depth: u64) -> StreamVec<'_, u64, u64> {
    for _ in 0..depth {
        stream = stream.unary(Pipeline, "Pass", |_, _| {
            |input, output| {
                input.for_each(|time, batch| output.session(&time).give_container(batch))
            }
        });
    }
    stream
}
