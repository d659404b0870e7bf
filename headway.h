#ifndef HEADWAY_HEADWAY_H_
#define HEADWAY_HEADWAY_H_

// The one header that an application needs: the engine, and the library of steps.

#include "headway/engine/activator.h"
#include "headway/engine/cluster.h"
#include "headway/engine/input_handle.h"
#include "headway/engine/iterate.h"
#include "headway/engine/operators.h"
#include "headway/engine/probe.h"
#include "headway/engine/run.h"
#include "headway/engine/run_from_args.h"
#include "headway/engine/run_monitor.h"
#include "headway/engine/sink.h"
#include "headway/engine/source.h"
#include "headway/engine/status_macros.h"
#include "headway/operators/count_final.h"
#include "headway/operators/exchange.h"
#include "headway/operators/filter.h"
#include "headway/operators/flat_map.h"
#include "headway/operators/inspect.h"
#include "headway/operators/io/file_lines.h"
#include "headway/operators/io/manual.h"
#include "headway/operators/io/stdout.h"
#include "headway/operators/io/testing.h"
#include "headway/operators/key_on.h"
#include "headway/operators/map.h"
#include "headway/operators/merge.h"
#include "headway/operators/probe.h"
#include "headway/operators/stateful_map.h"
#include "headway/operators/words.h"

#endif  // HEADWAY_HEADWAY_H_
