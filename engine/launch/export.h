#ifndef HEADWAY_ENGINE_LAUNCH_EXPORT_H_
#define HEADWAY_ENGINE_LAUNCH_EXPORT_H_

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/dataflow.h"
#include "engine/launch/export_interface.h"

// HEADWAY_EXPORT_DATAFLOW(getter); exports a dataflow of a shared library to the command
// `headway run library.so:getter`. `getter` is a Dataflow, or a function that returns a Dataflow
// (or an absl::StatusOr of one). Its parameters are whole numbers, floating-point numbers, bools
// and strings (std::string or std::string_view). It is called once. The command's default is
// `flow`. Use the macro at namespace scope, in the namespace of the getter, once for each name in a
// library.
//
//   Dataflow Words(const std::string& file) {...}
//   HEADWAY_EXPORT_DATAFLOW(Words);       // headway run libwords.so:Words('words.txt') -w2
#define HEADWAY_EXPORT_DATAFLOW(getter)                                   \
  static const HeadwayGetter headway_getter_##getter = {                  \
      #getter, +[] { return ::headway::internal::ParametersOf(getter); }, \
      +[](const HeadwayRunRequest* request) {                             \
        ::headway::internal::RunGetter(#getter, getter, *request);        \
      }};                                                                 \
  [[gnu::section("headway_getters"),                                      \
    gnu::used]] HEADWAY_INTERNAL_RETAIN static const HeadwayGetter* const \
      headway_exported_##getter = &headway_getter_##getter

#if defined(__has_attribute)
#if __has_attribute(retain)
#define HEADWAY_INTERNAL_RETAIN __attribute__((retain))
#endif
#endif
#ifndef HEADWAY_INTERNAL_RETAIN
#define HEADWAY_INTERNAL_RETAIN
#endif

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the linker chooses the names.
// The linker puts the getters of a library side by side, between these two symbols.
[[gnu::weak,
  gnu::visibility("hidden")]] extern const HeadwayGetter* const __start_headway_getters[];
[[gnu::weak, gnu::visibility("hidden")]] extern const HeadwayGetter* const __stop_headway_getters[];
// NOLINTEND(bugprone-reserved-identifier)
}

namespace headway::internal {

const HeadwayExports* ExportsOf(const HeadwayGetter* const* begin, const HeadwayGetter* const* end);

// Takes the arguments of a getter one after the other. The status names the first invalid one.
class GetterArguments {
 public:
  // `getter` is the name with its parameters, for errors.
  GetterArguments(std::string getter, size_t parameter_count, const HeadwayRunRequest& request);

  template <class T>
  T Take() {
    if constexpr (std::same_as<T, bool>) {
      return TakeBool();
    } else if constexpr (std::integral<T>) {
      constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<T>::max());
      constexpr auto kMaxInteger = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      return static_cast<T>(
          TakeInteger(static_cast<int64_t>(std::numeric_limits<T>::min()),
                      static_cast<int64_t>(kMax < kMaxInteger ? kMax : kMaxInteger)));
    } else if constexpr (std::floating_point<T>) {
      return static_cast<T>(TakeNumber());
    } else {
      return T(TakeString());
    }
  }

  const absl::Status& status() const { return status_; }

 private:
  const HeadwayValue* Next();
  bool TakeBool();
  int64_t TakeInteger(int64_t min, int64_t max);
  double TakeNumber();
  std::string_view TakeString();
  void Refuse(const std::string& expected);

  const std::string getter_;
  const HeadwayRunRequest& request_;
  size_t next_ = 0;
  absl::Status status_;
};

template <class T>
std::string ParameterName() {
  static_assert(std::integral<T> || std::floating_point<T> || std::same_as<T, std::string> ||
                    std::same_as<T, std::string_view>,
                "the parameters of an exported getter are whole numbers, floating-point numbers, "
                "bools, std::string or std::string_view");
  if constexpr (std::same_as<T, bool>) {
    return "bool";
  } else if constexpr (std::integral<T>) {
    return (std::signed_integral<T> ? "int" : "uint") + std::to_string(sizeof(T) * 8);
  } else {
    return std::floating_point<T> ? "number" : "string";
  }
}

inline const char* ParametersOf(const Dataflow&) { return ""; }

template <class Result, class... Parameters>
const char* ParametersOf(Result (*)(Parameters...)) {
  static const std::string text = [] {
    std::string names;
    ((names += (names.empty() ? "" : ", ") + ParameterName<std::remove_cvref_t<Parameters>>()),
     ...);
    return "(" + names + ")";
  }();
  return text.c_str();
}

// Runs a dataflow with the flags of the request, and reports the result.
void RunExported(const Dataflow& dataflow, const HeadwayRunRequest& request);
// Runs the dataflow that `make` returns. Reports an error or an exception of `make`.
void MakeAndRun(const std::string& getter, const HeadwayRunRequest& request,
                absl::FunctionRef<absl::StatusOr<Dataflow>()> make);

inline void RunGetter(const char* name, const Dataflow& dataflow,
                      const HeadwayRunRequest& request) {
  const GetterArguments none(name, 0, request);
  MakeAndRun(name, request, [&]() -> absl::StatusOr<Dataflow> {
    if (!none.status().ok()) return none.status();
    return Dataflow(dataflow.name(), [&dataflow](Scope<>& scope) { dataflow.Build(scope); });
  });
}

template <class Result, class... Parameters>
void RunGetter(const char* name, Result (*getter)(Parameters...),
               const HeadwayRunRequest& request) {
  MakeAndRun(name, request, [&]() -> absl::StatusOr<Dataflow> {
    GetterArguments arguments(name + std::string(ParametersOf(getter)), sizeof...(Parameters),
                              request);
    // Braces evaluate the arguments from left to right.
    std::tuple<std::remove_cvref_t<Parameters>...> values{
        arguments.Take<std::remove_cvref_t<Parameters>>()...};
    if (!arguments.status().ok()) return arguments.status();
    return std::apply(
        [getter](auto&... value) -> Result {
          return getter(static_cast<std::remove_cvref_t<Parameters>&&>(value)...);
        },
        values);
  });
}

}  // namespace headway::internal

extern "C" [[gnu::visibility("default"), gnu::used]] inline const HeadwayExports*
headway_exports() {
  return headway::internal::ExportsOf(__start_headway_getters, __stop_headway_getters);
}

#endif  // HEADWAY_ENGINE_LAUNCH_EXPORT_H_
