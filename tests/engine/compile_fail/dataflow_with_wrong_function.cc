// expect: Dataflow: the function must take (Scope<>& scope)
#include "headway.h"

headway::Dataflow flow("bad", [](headway::Scope<>&, int) {});
