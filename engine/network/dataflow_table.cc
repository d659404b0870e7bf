#include "engine/network/dataflow_table.h"
namespace headway::internal {

void DataflowTable::Build(uint32_t id, const ProgressLayout& layout) {
  AtOrNew(id).outgoing.emplace(layout, topology_.workers_per_process, topology_.worker_count());
  location_count_ += layout.change_bytes.size();
}

void DataflowTable::Remove(uint32_t id) {
  if (++AtOrNew(id).removals == topology_.workers_per_process) removed_.push_back(id);
}

void DataflowTable::ForgetRemoved() {
  std::erase_if(removed_, [this](uint32_t id) {
    if (dataflows_[id]->has_news || !dataflows_[id]->delayed.empty()) return false;
    if (dataflows_[id]->outgoing.has_value()) {
      location_count_ -= dataflows_[id]->outgoing->change_bytes().size();
    }
    dataflows_[id].reset();
    if (is_forgotten_.size() <= id) is_forgotten_.resize(id + 1);
    is_forgotten_[id] = true;
    return true;
  });
}

DataflowProgress& DataflowTable::AtOrNew(uint32_t id) {
  if (dataflows_.size() <= id) dataflows_.resize(id + 1);
  std::unique_ptr<DataflowProgress>& dataflow = dataflows_[id];
  if (dataflow == nullptr) dataflow = std::make_unique<DataflowProgress>();
  return *dataflow;
}

}  // namespace headway::internal
