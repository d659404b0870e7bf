#ifndef HEADWAY_ENGINE_STEP_DEFINE_STEP_H_
#define HEADWAY_ENGINE_STEP_DEFINE_STEP_H_

#include <atomic>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "engine/graph/scope.h"

namespace headway {

namespace internal {

// Whether parts were moved out of a step. A copy has the same answer; a step that was moved from
// has lost its parts. Thread safe, since workers may share a step.
class PartsTaken {
 public:
  PartsTaken() = default;
  PartsTaken(const PartsTaken& other) : taken_(other.taken_.load()) {}
  PartsTaken(PartsTaken&& other) noexcept : taken_(other.taken_.exchange(true)) {}
  bool Take() { return taken_.exchange(true); }
  bool taken() const { return taken_; }

 private:
  std::atomic<bool> taken_{false};
};

// The value that DefineStep returns. The last part is the function that builds the step.
template <class... Parts>
class DefinedStep {
  static constexpr size_t kGiven = sizeof...(Parts) - 1;  // the parts that the last one takes
  static constexpr std::make_index_sequence<kGiven> kIndices{};
  static constexpr bool kCopies = (std::is_copy_constructible_v<Parts> && ...);
  template <size_t i>
  using Part = std::tuple_element_t<i, std::tuple<Parts...>>;

  template <class S, size_t... i>
  static constexpr bool Takes(std::index_sequence<i...>) {
    return std::is_invocable_v<Part<kGiven>&, const S&, Part<i>...>;
  }

 public:
  explicit DefinedStep(Parts... parts) : parts_(std::move(parts)...) {}

  template <class D, class T>
    requires(Takes<Stream<D, T>>(kIndices))
  auto operator()(const Stream<D, T>& stream) && {
    if (taken_.Take()) FailTaken(stream);
    return Build(stream, kIndices);
  }
  template <class D, class T>
    requires(kCopies && Takes<Stream<D, T>>(kIndices))
  auto operator()(const Stream<D, T>& stream) const& {
    if (taken_.taken()) FailTaken(stream);
    return DefinedStep(*this).Build(stream, kIndices);
  }
  template <class D, class T>
    requires(!kCopies && Takes<Stream<D, T>>(kIndices))
  auto operator()(const Stream<D, T>& stream) & {
    if (taken_.Take()) FailTaken(stream);
    return Build(stream, kIndices);
  }

 private:
  template <class S, size_t... i>
  auto Build(const S& stream, std::index_sequence<i...>) {
    return std::get<kGiven>(parts_)(stream, Give<i>()...);
  }
  // The step id stays, for the error of a second use.
  template <size_t i>
  Part<i> Give() {
    if constexpr (i == 0 && std::is_same_v<Part<i>, std::string>) {
      return std::get<i>(parts_);
    } else {
      return std::get<i>(std::move(parts_));
    }
  }

  template <class S>
  [[noreturn]] void FailTaken(const S& stream) const {
    std::string id;
    if constexpr (std::is_same_v<Part<0>, std::string>) {
      id = stream.scope().FullId(std::get<0>(parts_));
    }
    stream.scope().graph().errors().FailAndThrow(
        id, absl::InvalidArgumentError(
                kCopies ? "the step was applied after it had been moved; apply the step that it "
                          "was moved to, or define another"
                        : "the step was applied twice, and its function cannot be copied; define a "
                          "step for each stream and each worker"));
  }

  std::tuple<Parts...> parts_;
  PartsTaken taken_;
};

}  // namespace internal

// Defines a step. Its last argument is a function that builds the step, build(stream, parts...);
// the arguments before it are the parts, most often a step id and functions of the user:
//
//   // Keeps the records for which predicate(record) is true.
//   template <class Predicate>
//   auto Filter(std::string step_id, Predicate predicate) {
//     return DefineStep(
//         std::move(step_id), std::move(predicate),
//         []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Predicate keeps) {
//           static_assert(std::is_invocable_r_v<bool, Predicate&, ReadType<D>>, "Filter: ...");
//           return Transform<D>(stream, id, ...);
//         });
//   }
//
// The step is a value: `stream | step` calls build with the stream and the parts, and returns its
// result. A temporary step moves its parts into build. A variable copies them, and may be applied
// to any number of streams, also on several workers at once; if one of them cannot be copied, it
// moves them, and a second use is an InvalidArgument failure of the build. The right side of | is
// no step for a stream that build does not take. A requirement on the parts is a static_assert in
// build, with one sentence that names the step.
template <class... Parts>
auto DefineStep(Parts... parts) {
  return internal::DefinedStep<Parts...>(std::move(parts)...);
}

}  // namespace headway

#endif  // HEADWAY_ENGINE_STEP_DEFINE_STEP_H_
