// A library as another version of Headway would have built it.
#include "headway/engine/launch/export_interface.h"

extern "C" const HeadwayExports* headway_exports() {
  static const HeadwayExports exports = {kHeadwayExportInterface, "0.0.1", nullptr, nullptr};
  return &exports;
}
