#include "engine/run.h"

#include "engine/placement.h"
#include "engine/program.h"
#include "engine/run_program.h"

namespace headway {

absl::Status RunMain(const Dataflow& dataflow, const RunOptions& options) {
  return internal::Run(internal::DataflowProgram(dataflow),
                       internal::OneProcess(options.worker_count), options);
}

absl::Status Execute(const Config& config, absl::FunctionRef<absl::Status(Worker&)> program) {
  return internal::Run(internal::HostProgram(program), internal::OneProcess(config.workers),
                       config.run);
}

}  // namespace headway
