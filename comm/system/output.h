#ifndef HEADWAY_COMM_SYSTEM_OUTPUT_H_
#define HEADWAY_COMM_SYSTEM_OUTPUT_H_

#include <cstdio>
#include <string_view>

namespace headway::internal {

// Output to descriptors that may not block. A pipe may be set so by any program that shares it, the
// reader included. A full pipe is waited for, as if it blocked.

// Writes all of `text`. Returns an error number, or 0.
int WriteAll(int descriptor, std::string_view text);

// Writes the text in the buffer of a stdio stream. Returns an error number, or 0. If the descriptor
// does not block, a buffer larger than PIPE_BUF (4,096 bytes, the default) may fail with EAGAIN.
int FlushStream(std::FILE* stream);

}  // namespace headway::internal

#endif  // HEADWAY_COMM_SYSTEM_OUTPUT_H_
