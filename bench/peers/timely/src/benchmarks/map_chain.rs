//! A chain of maps over numbers, each an operator of its own.

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::{Input, Map};
use timely::worker::Worker;

use super::{send_range, sum_and_probe};
use crate::command_line::Options;
use crate::generate::share;
use crate::harness::Harness;
use crate::report::Outcome;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let maps = options.number("maps", 10);
    let per_round = options.number("records", 10_000);
    let rounds = options.number("rounds", 1_000);
    let in_place = options.flag("in-place");
    let own = share(per_round, worker.index(), worker.peers());

    let (mut input, (total, probe)) = worker.dataflow(|scope| {
        let (input, mut stream) = scope.new_input::<u64>();
        for _ in 0..maps {
            stream = if in_place {
                stream.map_in_place(|value| *value = value.wrapping_mul(3).wrapping_add(1))
            } else {
                stream.map(|value| value.wrapping_mul(3).wrapping_add(1))
            };
        }
        (input, sum_and_probe(stream, Pipeline))
    });

    let mut buffer = Vec::new();
    let clock = harness.start(worker);
    for round in 0..rounds {
        let first = round * per_round;
        send_range(&mut input, &mut buffer, first + own.start..first + own.end);
        input.advance_to(round + 1);
        harness.step_while(worker, || probe.less_than(&(round + 1)));
    }
    Outcome::new(clock.elapsed().as_secs_f64(), rounds, rounds * (own.end - own.start), total.get())
}
