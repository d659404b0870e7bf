// expect: CsvFile: write HEADWAY_COLUMNS(Type, members...) behind the record's struct, or give
#include "headway.h"

struct Trade {
  double price;
};

void Build(headway::Scope<>& scope) {
  scope.Input("trades", headway::CsvFile<Trade>("trades.csv"));
}
