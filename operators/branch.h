#ifndef HEADWAY_OPERATORS_BRANCH_H_
#define HEADWAY_OPERATORS_BRANCH_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"

namespace headway {

// The streams of a Branch: `auto [trues, falses] = stream | Branch(...)`.
template <class D, class T>
struct Branches {
  Stream<D, T> trues;
  Stream<D, T> falses;
};

// Divides a stream: records for which predicate(record) is true go to `trues`, all others to
// `falses`, each a Stream<D>, in their order. A stream that no step reads costs nothing. An
// exception of the predicate ends the run with an error that names the step. Keeps no state, and
// exchanges nothing.
template <class Predicate>
auto Branch(std::string step_id, Predicate predicate) {
  return DefineStep(
      std::move(step_id), std::move(predicate),
      []<class D, class T>(const Stream<D, T>& stream, std::string_view id, Predicate is_true) {
        static_assert(
            std::is_invocable_r_v<bool, Predicate&, ReadType<D>>,
            "Branch: the predicate must take one record of the stream and return a bool; strings "
            "are seen as std::string_view");
        auto [trues, falses] = TransformTo<D, D>(
            stream, id,
            [is_true = std::move(is_true)](Batch<D>& batch, TransformOutput<D, T>& to_trues,
                                           TransformOutput<D, T>& to_falses) mutable {
              TransformOutput<D, T>* const yes = to_trues.IsRead() ? &to_trues : nullptr;
              TransformOutput<D, T>* const no = to_falses.IsRead() ? &to_falses : nullptr;
              for (size_t i = 0; i < batch.size(); ++i) {
                TransformOutput<D, T>* const to = is_true(std::as_const(batch)[i]) ? yes : no;
                if (to != nullptr) to->Give(batch.Take(i));
              }
            });
        return Branches<D, T>{std::move(trues), std::move(falses)};
      });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_BRANCH_H_
