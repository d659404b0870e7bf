//! Breadth-first search from node 0 over a random directed graph, one level after the other, until a level is empty.

use std::cell::RefCell;
use std::rc::Rc;

use timely::container::CapacityContainerBuilder;
use timely::dataflow::ProbeHandle;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Capability, ConnectLoop, Feedback, Operator, Probe};
use timely::worker::Worker;

use crate::command_line::Options;
use crate::generate::{edge, share};
use crate::harness::Harness;
use crate::report::Outcome;

const UNREACHED: u32 = u32::MAX;

/// The nodes of one worker: node `n` is with worker `n % peers`, at place `n / peers`.
struct Part {
    peers: u32,
    distances: Vec<u32>,
    /// Edges, unsorted, until all have arrived.
    edges: Vec<(u32, u32)>,
    /// After sorting, the destinations of place `p` are `targets[offsets[p]..offsets[p + 1]]`.
    offsets: Vec<u32>,
    targets: Vec<u32>,
    /// Newly reached places at even and at odd levels: a level's nodes are known when the next one begins to arrive.
    reached: [Vec<u32>; 2],
    levels: u64,
}

impl Part {
    fn new(index: u64, peers: u64, nodes: u64) -> Self {
        let count = nodes.saturating_sub(index).div_ceil(peers) as usize;
        Part {
            peers: peers as u32,
            distances: vec![UNREACHED; count],
            edges: Vec::new(),
            offsets: vec![0; count + 1],
            targets: Vec::new(),
            reached: [Vec::new(), Vec::new()],
            levels: 0,
        }
    }

    /// Marks a node as reachable in `level` steps.
    #[inline]
    fn reach(&mut self, node: u32, level: u64) {
        let place = node / self.peers;
        let distance = &mut self.distances[place as usize];
        if *distance == UNREACHED {
            *distance = level as u32;
            self.reached[(level % 2) as usize].push(place);
        }
    }

    /// Sorts the edges by their source.
    fn index_edges(&mut self) {
        for (source, _) in &self.edges {
            self.offsets[(source / self.peers) as usize + 1] += 1;
        }
        for place in 1..self.offsets.len() {
            self.offsets[place] += self.offsets[place - 1];
        }
        let mut next = self.offsets.clone();
        self.targets.resize(self.edges.len(), 0);
        for (source, destination) in std::mem::take(&mut self.edges) {
            let place = &mut next[(source / self.peers) as usize];
            self.targets[*place as usize] = destination;
            *place += 1;
        }
    }

    fn destinations(&self, place: u32) -> &[u32] {
        let place = place as usize;
        &self.targets[self.offsets[place] as usize..self.offsets[place + 1] as usize]
    }

    fn checksum(&self, index: u64) -> u64 {
        let mut sum = 0u64;
        for (place, distance) in
            self.distances.iter().enumerate().filter(|(_, distance)| **distance != UNREACHED)
        {
            let node = place as u64 * u64::from(self.peers) + index;
            sum = sum.wrapping_add((node + 1).wrapping_mul(u64::from(*distance) + 1));
        }
        sum
    }
}

pub fn run(worker: &mut Worker, harness: &mut Harness, options: &Options) -> Outcome {
    let nodes = options.number("nodes", 1_000_000);
    let edges = options.number("edges", 10_000_000);
    let (index, peers) = (worker.index() as u64, worker.peers() as u64);
    let own: Vec<(u32, u32)> =
        share(edges, worker.index(), worker.peers()).map(|number| edge(number, nodes)).collect();
    let part = Rc::new(RefCell::new(Part::new(index, peers, nodes)));

    let probe = ProbeHandle::new();
    let mut input = worker.dataflow::<u64, _, _>(|scope| {
        let (input, edges) = scope.new_input::<(u32, u32)>();
        let (handle, proposals) = scope.feedback::<Vec<u32>>(1);
        let part = Rc::clone(&part);
        edges
            .binary_frontier::<_, CapacityContainerBuilder<Vec<u32>>, _, _, _, _>(
                proposals,
                Exchange::new(|edge: &(u32, u32)| u64::from(edge.0)),
                Exchange::new(|node: &u32| u64::from(*node)),
                "BreadthFirst",
                |capability, _| {
                    // Levels to work on. Every worker begins at level 0, when it has its edges.
                    let mut open: Vec<Capability<u64>> = vec![capability];
                    move |(edges, edge_frontier), (proposals, frontier), output| {
                        let part = &mut *part.borrow_mut();
                        edges.for_each(|_, batch| part.edges.append(batch));
                        proposals.for_each(|time, batch| {
                            let level = *time.time();
                            if !open.iter().any(|held| *held.time() == level) {
                                open.push(time.retain(output.output_index()));
                            }
                            batch.drain(..).for_each(|node| part.reach(node, level));
                        });
                        let complete = |level| {
                            !edge_frontier.less_equal(&level) && !frontier.less_equal(&level)
                        };
                        open.sort_by_key(|held| *held.time());
                        for held in open.extract_if(.., |held| complete(*held.time())) {
                            let level = *held.time();
                            if level == 0 {
                                part.index_edges();
                                if index == 0 {
                                    part.reach(0, 0);
                                }
                            }
                            let mut reached =
                                std::mem::take(&mut part.reached[(level % 2) as usize]);
                            if !reached.is_empty() {
                                part.levels = level + 1;
                            }
                            let mut session = output.session(&held);
                            for place in reached.drain(..) {
                                session.give_iterator(part.destinations(place).iter().copied());
                            }
                            part.reached[(level % 2) as usize] = reached;
                        }
                    }
                },
            )
            .probe_with(&probe)
            .connect_loop(handle);
        input
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
    let part = part.borrow();
    Outcome::new(seconds, part.levels, records, part.checksum(index))
}
