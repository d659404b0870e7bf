#ifndef HEADWAY_BENCH_HEADWAY_BENCH_BENCHMARKS_H_
#define HEADWAY_BENCH_HEADWAY_BENCH_BENCHMARKS_H_

#include "bench/headway_bench/harness.h"

// The subcommands, each in a file of its own. bench/peers/timely/README.md defines the work of both
// sides.

namespace headway::bench {

Benchmark BarrierBenchmark();
Benchmark BfsBenchmark();
Benchmark EventDrivenBenchmark();
Benchmark ExchangeBenchmark();
Benchmark ExchangeChainBenchmark();
Benchmark HandwrittenBenchmark();
Benchmark CacheLineBenchmark();
Benchmark JoinBenchmark();
Benchmark KeyedCountBenchmark();
Benchmark MapChainBenchmark();
Benchmark NexmarkBenchmark();
Benchmark OpenloopBenchmark();
Benchmark PagerankBenchmark();
Benchmark ParseBenchmark();
Benchmark PingpongBenchmark();
Benchmark SessionBenchmark();
Benchmark RecoveryBenchmark();
Benchmark UnionfindBenchmark();
Benchmark WindowBenchmark();
Benchmark WordcountBenchmark();

}  // namespace headway::bench

#endif  // HEADWAY_BENCH_HEADWAY_BENCH_BENCHMARKS_H_
