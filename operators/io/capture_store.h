#ifndef HEADWAY_OPERATORS_IO_CAPTURE_STORE_H_
#define HEADWAY_OPERATORS_IO_CAPTURE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace headway {

// The captured events of one worker, as bytes. Used by one thread at a time.
class CapturePart {
 public:
  virtual ~CapturePart() = default;

  // "the capture file 'PATH'", for messages.
  virtual std::string Describe() const = 0;
  virtual uint64_t size() const = 0;
  virtual absl::Status Append(std::string_view bytes) = 0;
  // REQUIRES: the bytes are there.
  virtual absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const = 0;
};

// The place of a captured stream: a part for each worker of the run. A run that resumes, or
// restarts, adds parts. Thread safe.
class CaptureStore {
 public:
  virtual ~CaptureStore() = default;

  // "the capture in 'DIRECTORY'", for messages.
  virtual std::string Describe() const = 0;
  // The names of all parts, in any order.
  virtual absl::StatusOr<std::vector<std::string>> List() = 0;
  // FailedPrecondition: the part exists.
  virtual absl::StatusOr<std::unique_ptr<CapturePart>> Create(const std::string& name) = 0;
  // Opens a part to read it.
  virtual absl::StatusOr<std::unique_ptr<CapturePart>> Open(const std::string& name) = 0;
};

// A capture in the memory of this process, as long as the pointer or a copy of it lives.
std::shared_ptr<CaptureStore> CaptureInMemory();

// A capture in files `*.capture` of a directory, which is made when it is missing. It is for one
// stream. Processes on several machines need a directory that they share, or their files are
// copied into one before the replay.
std::shared_ptr<CaptureStore> CaptureInDirectory(std::string directory);

}  // namespace headway

#endif  // HEADWAY_OPERATORS_IO_CAPTURE_STORE_H_
