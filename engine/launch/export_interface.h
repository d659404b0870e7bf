#ifndef HEADWAY_ENGINE_LAUNCH_EXPORT_INTERFACE_H_
#define HEADWAY_ENGINE_LAUNCH_EXPORT_INTERFACE_H_

#include <cstdint>

// The interface between the command `headway` and a shared library with dataflows, in C. The
// library runs its dataflow with its own copy of the engine, so the two agree on this file alone.
// Texts are bytes as the user typed them, most often UTF-8.

extern "C" {

// Changes with every change of this file.
constexpr uint32_t kHeadwayExportInterface = 1;

enum HeadwayValueKind : int32_t {
  kHeadwayInteger = 0,
  kHeadwayNumber = 1,
  kHeadwayBool = 2,
  kHeadwayString = 3,
};

// An argument of a getter. Only the member for its kind has a meaning.
struct HeadwayValue {
  HeadwayValueKind kind;
  int64_t integer;  // for a bool too: 0 or 1
  double number;
  const char* string;
  uint64_t string_bytes;
};

// The pointers in a request are valid during the call.
struct HeadwayRunRequest {
  const HeadwayValue* arguments;  // of the getter
  uint64_t argument_count;
  const char* const* flags;  // of the run, as on a command line
  uint64_t flag_count;
  int32_t stop_descriptor;  // the run stops gracefully once it is readable
  void* context;            // for the functions below
  // Receives diagnostics, on any thread. Severity: 0 information, 1 warning, 2 error.
  void (*log)(void* context, int32_t severity, const char* text, uint64_t text_bytes);
  // Receives the exit code of the command and the message for the user. Called once.
  void (*result)(void* context, int32_t exit_code, const char* text, uint64_t text_bytes);
};

struct HeadwayGetter {
  const char* name;
  const char* (*parameters)();  // as in "(string, int32)"; "" if the getter is an object
  void (*run)(const HeadwayRunRequest* request);
};

struct HeadwayExports {
  uint32_t interface;           // kHeadwayExportInterface; the members below depend on it
  const char* headway_version;  // of the library's copy of the engine
  const HeadwayGetter* const* begin;
  const HeadwayGetter* const* end;
};

// The one function that a library exports, under this name.
using HeadwayExportsFunction = const HeadwayExports*();
constexpr char kHeadwayExportsFunctionName[] = "headway_exports";

}  // extern "C"

#endif  // HEADWAY_ENGINE_LAUNCH_EXPORT_INTERFACE_H_
