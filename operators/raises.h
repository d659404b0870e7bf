#ifndef HEADWAY_OPERATORS_RAISES_H_
#define HEADWAY_OPERATORS_RAISES_H_

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/step/define_step.h"
#include "engine/step/transform.h"
#include "operators/record_text.h"

namespace headway {

// Fails the run at the first record, for streams in which none may appear, such as malformed or
// late records: Stream<D> ends here. The error is Aborted; it names the step and shows the record
// as text, as StdOutSink prints it, up to 1000 bytes of it. A record of a type that StdOutSink
// does not print is not shown. Keeps no state, and exchanges nothing.
inline auto Raises(std::string step_id) {
  return DefineStep(std::move(step_id),
                    []<class D, class T>(const Stream<D, T>& stream, std::string_view id) {
                      TransformInPlace(stream, id, [](Batch<D>& batch) {
                        std::string text = "a record arrived, where none is allowed";
                        if constexpr (internal::IsPrintable<std::remove_cvref_t<ReadType<D>>>()) {
                          constexpr size_t kShownBytes = 1000;
                          std::string shown;
                          internal::AppendText(shown, std::as_const(batch)[0]);
                          if (shown.size() > kShownBytes)
                            shown.replace(kShownBytes, shown.npos, "...");
                          text += ": " + shown;
                        }
                        throw std::runtime_error(text);
                      });
                    });
}

}  // namespace headway

#endif  // HEADWAY_OPERATORS_RAISES_H_
