#include "cli/dataflow_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

#include "absl/strings/str_format.h"
#include "engine/runtime/version.h"

namespace headway::cli {

absl::StatusOr<DataflowLibrary> DataflowLibrary::Load(const std::string& file) {
  if (access(file.c_str(), R_OK) != 0) {
    return absl::NotFoundError(
        absl::StrFormat("cannot read the library '%s': %s", file, std::strerror(errno)));
  }
  // Without a '/' the loader would search the system's folders.
  const std::string path = file.find('/') == std::string::npos ? "./" + file : file;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrFormat("cannot load '%s' as a shared library: %s", file, dlerror()));
  }
  auto* exports_function =
      reinterpret_cast<HeadwayExportsFunction*>(dlsym(library, kHeadwayExportsFunctionName));
  const HeadwayExports* exports = exports_function == nullptr ? nullptr : exports_function();
  if (exports == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the library '%s' exports no dataflow: include "
                        "headway/engine/launch/export.h in it and write "
                        "HEADWAY_EXPORT_DATAFLOW(flow);",
                        file));
  }
  if (exports->interface != kHeadwayExportInterface ||
      std::string_view(exports->headway_version) != Version()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the library '%s' was built with Headway %s, but this command is Headway %s: rebuild the "
        "library, or use the command of its version",
        file, exports->headway_version, Version()));
  }
  return DataflowLibrary(file, *exports);
}

absl::StatusOr<const HeadwayGetter*> DataflowLibrary::Find(const std::string& getter) const {
  std::string names;
  for (const HeadwayGetter* const* exported = exports_->begin; exported != exports_->end;
       ++exported) {
    if ((*exported)->name == getter) return *exported;
    names += absl::StrFormat("\n  %s%s", (*exported)->name, (*exported)->parameters());
  }
  if (names.empty()) names = "\n  (nothing)";
  return absl::NotFoundError(absl::StrFormat(
      "the library '%s' exports no dataflow '%s'; it exports:%s", file_, getter, names));
}

}  // namespace headway::cli
