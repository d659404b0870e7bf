#include "comm/system/thread_placement.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace headway::internal {
namespace {

// The processors that the calling thread may use; none if the system does not tell.
cpu_set_t AllowedProcessors() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) CPU_ZERO(&allowed);
  return allowed;
}

// Removes the processors that share a core with `processor`, itself included. The system lists them
// as "0,4" or "0-1".
void RemoveCoreOf(int processor, cpu_set_t* processors) {
  CPU_CLR(processor, processors);
  std::ifstream file(
      absl::StrCat("/sys/devices/system/cpu/cpu", processor, "/topology/thread_siblings_list"));
  std::string list;
  std::getline(file, list);
  for (const absl::string_view part : absl::StrSplit(list, ',')) {
    const std::pair<absl::string_view, absl::string_view> range =
        absl::StrSplit(part, absl::MaxSplits('-', 1));
    int first = 0;
    if (!absl::SimpleAtoi(range.first, &first)) continue;
    int last = first;
    if (!range.second.empty() && !absl::SimpleAtoi(range.second, &last)) continue;
    for (int sibling = std::max(first, 0); sibling <= std::min(last, CPU_SETSIZE - 1); ++sibling) {
      CPU_CLR(sibling, processors);
    }
  }
}

}  // namespace

bool EachHasAProcessor(int threads) {
  const cpu_set_t allowed = AllowedProcessors();
  const int count = CPU_COUNT(&allowed);
  return threads <= (count > 0 ? count : static_cast<int>(std::thread::hardware_concurrency()));
}

std::vector<int> ProcessorsForThreads(int threads) {
  const cpu_set_t allowed = AllowedProcessors();
  const int current = sched_getcpu();
  if (threads > CPU_COUNT(&allowed) || current < 0 || current >= CPU_SETSIZE) return {};
  std::vector<int> processors;
  cpu_set_t left = allowed;  // of cores that have none in `processors`
  const auto take = [&](bool of_new_core) {
    for (int i = 0; i < CPU_SETSIZE && static_cast<int>(processors.size()) < threads; ++i) {
      const int processor = (current + i) % CPU_SETSIZE;
      if (of_new_core
              ? !CPU_ISSET(processor, &left)
              : !CPU_ISSET(processor, &allowed) || std::find(processors.begin(), processors.end(),
                                                             processor) != processors.end()) {
        continue;
      }
      processors.push_back(processor);
      if (of_new_core) RemoveCoreOf(processor, &left);
    }
  };
  take(/*of_new_core=*/true);
  take(/*of_new_core=*/false);
  return processors;
}

void MoveThreadTo(int processor) {
  if (processor < 0 || processor >= CPU_SETSIZE || processor == sched_getcpu()) return;
  const cpu_set_t allowed = AllowedProcessors();
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(processor, &only);
  if (!CPU_ISSET(processor, &allowed) || sched_setaffinity(0, sizeof(only), &only) != 0) return;
  // A thread with an unrestricted set also uses processors that appear later.
  const bool may_use_all = CPU_COUNT(&allowed) >= sysconf(_SC_NPROCESSORS_ONLN);
  if (may_use_all || sched_setaffinity(0, sizeof(allowed), &allowed) != 0) {
    cpu_set_t all;
    for (int i = 0; i < CPU_SETSIZE; ++i) CPU_SET(i, &all);
    sched_setaffinity(0, sizeof(all), &all);
  }
}

void MoveThreadOn() {
  const cpu_set_t allowed = AllowedProcessors();
  const int current = sched_getcpu();
  for (int i = 1; current >= 0 && i < CPU_SETSIZE; ++i) {
    const int processor = (current + i) % CPU_SETSIZE;
    if (CPU_ISSET(processor, &allowed)) {
      MoveThreadTo(processor);
      return;
    }
  }
}

}  // namespace headway::internal
