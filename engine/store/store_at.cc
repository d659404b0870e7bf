#include <string>

#include "engine/store/store.h"

namespace headway {

std::shared_ptr<RecoveryStore> StoreAt(std::string_view place) {
  return StoreInDirectory(std::string(place));
}

}  // namespace headway
