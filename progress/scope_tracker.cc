#include "progress/scope_tracker.h"

namespace headway {

template class ScopeTracker<Epoch>;
template class ScopeTracker<Product<Epoch, uint64_t>>;

}  // namespace headway
