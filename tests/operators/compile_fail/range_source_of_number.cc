// expect: RangeSource: the argument must be a range
#include "headway.h"

void Build(headway::Scope<>& scope) { scope.Input("range", headway::RangeSource(5)); }
