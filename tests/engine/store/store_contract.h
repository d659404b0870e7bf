#ifndef HEADWAY_TESTS_ENGINE_STORE_STORE_CONTRACT_H_
#define HEADWAY_TESTS_ENGINE_STORE_STORE_CONTRACT_H_

#include <functional>
#include <memory>

#include "engine/store/store.h"

namespace headway::internal {

// Checks that a store behaves as engine/store/store.h says. `make_store` makes a new handle of the
// same store; before the first one the store does not exist.
void CheckStoreContract(const std::function<std::shared_ptr<RecoveryStore>()>& make_store);

}  // namespace headway::internal

#endif  // HEADWAY_TESTS_ENGINE_STORE_STORE_CONTRACT_H_
