// expect: CsvFile: the members of the record must own their text: std::string, not std::string_view
#include "headway.h"

struct Trade {
  std::string_view symbol;
};
HEADWAY_COLUMNS(Trade, symbol);

void Build(headway::Scope<>& scope) {
  scope.Input("trades", headway::CsvFile<Trade>("trades.csv"));
}
