//! A chain of exchanges: the cost of each for an epoch, without records or with a single one.

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Exchange;
use timely::dataflow::operators::vec::Input;
use timely::worker::Worker;

use super::sum_and_probe;
use crate::command_line::Options;
use crate::harness::Harness;
use crate::report::Outcome;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let length = options.number("length", 100);
    let rounds = options.number("rounds", 10_000);
    let sender = options.flag("record") && worker.index() == 0;

    let (mut input, (total, probe)) = worker.dataflow(|scope| {
        let (input, mut stream) = scope.new_input();
        for _ in 0..length {
            stream = stream.exchange(|value: &u64| *value);
        }
        (input, sum_and_probe(stream, Pipeline))
    });

    let clock = harness.start(worker);
    for round in 0..rounds {
        if sender {
            input.send(round);
        }
        input.advance_to(round + 1);
        harness.step_while(worker, || probe.less_than(&(round + 1)));
    }
    Outcome::new(
        clock.elapsed().as_secs_f64(),
        rounds,
        if sender { rounds } else { 0 },
        total.get(),
    )
}
