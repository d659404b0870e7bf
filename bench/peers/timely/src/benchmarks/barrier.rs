//! A loop without records: each iteration begins when the frontier says that all workers have passed the last one.

use std::cell::Cell;
use std::rc::Rc;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::{ConnectLoop, Feedback, Operator};
use timely::worker::Worker;

use super::Nothing;
use crate::command_line::Options;
use crate::harness::Harness;
use crate::report::Outcome;

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let rounds = options.number("rounds", 100_000);
    let passed = Rc::new(Cell::new(0));
    let started = Rc::new(Cell::new(false));

    let activator = worker.dataflow::<u64, _, _>(|scope| {
        let (handle, stream) = scope.feedback::<Vec<()>>(1);
        let mut activator = None;
        let (count, go) = (Rc::clone(&passed), Rc::clone(&started));
        stream
            .unary_frontier::<Nothing, _, _, _>(Pipeline, "Barrier", |capability, info| {
                activator = Some(scope.activator_for(info.address));
                let mut held = Some(capability);
                move |(_, frontier), _| {
                    // The loop adds 1: the frontier is beyond this iteration once every worker has reached it.
                    let ready = held
                        .as_ref()
                        .is_some_and(|capability| !frontier.less_equal(capability.time()));
                    if go.get() && ready {
                        count.set(count.get() + 1);
                        if count.get() == rounds {
                            held = None;
                        } else if let Some(capability) = &mut held {
                            capability.downgrade(&count.get());
                        }
                    }
                }
            })
            .connect_loop(handle);
        activator.expect("the operator was built")
    });

    let clock = harness.start(worker);
    started.set(true);
    activator.activate();
    harness.step_while(worker, || passed.get() < rounds);
    Outcome::new(clock.elapsed().as_secs_f64(), rounds, 0, passed.get())
}
