//! Records change workers, and each round waits for the last one.

use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::Input;
use timely::worker::Worker;

use super::{send_range, sum_and_probe};
use crate::command_line::Options;
use crate::generate::share;
use crate::harness::Harness;
use crate::report::Outcome;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let per_round = options.number("records", 100_000);
    let rounds = options.number("rounds", 1_000);
    let own = share(per_round, worker.index(), worker.peers());

    let (mut input, (total, probe)) = worker.dataflow(|scope| {
        let (input, stream) = scope.new_input();
        (input, sum_and_probe(stream, Exchange::new(|value: &u64| *value)))
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
