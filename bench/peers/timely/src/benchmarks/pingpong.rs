//! Records travel around a loop, and change workers at every hop.

use std::cell::Cell;
use std::rc::Rc;

use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Concat, ConnectLoop, Feedback, Operator};
use timely::worker::Worker;

use super::{add_up, send_range};
use crate::command_line::Options;
use crate::generate::share;
use crate::harness::Harness;
use crate::report::Outcome;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let elements = options.number("elements", 1_000);
    let iterations = options.number("iterations", 10_000);
    let (index, peers) = (worker.index() as u64, worker.peers() as u64);
    let arrived = Rc::new(Cell::new(0u64));
    let sum = Rc::new(Cell::new(0u64));

    let mut input = worker.dataflow::<u64, _, _>(|scope| {
        let (input, start) = scope.new_input::<u64>();
        let (handle, around) = scope.feedback(1);
        let (arrived, sum) = (Rc::clone(&arrived), Rc::clone(&sum));
        start
            .concat(around)
            .unary(Exchange::new(|value: &u64| *value), "Hop", |_, _| {
                move |input, output| {
                    input.for_each(|time, batch| {
                        if *time.time() < iterations {
                            batch.iter_mut().for_each(|value| *value = value.wrapping_add(1));
                            output.session(&time).give_container(batch);
                        } else {
                            arrived.set(arrived.get() + batch.len() as u64);
                            sum.set(sum.get().wrapping_add(add_up(batch)));
                        }
                    });
                }
            })
            .connect_loop(handle);
        input
    });

    // Values start as 0..elements and end as value + iterations, so each worker knows how many end here.
    let first_here = (index + peers - iterations % peers) % peers;
    let expected = elements.saturating_sub(first_here).div_ceil(peers);
    let own = share(elements, worker.index(), worker.peers());

    let mut buffer = Vec::new();
    let clock = harness.start(worker);
    send_range(&mut input, &mut buffer, own.clone());
    input.close();
    harness.step_while(worker, || arrived.get() < expected);
    let seconds = clock.elapsed().as_secs_f64();
    Outcome::new(seconds, iterations, iterations * (own.end - own.start), sum.get())
}
