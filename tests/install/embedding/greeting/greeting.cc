#include "greeting/greeting.h"

namespace greeting {

std::string Greeting(const headway::RunOptions&) { return "Hello from Headway"; }

}  // namespace greeting
