#ifndef HEADWAY_ENGINE_LAUNCH_EXPORT_INTERFACE_H_
#define HEADWAY_ENGINE_LAUNCH_EXPORT_INTERFACE_H_

#include <cstdint>

// What the command `headway` and a shared library with dataflows know of each other. The library
// runs its dataflow itself, with its own copy of the engine, so that only what is in this file has
// to agree: nothing in it is of C++. All texts are UTF-8 or whatever the user typed.

extern "C" {

// Changes with every change of this file.
constexpr uint32_t kHeadwayExportInterface = 1;

enum HeadwayValueKind : int32_t {
  kHeadwayInteger = 0,
  kHeadwayNumber = 1,
  kHeadwayBool = 2,
  kHeadwayString = 3,
};

// An argument of a getter; the member for its kind counts.
struct HeadwayValue {
  HeadwayValueKind kind;
  int64_t integer;  // of a bool too: 0 or 1
  double number;
  const char* string;
  uint64_t string_bytes;
};

// Everything in a request is valid during the call.
struct HeadwayRunRequest {
  const HeadwayValue* arguments;  // of the getter
  uint64_t argument_count;
  const char* const* flags;  // of the run, as on a command line
  uint64_t flag_count;
  int32_t stop_descriptor;  // the run is stopped gracefully once it is readable
  void* context;            // for the functions below
  // Gets diagnostics, from any thread. Severity: 0 information, 1 warning, 2 error.
  void (*log)(void* context, int32_t severity, const char* text, uint64_t text_bytes);
  // Gets the exit code of the command and what to tell the user; called once.
  void (*result)(void* context, int32_t exit_code, const char* text, uint64_t text_bytes);
};

struct HeadwayGetter {
  const char* name;
  const char* (*parameters)();  // as "(string, int32)"; of an object: ""
  void (*run)(const HeadwayRunRequest* request);
};

struct HeadwayExports {
  uint32_t interface;           // kHeadwayExportInterface; what follows depends on it
  const char* headway_version;  // with which the library was built
  const HeadwayGetter* const* begin;
  const HeadwayGetter* const* end;
};

// The one function that a library exports, under this name.
using HeadwayExportsFunction = const HeadwayExports*();
constexpr char kHeadwayExportsFunctionName[] = "headway_exports";

}  // extern "C"

#endif  // HEADWAY_ENGINE_LAUNCH_EXPORT_INTERFACE_H_
