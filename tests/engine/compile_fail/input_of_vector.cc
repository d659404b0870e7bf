// expect: Input: the source must be an object with a type Record
#include <vector>

#include "headway.h"

void Build(headway::Scope<>& scope) { scope.Input("bad", std::vector{1, 2, 3}); }
