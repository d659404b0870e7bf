#ifndef HEADWAY_TESTS_OPERATORS_EPOCH_RECORDS_H_
#define HEADWAY_TESTS_OPERATORS_EPOCH_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "headway.h"

namespace headway {

// Emits each record in the epoch that it names, in a run with SourceEpochConfig. Record i comes
// from worker i modulo the number of workers. The epochs ascend.
template <class D>
auto RecordsInEpochs(std::vector<std::pair<Epoch, D>> records) {
  return ManualSource(
      [records = std::move(records)](int worker, int workers, std::optional<int64_t>,
                                     ManualOutput<D>& out) -> Generator<SourceYield<int64_t>> {
        for (size_t i = static_cast<size_t>(worker); i < records.size();
             i += static_cast<size_t>(workers)) {
          if (records[i].first > out.epoch()) co_yield SourceState::AdvanceTo(records[i].first);
          out.Emit(records[i].second);
          co_yield static_cast<int64_t>(i);
        }
      });
}

}  // namespace headway

#endif  // HEADWAY_TESTS_OPERATORS_EPOCH_RECORDS_H_
