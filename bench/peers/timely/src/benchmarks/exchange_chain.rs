//! A chain of exchanges: the cost of each for an epoch, without records, with a single one, or with
//! records of several epochs that are under way together.

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Exchange;
use timely::dataflow::operators::vec::Input;
use timely::worker::Worker;

use super::{send_range, sum_and_probe};
use crate::command_line::Options;
use crate::generate::share;
use crate::harness::Harness;
use crate::report::Outcome;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let length = options.number("length", 100);
    let rounds = options.number("rounds", 10_000);
    let records = options.number("records", 0);
    let ahead = options.number("ahead", 1);
    let own = share(records, worker.index(), worker.peers());
    let sender = options.flag("record") && worker.index() == 0;

    let (mut input, (total, probe)) = worker.dataflow(|scope| {
        let (input, mut stream) = scope.new_input();
        for _ in 0..length {
            stream = stream.exchange(|value: &u64| *value);
        }
        (input, sum_and_probe(stream, Pipeline))
    });

    let mut buffer = Vec::new();
    let clock = harness.start(worker);
    for round in 0..rounds {
        if sender {
            input.send(round);
        }
        let first = round * records;
        send_range(&mut input, &mut buffer, first + own.start..first + own.end);
        input.advance_to(round + 1);
        let awaited =
            if round + 1 == rounds { rounds } else { (round + 1).saturating_sub(ahead - 1) };
        harness.step_while(worker, || probe.less_than(&awaited));
    }
    Outcome::new(
        clock.elapsed().as_secs_f64(),
        rounds,
        rounds * (u64::from(sender) + own.end - own.start),
        total.get(),
    )
}
