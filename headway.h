#ifndef HEADWAY_HEADWAY_H_
#define HEADWAY_HEADWAY_H_

// The one header that an application needs: the engine, and the library of steps.

#include "engine/launch/cluster.h"
#include "engine/launch/command_line.h"
#include "engine/launch/run_from_args.h"
#include "engine/run.h"
#include "engine/runtime/run_monitor.h"
#include "engine/runtime/status_macros.h"
#include "engine/step/activator.h"
#include "engine/step/input_handle.h"
#include "engine/step/iterate.h"
#include "engine/step/keyed_operator.h"
#include "engine/step/operators.h"
#include "engine/step/probe.h"
#include "engine/step/sink.h"
#include "engine/step/source.h"
#include "engine/worker.h"
#include "operators/count_final.h"
#include "operators/exchange.h"
#include "operators/filter.h"
#include "operators/flat_map.h"
#include "operators/inspect.h"
#include "operators/io/file_lines.h"
#include "operators/io/manual.h"
#include "operators/io/stdout.h"
#include "operators/io/testing.h"
#include "operators/key_on.h"
#include "operators/map.h"
#include "operators/merge.h"
#include "operators/probe.h"
#include "operators/stateful_map.h"
#include "operators/words.h"

#endif  // HEADWAY_HEADWAY_H_
