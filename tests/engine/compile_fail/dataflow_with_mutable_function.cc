// expect: Dataflow: the function must take (Scope<>& scope)
#include "headway.h"

headway::Dataflow flow("bad", [n = 0](headway::Scope<>&) mutable { ++n; });
