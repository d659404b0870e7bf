//! Connected components. Every worker joins its own edges; worker 0 joins the edges that joined two trees there.

use std::cell::RefCell;
use std::rc::Rc;

use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, ParallelizationContract, Pipeline};
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Operator, Probe};
use timely::worker::Worker;

use crate::command_line::Options;
use crate::generate::{edge, share};
use crate::harness::Harness;
use crate::report::Outcome;

/// A forest over nodes, with path halving and union by rank.
struct Forest {
    parents: Vec<u32>,
    ranks: Vec<u8>,
}

impl Forest {
    fn new(nodes: u64) -> Self {
        Forest { parents: (0..nodes as u32).collect(), ranks: vec![0; nodes as usize] }
    }

    #[inline]
    fn root(&mut self, mut node: u32) -> u32 {
        let mut parent = self.parents[node as usize];
        while parent != node {
            // Path halving: every other node on the way points to its grandparent afterwards.
            let grandparent = self.parents[parent as usize];
            self.parents[node as usize] = grandparent;
            node = grandparent;
            parent = self.parents[node as usize];
        }
        node
    }

    /// Joins the trees of two nodes. Returns false if they were one tree already.
    #[inline]
    fn join(&mut self, left: u32, right: u32) -> bool {
        let (mut left, mut right) = (self.root(left), self.root(right));
        if left == right {
            return false;
        }
        if self.ranks[left as usize] < self.ranks[right as usize] {
            std::mem::swap(&mut left, &mut right);
        }
        if self.ranks[left as usize] == self.ranks[right as usize] {
            self.ranks[left as usize] += 1;
        }
        self.parents[right as usize] = left;
        true
    }

    /// Sums (node + 1) * (smallest node of its component + 1).
    fn checksum(&mut self) -> u64 {
        let mut smallest = vec![u32::MAX; self.parents.len()];
        let mut sum = 0u64;
        for node in 0..self.parents.len() as u32 {
            let root = self.root(node) as usize;
            // Nodes are in ascending order, so the first of a component is its smallest.
            smallest[root] = smallest[root].min(node);
            sum =
                sum.wrapping_add((u64::from(node) + 1).wrapping_mul(u64::from(smallest[root]) + 1));
        }
        sum
    }
}

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let nodes = options.number("nodes", 1_000_000);
    let edges = options.number("edges", 10_000_000);
    let own: Vec<(u32, u32)> =
        share(edges, worker.index(), worker.peers()).map(|number| edge(number, nodes)).collect();
    let result = Rc::new(RefCell::new(Forest::new(if worker.index() == 0 { nodes } else { 0 })));

    let (mut input, probe) = worker.dataflow::<u64, _, _>(|scope| {
        let (input, edges) = scope.new_input();
        let stream = match scope.peers() {
            1 => edges,
            _ => join(edges, Pipeline, Rc::new(RefCell::new(Forest::new(nodes)))),
        };
        let forest = join(stream, Exchange::new(|_: &(u32, u32)| 0), Rc::clone(&result));
        (input, forest.probe().0)
    });

    let records = own.len() as u64;
    let clock = harness.start(worker);
    for batch in own.chunks(1024) {
        input.send_batch(&mut batch.to_vec());
        worker.step();
    }
    input.close();
    harness.step_while(worker, || !probe.done());
    let seconds = clock.elapsed().as_secs_f64();
    let checksum = if worker.index() == 0 { result.borrow_mut().checksum() } else { 0 };
    Outcome::new(seconds, 0, records, checksum)
}

/// Forwards the edges that joined two trees.
fn join<'scope, P>(
    edges: StreamVec<'scope, u64, (u32, u32)>,
    pact: P,
    forest: Rc<RefCell<Forest>>,
) -> StreamVec<'scope, u64, (u32, u32)>
where
    P: ParallelizationContract<u64, Vec<(u32, u32)>>,
{
    edges.unary(pact, "Join", |_, _| {
        move |input, output| {
            let forest = &mut *forest.borrow_mut();
            input.for_each(|time, batch| {
                batch.retain(|(left, right)| forest.join(*left, *right));
                if !batch.is_empty() {
                    output.session(&time).give_container(batch);
                }
            });
        }
    })
}
